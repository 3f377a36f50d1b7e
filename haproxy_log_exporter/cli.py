"""The command line. Options come from the knobs of Settings; each command names those that concern it."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Optional

import typer

from haproxy_log_exporter import __version__
from haproxy_log_exporter.configuration import ConfigFiles
from haproxy_log_exporter.engine import Choice, find_mistakes
from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.formats import Format, configured_formats
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig
from haproxy_log_exporter.messages import send_messages
from haproxy_log_exporter.settings import NOTHING_TO_READ, Settings, default_text, knobs, read_settings
from haproxy_log_exporter.sockets import are_inherited, inherit_sockets
from haproxy_log_exporter.supervision import Supervisor

_FORMATS = ("formats", "haproxy_config", "parser")
_COUNTING = ("labels", "metrics", "buckets", *_FORMATS, "sample_weight")
_MESSAGES = ("log_level", "log_format")
_SERVING = ("listen_address", "telemetry_path")
_SYSLOG = ("syslog", "allow", "max_connections", "receive_buffer", "tls_certificate", "tls_key", "tls_client_ca")
_SOURCES = ("files", *_SYSLOG, "unix_mode", "unix_group", "journal", "journal_directory", "stdin")

_WRONG_USAGE = 2

_OPTIONAL_TEXT = Optional[str]  # noqa: UP045 -- typer 0.7 does not know `str | None`
_OPTIONAL_TEXTS = Optional[list[str]]  # noqa: UP045 -- typer 0.7 does not know `| None`

app = typer.Typer(
    help="Prometheus metrics from HAProxy's log lines.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True, slots=True)
class Given:
    """What a command was given: the settings, what of them says what is counted, and its arguments."""

    settings: Settings
    choice: Choice
    files: ConfigFiles | None
    config: HAProxyConfig | None
    paths: list[str]
    as_json: bool


def main() -> None:
    """Run the command line; mistakes and refusals become messages and exit codes."""
    try:
        app()
    except UsageError as error:
        _fail(error.messages, _WRONG_USAGE)
    except OperationError as error:
        _fail([str(error)], 1)
    except BrokenPipeError:
        # Whoever read the output has enough; what is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(messages: Sequence[str], status: int) -> NoReturn:
    for message in messages:
        print(f"haproxy-log-exporter: {message}", file=sys.stderr)
    sys.exit(status)


def _option(name: str) -> Any:
    knob = knobs()[name]
    if knob.is_switch:
        return typer.Option(False, *knob.flags, help=f"{knob.help} [{knob.variable}]", show_default=False)
    default = default_text(name)
    notes = f" [{knob.variable}]" + (f" [default: {default}]" if default else "")
    return typer.Option(
        [] if knob.repeatable else None, *knob.flags, help=knob.help + notes, metavar=knob.metavar, show_default=False
    )


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a command takes besides options."""

    metavar: str
    help: str
    needed: bool = True


_LOGS = Arguments("FILE…", "Finished logs, plain or compressed (gzip, bzip2, xz, zstd); - for standard input.")


def _command(
    *names: str, arguments: Arguments | None = None, json: bool = False
) -> Callable[[Callable[[Given], None]], Callable[[Given], None]]:
    """Make a command whose options are the named knobs, and --json where it can print so."""

    def decorate(function: Callable[[Given], None]) -> Callable[[Given], None]:
        parameters = []
        if arguments:
            default: Any = ... if arguments.needed else None
            about = typer.Argument(default, metavar=arguments.metavar, help=arguments.help, show_default=False)
            parameters.append(_parameter("paths", list[str] if arguments.needed else _OPTIONAL_TEXTS, about))
        if json:
            parameters.append(_parameter("as_json", bool, typer.Option(False, "--json", help="Print one JSON object.")))
        for name in names:
            kind: Any = list[str] if knobs()[name].repeatable else _OPTIONAL_TEXT
            kind = bool if knobs()[name].is_switch else kind
            parameters.append(_parameter(name, kind, _option(name)))

        def run(**given: Any) -> None:
            paths, as_json = given.pop("paths", None) or [], given.pop("as_json", False)
            given = {name: "true" if value is True else value for name, value in given.items()}
            texts = {name: [value] if isinstance(value, str) else value or [] for name, value in given.items()}
            settings, problems = read_settings(texts, os.environ)
            files = ConfigFiles(settings.haproxy_config) if settings.haproxy_config else None
            choice, config = _choose(settings, files, problems)
            if "formats" in names:  # without haproxy.cfg it cannot be told which labels can be filled
                problems += find_mistakes(choice, formats_alone=bool(files and not config))
            if "files" in names:
                problems += _find_missing_sources(settings, say_none=not problems)
            if problems:
                raise UsageError(*problems)
            send_messages(settings.log_level, settings.log_format)
            function(Given(settings, choice, files, config, [*paths], as_json))

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command()(run)
        return function

    return decorate


