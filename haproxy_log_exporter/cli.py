"""The command line. Options come from the knobs of Settings; each command names those that concern it."""

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Optional

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]  # newer typer imports it there itself

from haproxy_log_exporter import __version__
from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.given import Given, Source
from haproxy_log_exporter.messages import send_messages
from haproxy_log_exporter.output import give_up
from haproxy_log_exporter.settings import default_text, knobs
from haproxy_log_exporter.sockets import inherit_sockets
from haproxy_log_exporter.supervision import Supervisor

_FORMATS = ("config", "formats", "haproxy_config", "parser")
_PATHS = ("path_templates", "path_template_files", "path_ids", "path_depth")
_LIMITS = ("most_values", "most_series", "series_idle")
_COUNTING = ("labels", "metrics", "buckets", "own_metrics", *_PATHS, *_LIMITS, *_FORMATS, "sample_weight")
_MESSAGES = ("log_level", "log_format")
_SERVING = ("listen_address", "telemetry_path")
_SYSLOG = ("syslog", "allow", "max_connections", "receive_buffer", "tls_certificate", "tls_key", "tls_client_ca")
_SOURCES = ("files", *_SYSLOG, "unix_mode", "unix_group", "journal", "journal_directory", "stdin")

_JSON = "Print one JSON object."

_WRONG_USAGE = 2

# By this variable shells ask for completions, by whatever name the program is called.
_COMPLETE = "_HAPROXY_LOG_EXPORTER_COMPLETE"

_OPTIONAL_TEXT = Optional[str]  # noqa: UP045 -- typer 0.7 does not know `str | None`
_OPTIONAL_SWITCH = Optional[bool]  # noqa: UP045 -- typer 0.7 does not know `bool | None`
_OPTIONAL_TEXTS = Optional[list[str]]  # noqa: UP045 -- typer 0.7 does not know `| None`

# Debian's typer 0.7 draws boxes whatever its markup mode is, and cuts names of options and variables to fit them.
typer.core.rich = None  # type: ignore[attr-defined]  # of older versions alone

