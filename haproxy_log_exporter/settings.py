"""The knobs: each declared once, with its option, default and help, and read from text the same way wherever it is set.

The command line and the environment both give texts; `read_settings` makes Settings of them, or names every mistake.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from haproxy_log_exporter.address import Address, read_address
from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.labels.catalogue import DEFAULT_LABELS, Fillable
from haproxy_log_exporter.labels.limits import MOST_SERIES, MOST_VALUES, MOST_VALUES_OF
from haproxy_log_exporter.labels.templates import read_template
from haproxy_log_exporter.logformat.envelopes import FACILITIES
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, DEFAULT_METRICS, METRICS
from haproxy_log_exporter.optionvalues import (
    SyslogURL,
    one_of,
    read_bound,
    read_duration,
    read_group,
    read_metric,
    read_mode,
    read_most_values,
    read_network,
    read_path,
    read_switch,
    read_syslog,
    read_text,
    read_unit,
    whole_number,
)
from haproxy_log_exporter.sources.kernel import MOST_RECEIVE_BUFFER, RECEIVE_BUFFER
from haproxy_log_exporter.sources.senders import Network

NOTHING_TO_READ = "nothing to read: give --file GLOB, --syslog URL, --journal UNIT or --stdin"

ENVIRONMENT_PREFIX = "HAPROXY_LOG_EXPORTER_"

# What a shell completes; captured headers are labels as well, by names and numbers of their own.
_LABELS = tuple(name for name in Fillable(KINDS.keys(), {}, frozenset()).labels() if name.isidentifier())
_METRICS = tuple(metric.name for metric in METRICS)
_PRESETS = tuple(preset.name for preset in PRESETS)
_SCHEMES = ("udp://", "tcp://", "tls://", "unix:///")


@dataclass(frozen=True, slots=True)
class Knob:
    """One option: its flags, how its text is read, and its help."""

    flags: tuple[str, ...]
    read: Callable[[str], Any]
    help: str
    metavar: str
    repeatable: bool = False
    splits: bool = False  # a comma divides values
    is_switch: bool = False  # on the command line it has no value
    is_keyed: bool = False  # it is KEY=VALUE
    stands_for: tuple[str, ...] = ()  # what an empty default means: those of these that the formats can fill
    choices: tuple[str, ...] = ()  # values, or how they begin, that a shell completes

    @property
    def option(self) -> str:
        """The long flag."""
        return self.flags[-1]

    @property
    def name(self) -> str:
        """The long flag without its dashes: its name in the configuration file."""
        return self.option.lstrip("-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.option.lstrip("-").upper().replace("-", "_").replace(".", "_")

    def complete(self, text: str, given: Sequence[str] = ()) -> list[str]:
        """List the values that begin with a text, but for those that are there already, in it or given before it."""
        *before, last = text.split(",") if self.splits else [text]
        if not all(map(str.isidentifier, before)):
            return []
        there = {part for each in given for part in (each.split(",") if self.splits else [each])}.union(before)
        return [
            ",".join([*before, choice]) for choice in self.choices if choice.startswith(last) and choice not in there
        ]


def _knob(default: Any, *flags: str, read: Callable[[str], Any], **rest: Any) -> Any:
    return field(default=default, metadata={"knob": Knob(flags, read, **rest)})


def _choice(default: Any, *flags: str, choices: tuple[str, ...], **rest: Any) -> Any:
    """Declare a knob that takes these words alone."""
    return _knob(default, *flags, read=one_of(*choices), choices=choices, **rest)


@dataclass(frozen=True)
class Settings:
    """All that can be set."""

    config: str = _knob(
        "", "--config", read=read_text, metavar="PATH",
        help="Read options from a file in YAML, by their names without dashes in front; those given here come first.",
    )  # fmt: skip
    files: tuple[str, ...] = _knob(
        (), "-f", "--file", read=read_text, metavar="GLOB", repeatable=True,
        help="Follow the files that match; those that appear later are read from their beginning.",
    )  # fmt: skip
    syslog: tuple[SyslogURL, ...] = _knob(
        (), "--syslog", read=read_syslog, choices=_SCHEMES, metavar="URL", repeatable=True,
        help="Listen for HAProxy: udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, or unix:///PATH for datagrams.",
    )  # fmt: skip
    allow: tuple[Network, ...] = _knob(
        (), "--syslog-allow", read=read_network, metavar="CIDR", repeatable=True,
        help="Take syslog from these networks alone; from all without it.",
    )  # fmt: skip
    max_connections: int = _knob(
        256, "--syslog-max-connections", read=whole_number(1, 1_000_000), metavar="N",
        help="Connections that an address of tcp:// or tls:// may have at a time.",
    )  # fmt: skip
    receive_buffer: int = _knob(
        RECEIVE_BUFFER, "--syslog-receive-buffer", read=whole_number(4096, MOST_RECEIVE_BUFFER), metavar="BYTES",
        help="What a socket of udp:// is to hold of what is not read yet, as far as the system grants it.",
    )  # fmt: skip
    tls_certificate: str = _knob(
        "", "--syslog-tls-certificate", read=read_text, metavar="PATH",
        help="The certificate for tls://, with its chain, in PEM.",
    )  # fmt: skip
    tls_key: str = _knob(
        "", "--syslog-tls-key", read=read_text, metavar="PATH",
        help="The certificate's key, where it is not in the same file.",
    )  # fmt: skip
    tls_client_ca: str = _knob(
        "", "--syslog-tls-client-ca", read=read_text, metavar="PATH",
        help="Take connections of tls:// only with a certificate that one of these authorities has signed.",
    )  # fmt: skip
    unix_mode: str = _knob(
        "0666", "--syslog-unix-mode", read=read_mode, metavar="MODE", help="Who may send to unix://, as chmod has it.",
    )  # fmt: skip
    unix_group: str = _knob(
        "", "--syslog-unix-group", read=read_group, metavar="GROUP", help="The group of the socket of unix://.",
    )  # fmt: skip
    journal: tuple[str, ...] = _knob(
        (), "-j", "--journal", read=read_unit, metavar="UNIT", repeatable=True,
        help="Follow a unit's entries in the systemd journal: haproxy.",
    )  # fmt: skip
    journal_directory: str = _knob(
        "", "--journal-directory", read=read_text, metavar="PATH",
        help="Read the journal in this directory; without it, this machine's.",
    )  # fmt: skip
    stdin: bool = _knob(
        False, "--stdin", read=read_switch, metavar="", is_switch=True,
        help="Read standard input; end when it does, where nothing else is read.",
    )  # fmt: skip
    labels: tuple[str, ...] = _knob(
        (), "-l", "--labels", read=read_text, choices=_LABELS, metavar="A,B,…",
        repeatable=True, splits=True, stands_for=DEFAULT_LABELS, help="Labels of every log metric.",
    )  # fmt: skip
    metrics: tuple[str, ...] = _knob(
        (), "--metrics", read=read_text, choices=_METRICS, metavar="A,B,…",
        repeatable=True, splits=True, stands_for=DEFAULT_METRICS, help="The log metrics to keep, without their prefix.",
    )  # fmt: skip
    buckets: tuple[str, ...] = _knob(
        DEFAULT_BUCKETS, "--buckets", read=read_bound, metavar="0.005,…", repeatable=True, splits=True,
        help="Upper bounds of the duration histograms, in seconds.",
    )  # fmt: skip
    own_metrics: tuple[MetricChoice, ...] = _knob(
        (), "--metric", read=read_metric, choices=_METRICS, metavar="NAME:LABELS:BUCKETS", repeatable=True,
        help="Keep a metric, with labels and buckets of its own; where one is left out, with those of all.",
    )  # fmt: skip
    path_templates: tuple[str, ...] = _knob(
        (), "--path-template", read=read_template, metavar="TEMPLATE", repeatable=True,
        help="Write http_request_path so where it fits: /users/{id}/orders. The most specific one comes first.",
    )  # fmt: skip
    path_template_files: tuple[str, ...] = _knob(
        (), "--path-templates", read=read_text, metavar="FILE", repeatable=True,
        help="Read templates from a file: one a line, or an OpenAPI document in YAML or JSON.",
    )  # fmt: skip
    path_ids: bool = _knob(
        True, "--path-ids", read=read_switch, metavar="", is_switch=True,
        help="Write numbers, UUIDs, hashes, tokens and dates in paths as {id}, {uuid}, {hex}, {token}, {date}.",
    )  # fmt: skip
    path_depth: int = _knob(
        0, "--path-depth", read=whole_number(1, 1000), metavar="N",
        help="Keep the first N segments of paths that fit no template.",
    )  # fmt: skip
    most_values: tuple[tuple[str, int], ...] = _knob(
        (), "--max-label-values", read=read_most_values, metavar="[LABEL=]N",
        repeatable=True, splits=True, is_keyed=True,
        help="How many values a label may have; what comes later becomes other.",
    )  # fmt: skip
    most_series: int = _knob(
        MOST_SERIES, "--max-series", read=whole_number(1, 100_000_000), metavar="N",
        help="How many label sets a metric may have; in those that come later, all labels become other.",
    )  # fmt: skip
    series_idle: float = _knob(
        0.0, "--series-idle", read=read_duration, metavar="DURATION",
        help="Drop a series that has had no traffic for so long: 7d, 12h. Without it they all stay.",
    )  # fmt: skip
    formats: tuple[str, ...] = _knob(
        (), "--format", read=read_text, choices=_PRESETS, metavar="NAME_OR_LOG_FORMAT", repeatable=True,
        help="A preset's name or a HAProxy log-format string, tried in this order; all presets without it.",
    )  # fmt: skip
    haproxy_config: tuple[str, ...] = _knob(
        (), "--haproxy-config", read=read_text, metavar="PATH", repeatable=True,
        help="Take formats, and the names of captured headers, from haproxy.cfg or a directory of *.cfg.",
    )  # fmt: skip
    parser: str = _choice(
        "compiled", "--parser", choices=("compiled", "haproxy-log-analysis"), metavar="ENGINE",
        help="compiled, or the haproxy_log_analysis library (slow; httplog only).",
    )  # fmt: skip
    start: str = _choice(
        "end", "--start", choices=("end", "beginning"), metavar="WHERE",
        help="Where a file, or the journal, is read from at the first start: end or beginning.",
    )  # fmt: skip
    state: str = _knob(
        "", "--state", read=read_text, metavar="PATH",
        help="Keep counts and positions in this file, so that they survive.",
    )  # fmt: skip
    state_reset: bool = _knob(
        False, "--state-reset", read=read_switch, metavar="", is_switch=True,
        help="Start with a new state, and keep the one before beside it.",
    )  # fmt: skip
    facilities: tuple[str, ...] = _choice(
        (), "--facility", choices=FACILITIES, metavar="NAME", repeatable=True,
        help="Of syslog, read these facilities alone: local0. A line that names none is read as well.",
    )  # fmt: skip
    sample_weight: int = _knob(
        1, "--sample-weight", read=whole_number(1, 9999), metavar="N",
        help="Count each line N times, where HAProxy logs one of N (log … sample 1:N).",
    )  # fmt: skip
    listen_address: Address = _knob(
        Address("", 9129), "--web.listen-address", read=read_address, metavar="ADDRESS",
        help="Where to serve the metrics: HOST:PORT, or :PORT for all addresses.",
    )  # fmt: skip
    telemetry_path: str = _knob(
        "/metrics", "--web.telemetry-path", read=read_path, metavar="PATH", help="The path of the metrics.",
    )  # fmt: skip
    log_level: str = _choice(
        "info", "--log.level", choices=("debug", "info", "warning", "error"), metavar="LEVEL",
        help="debug, info, warning or error.",
    )  # fmt: skip
    log_format: str = _choice(
        "logfmt", "--log.format", choices=("logfmt", "json"), metavar="FORMAT",
        help="logfmt or json, for the exporter's own messages on standard error.",
    )  # fmt: skip


def knobs() -> dict[str, Knob]:
    """List all knobs by their name in Settings."""
    return {row.name: row.metadata["knob"] for row in fields(Settings)}


# Defaults that say more than their value does.
_DEFAULT_TEXTS = {
    "most_values": ",".join([str(MOST_VALUES), *(f"{label}={most}" for label, most in MOST_VALUES_OF)]),
    "path_depth": "",
    "series_idle": "",
}


def default_text(name: str) -> str:
    """Write a knob's default as it would be given."""
    if name in _DEFAULT_TEXTS:
        return _DEFAULT_TEXTS[name]
    default: object = next(row.default for row in fields(Settings) if row.name == name)
    if knobs()[name].is_switch:
        return "on" if default else ""
    default = knobs()[name].stands_for or default
    return ",".join(default) if isinstance(default, tuple) else str(default)