def _find_missing_sources(settings: Settings, *, say_none: bool) -> list[str]:
    """Tell what is missing to read the sources, or, if it is to be said, that there are none."""
    problems = []
    if settings.stdin and sys.stdin is None:  # what is opened first would be taken for it
        problems.append("--stdin: standard input is closed")
    if settings.tls_certificate or settings.journal:
        from haproxy_log_exporter.opening import find_missing  # noqa: PLC0415 -- TLS is slow to load

        problems += find_missing(settings)
    given = settings.files or settings.syslog or settings.journal or settings.stdin or are_inherited(os.environ)
    return problems if given or problems or not say_none else [NOTHING_TO_READ]


def _choose(settings: Settings, files: ConfigFiles | None, problems: list[str]) -> tuple[Choice, HAProxyConfig | None]:
    """Say what is to be counted, by haproxy.cfg too; mistakes there are added to the problems."""
    configured: tuple[Format, ...] = ()
    config = None
    if files:
        try:
            config = files.read()
            configured = configured_formats(config)
            for warning in config.warnings:
                print(f"haproxy-log-exporter: {warning}", file=sys.stderr)
        except UsageError as error:
            problems += error.messages
            config = None
    choice = Choice(
        settings.labels,
        settings.metrics,
        settings.buckets,
        settings.formats,
        settings.parser,
        configured,
        settings.sample_weight,
    )
    return choice, config


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _show_version(value: bool) -> None:  # noqa: FBT001 -- typer's callbacks are called so
    if value:
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
def serve(given: Given) -> None:
    """Follow log files, syslog, the journal or standard input, and serve the metrics."""
    from haproxy_log_exporter.service import Service, allow_files  # noqa: PLC0415 -- a fast start for the other commands

    allow_files()
    supervisor = Supervisor(os.environ, os.getpid())
    service = Service(given.settings, given.choice, given.files, inherit_sockets(os.environ), supervisor)
    service.stop_on_signals()
    service.run()


@_command(*_COUNTING, *_MESSAGES, arguments=_LOGS)
def count(given: Given) -> None:
    """Read finished logs and print the metrics of all of them."""
    from haproxy_log_exporter.counting import count_files  # noqa: PLC0415 -- not needed by the other commands

    count_files(given.choice, given.paths)


@_command(*_FORMATS, *_MESSAGES, arguments=_LOGS)
def parse(given: Given) -> None:
    """Print one JSON object for each line."""
    from haproxy_log_exporter.counting import parse_files  # noqa: PLC0415 -- not needed by the other commands

    parse_files(given.choice, given.paths)


@_command(*_COUNTING, *_MESSAGES, arguments=replace(_LOGS, needed=False), json=True)
def check(given: Given) -> None:
    """Verify options and haproxy.cfg; of logs, tell how much is read, and why the rest is not."""
    from haproxy_log_exporter.checking import check  # noqa: PLC0415 -- not needed by the other commands

    check(given.choice, given.config, given.paths, as_json=given.as_json)


@_command(arguments=Arguments("FORMAT…", "HAProxy log-format strings, or presets' names."), json=True)
def explain(given: Given) -> None:
    """Show a log-format string item by item."""
    from haproxy_log_exporter.explaining import explain_formats  # noqa: PLC0415 -- not needed by the other commands

    explain_formats(given.paths, as_json=given.as_json)


@_command(*_SERVING, *_MESSAGES)
def demo(given: Given) -> None:
    """Show the whole on replayed lines, without HAProxy."""
    from haproxy_log_exporter.demo import run_demo  # noqa: PLC0415 -- not needed by the other commands

    run_demo(given.settings)