app = typer.Typer(
    help="Prometheus metrics from HAProxy's log lines.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A command's options, read, how to read them again, and its arguments and own flags."""

    given: Given
    source: Source
    paths: list[str]
    flags: frozenset[str]


def main() -> None:
    """Run the command line; mistakes and refusals become messages and exit codes."""
    if _COMPLETE in os.environ:
        completion_init()  # typer does so by itself only where --help is to show options for it
        os.environ["COLUMNS"] = "1000"  # newer typer wraps what it tells of an option; a line is a candidate
    # typer 0.7 wants the name that click has for it, newer typer has that one deprecated.
    warnings.filterwarnings("ignore", "'autocompletion' is renamed", DeprecationWarning)
    try:
        app(complete_var=_COMPLETE)
    except UsageError as error:
        _fail(error.messages, _WRONG_USAGE)
    except OperationError as error:
        _fail([str(error)], 1)
    except BrokenPipeError:
        give_up()  # whoever read the output has enough
        sys.exit(1)


def _fail(messages: Sequence[str], status: int) -> NoReturn:
    for message in messages:
        print(f"haproxy-log-exporter: {message}", file=sys.stderr)
    sys.exit(status)


def _option(name: str) -> Any:
    knob = knobs()[name]
    default = default_text(name)
    notes = f" [{knob.variable}]" + (f" [default: {default}]" if default else "")
    if knob.is_switch:  # what is on can be put off
        flags = f"{knob.option}/--no-{knob.name}" if default else knob.option
        return typer.Option(None, flags, help=knob.help + notes, show_default=False)
    return typer.Option(
        [] if knob.repeatable else None,
        *knob.flags,
        help=knob.help + notes,
        metavar=knob.metavar,
        show_default=False,
        autocompletion=_completion(name),
    )


def _completion(name: str, parameter: str = "") -> Callable[[typer.Context, str], list[str]] | None:
    """Complete a knob's values, where it has some to choose from; else shells complete names of files.

    `parameter` is what takes them, where that is not the knob's option.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return knobs()[name].complete(incomplete, _texts(ctx.params.get(parameter or name)))

    return complete if name and knobs()[name].choices else None


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a command takes besides options; `completed_as` is the knob whose values it may be."""

    metavar: str
    help: str
    needed: bool = True
    completed_as: str = ""


_LOGS = Arguments("FILE…", "Finished logs, plain or compressed (gzip, bzip2, xz, zstd); - for standard input.")


def _command(
    *names: str, arguments: Arguments | None = None, **flags: str
) -> Callable[[Callable[[Call], None]], Callable[[Call], None]]:
    """Make a command whose options are the named knobs, with flags of its own, each with its help."""

    def decorate(function: Callable[[Call], None]) -> Callable[[Call], None]:
        parameters = []
        if arguments:
            default: Any = ... if arguments.needed else None
            about = typer.Argument(
                default,
                metavar=arguments.metavar if arguments.needed else f"[{arguments.metavar}]",
                help=arguments.help,
                show_default=False,
                autocompletion=_completion(arguments.completed_as, "paths"),
            )
            parameters.append(_parameter("paths", list[str] if arguments.needed else _OPTIONAL_TEXTS, about))
        for flag, help_ in flags.items():
            parameters.append(_parameter(flag, bool, typer.Option(False, f"--{flag.replace('_', '-')}", help=help_)))
        for name in names:
            kind: Any = list[str] if knobs()[name].repeatable else _OPTIONAL_TEXT
            kind = _OPTIONAL_SWITCH if knobs()[name].is_switch else kind
            parameters.append(_parameter(name, kind, _option(name)))

        def run(**values: Any) -> None:
            paths = values.pop("paths", None) or []
            raised = frozenset(flag for flag in flags if values.pop(flag))
            texts = {name: _texts(value) for name, value in values.items()}
            source = Source(texts, {**os.environ}, has_sources="files" in names)
            given = source.read()
            for warning in given.config.warnings if given.config else ():
                print(f"haproxy-log-exporter: {warning}", file=sys.stderr)
            send_messages(given.settings.log_level, given.settings.log_format)
            function(Call(given, source, [*paths], raised))

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command()(run)
        return function

    return decorate


def _texts(value: Any) -> list[str]:
    """Give an option's texts, none where it was not given."""
    if value is None or value is False or value is True:
        return [] if value is None else [str(value).lower()]
    return [value] if isinstance(value, str) else [*value]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _show_version(ctx: typer.Context, value: bool) -> None:  # noqa: FBT001 -- typer's callbacks are called so
    if value and not ctx.resilient_parsing:  # a shell may be completing what comes behind it
        print(f"haproxy-log-exporter {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(  # noqa: FBT001 -- a callback's parameter is an option
        False, "--version", help="Print the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    pass


@_command(*_SOURCES, *_COUNTING, "facilities", "start", "state", "state_reset", *_SERVING, *_MESSAGES)
def serve(call: Call) -> None:
    """Follow log files, syslog, the journal or standard input, and serve the metrics."""
    from haproxy_log_exporter.service import Service, allow_files  # noqa: PLC0415 -- a fast start for the other commands

    allow_files()
    supervisor = Supervisor(os.environ, os.getpid())
    service = Service(call.given, call.source.read, inherit_sockets(os.environ), supervisor)
    service.stop_on_signals()
    service.run()


@_command(*_COUNTING, *_MESSAGES, arguments=_LOGS)
def count(call: Call) -> None:
    """Read finished logs and print the metrics of all of them."""
    from haproxy_log_exporter.counting import count_files  # noqa: PLC0415 -- not needed by the other commands

    count_files(call.given.choice, call.paths)


@_command(*_FORMATS, *_MESSAGES, arguments=_LOGS)
def parse(call: Call) -> None:
    """Print one JSON object for each line."""
    from haproxy_log_exporter.counting import parse_files  # noqa: PLC0415 -- not needed by the other commands

    parse_files(call.given.choice, call.paths)


@_command(
    *_COUNTING,
    *_MESSAGES,
    arguments=replace(_LOGS, needed=False),
    json=_JSON,
    suggest_templates="Print the templates that fit the logs' paths, for --path-templates.",
)
def check(call: Call) -> None:
    """Verify options and configuration files; of logs, tell how much is read, and why the rest is not."""
    if "suggest_templates" in call.flags:
        from haproxy_log_exporter.suggestions import print_templates  # noqa: PLC0415 -- not needed otherwise

        print_templates(call.given.choice, call.paths, as_json="json" in call.flags)
        return
    from haproxy_log_exporter.checking import check  # noqa: PLC0415 -- not needed by the other commands

    check(call.given, call.paths, as_json="json" in call.flags)


@_command(
    arguments=Arguments("FORMAT…", "HAProxy log-format strings, or presets' names.", completed_as="formats"), json=_JSON
)
def explain(call: Call) -> None:
    """Show a log-format string item by item."""
    from haproxy_log_exporter.explaining import explain_formats  # noqa: PLC0415 -- not needed by the other commands

    explain_formats(call.paths, as_json="json" in call.flags)


@_command(*_SERVING, *_MESSAGES)
def demo(call: Call) -> None:
    """Show the whole on replayed lines, without HAProxy."""
    from haproxy_log_exporter.demo import run_demo  # noqa: PLC0415 -- not needed by the other commands

    run_demo(call.given.settings)