def read_settings(
    given: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    written: Mapping[str, Sequence[Text]] | None = None,
) -> tuple[Settings, list[str]]:
    """Make Settings of texts: what was given by name, else the environment, else a file, else the defaults.

    Only the knobs that are named in `given` are looked for in the environment, which has a value a line of an option
    that can be repeated. `written` are the options of the configuration file by their names there. Every mistake is
    told, naming its option, variable or place; the default stands there, so that the rest can be looked at as well.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    places: dict[str, str] = {}
    found = find_texts(given, environment, written or {})
    for name, knob in knobs().items():
        texts = found[name]
        if not texts:
            continue
        places[name] = texts[0].place
        read = []
        for text in texts:
            for part in text.text.split(",") if knob.splits else [text.text]:
                try:
                    read.append(knob.read(part.strip() if knob.splits else part))
                except ValueError as error:
                    problems.append(f"{text.place}: {error}")
        if read:
            several = tuple(read) if knob.is_keyed else tuple(dict.fromkeys(read))
            values[name] = several if knob.repeatable else read[-1]
    bounds = [*map(float, values.get("buckets", ()))]
    if any(lower >= upper for lower, upper in pairwise(bounds)):
        problems.append(f"{places['buckets']}: {','.join(values['buckets'])} does not ascend")
    problems += _find_what_does_not_fit(values, places)
    return Settings(**values), problems


def find_texts(
    given: Mapping[str, Sequence[str]], environment: Mapping[str, str], written: Mapping[str, Sequence[Text]]
) -> dict[str, Sequence[Text]]:
    """Find the texts of each knob, as `read_settings`; their places are what messages about them begin with."""
    return {
        name: _texts(knob, given.get(name), environment, written.get(knob.name, ())) for name, knob in knobs().items()
    }


def _texts(
    knob: Knob, given: Sequence[str] | None, environment: Mapping[str, str], written: Sequence[Text]
) -> Sequence[Text]:
    if given:
        return [Text(text, knob.option) for text in given]
    if given is not None and environment.get(knob.variable):
        text = environment[knob.variable]
        return [Text(each, knob.variable) for each in (text.splitlines() if knob.repeatable else [text])]
    return [Text(each.text, f"{each.place}: {knob.name}") for each in written]


# Options of syslog, and what they are for.
_SCHEMES_OF = (
    (("allow",), ("udp", "tcp", "tls")),
    (("max_connections",), ("tcp", "tls")),
    (("receive_buffer",), ("udp",)),
    (("unix_mode", "unix_group"), ("unix",)),
)


def _find_what_does_not_fit(values: Mapping[str, Any], places: Mapping[str, str]) -> list[str]:
    """Tell where options want others that are not there."""
    schemes = {url.scheme for url in values.get("syslog", ())}
    problems = []
    if "tls" in schemes and "tls_certificate" not in values:
        problems.append(f"{places['syslog']}: tls:// needs --syslog-tls-certificate PATH")
    if "tls" not in schemes:
        given = (places[name] for name in ("tls_certificate", "tls_key", "tls_client_ca") if name in values)
        problems += [f"{place}: there is no --syslog tls://HOST:PORT" for place in given]
    for names, wanted in _SCHEMES_OF:
        if schemes and schemes.isdisjoint(wanted):  # without any, systemd may hand sockets down
            given = (places[name] for name in names if name in values)
            problems += [f"{place}: there is no --syslog of {'://, '.join(wanted)}://" for place in given]
    if "journal_directory" in values and not values.get("journal"):
        problems.append(f"{places['journal_directory']}: there is no --journal UNIT")
    if values.get("state_reset") and not values.get("state"):
        problems.append(f"{places['state_reset']}: there is no --state PATH")
    return problems
