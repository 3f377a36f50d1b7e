"""The knobs: each declared once, with its option, default and help, and read from text the same way wherever it is set.

The command line and the environment both give texts; `read_settings` makes Settings of them, or names every mistake.
"""

import grp
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

from haproxy_log_exporter.address import Address, read_address, readable
from haproxy_log_exporter.labels.catalogue import DEFAULT_LABELS
from haproxy_log_exporter.logformat.envelopes import FACILITIES
from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, DEFAULT_METRICS
from haproxy_log_exporter.sources.kernel import MOST_RECEIVE_BUFFER, RECEIVE_BUFFER
from haproxy_log_exporter.sources.listening import LONGEST_SOCKET_PATH
from haproxy_log_exporter.sources.senders import Network

NOTHING_TO_READ = "nothing to read: give --file GLOB, --syslog URL, --journal UNIT or --stdin"

_LARGEST_GROUP = 0xFFFF_FFFE  # the number after it stands for none

# systemd.unit(5): what a name may end in.
_UNITS = ("service", "socket", "scope", "slice", "target", "timer", "mount", "path", "device", "swap", "automount")

ENVIRONMENT_PREFIX = "HAPROXY_LOG_EXPORTER_"


@dataclass(frozen=True, slots=True)
class SyslogURL:
    """Where to listen for syslog: an address, or of `unix` a path; `text` is how the user wrote it."""

    text: str
    scheme: str
    address: Address
    path: str = ""


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
    stands_for: tuple[str, ...] = ()  # what an empty default means: those of these that the formats can fill

    @property
    def option(self) -> str:
        """The long flag."""
        return self.flags[-1]

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.option.lstrip("-").upper().replace("-", "_").replace(".", "_")


def _knob(default: Any, *flags: str, read: Callable[[str], Any], **rest: Any) -> Any:
    return field(default=default, metadata={"knob": Knob(flags, read, **rest)})


def _text(text: str) -> str:
    if not text.strip():
        message = "is empty"
        raise ValueError(message)
    return text


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        message = f"{text!r} is neither true nor false"
        raise ValueError(message)
    return text.lower() == "true"


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            message = f"{text!r} is not one of {', '.join(choices)}"
            raise ValueError(message)
        return text

    return read


def _bound(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        message = f"{text!r} is not a number of seconds above 0"
        raise ValueError(message)
    return text


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,11}", text) or not least <= int(text) <= most:
            message = f"{text!r} is not a whole number from {least} to {most}"
            raise ValueError(message)
        return int(text)

    return read


def _syslog(text: str) -> SyslogURL:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("udp", "tcp", "tls", "unix"):
        message = (
            f"{text!r} is no address to listen on; it is udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT, with "
            "[::1] for IPv6, or unix:///PATH"
        )
        raise ValueError(message)
    if scheme != "unix":
        return SyslogURL(text, scheme, read_address(rest))
    if not rest.startswith("/") or rest.endswith("/") or len(os.fsencode(rest)) > LONGEST_SOCKET_PATH:
        message = f"{text!r} is no path for a socket; it is unix:///PATH, of {LONGEST_SOCKET_PATH} bytes at the most"
        raise ValueError(message)
    return SyslogURL(readable(text), scheme, Address("", 0), rest)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        message = f"{error}; it is an address or a network such as 10.0.0.0/8 or fd00::/8"
        raise ValueError(message) from error


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        message = f"{text!r} is no mode; it is three octal digits, such as 0660"
        raise ValueError(message)
    return text


def _group(text: str) -> str:
    try:
        return text if text.isdecimal() and int(text) <= _LARGEST_GROUP else str(grp.getgrnam(text).gr_gid)
    except KeyError as error:
        message = f"there is no group {text!r}"
        raise ValueError(message) from error


def _unit(text: str) -> str:
    """Complete a unit's name as systemctl does."""
    return text if _text(text).rpartition(".")[2] in _UNITS else f"{text}.service"


def _path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]+", text) or re.search(r"[?#]", text) or text.startswith("/-/"):
        message = f"{text!r} is no path for the metrics; it is /NAME in ASCII, and not under /-/"
        raise ValueError(message)
    return text


@dataclass(frozen=True)
class Settings:
    """All that can be set."""

    files: tuple[str, ...] = _knob(
        (), "-f", "--file", read=_text, metavar="GLOB", repeatable=True,
        help="Follow the files that match; those that appear later are read from their beginning.",
    )  # fmt: skip
    syslog: tuple[SyslogURL, ...] = _knob(
        (), "--syslog", read=_syslog, metavar="URL", repeatable=True,
        help="Listen for HAProxy: udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, or unix:///PATH for datagrams.",
    )  # fmt: skip
    allow: tuple[Network, ...] = _knob(
        (), "--syslog-allow", read=_network, metavar="CIDR", repeatable=True,
        help="Take syslog from these networks alone; from all without it.",
    )  # fmt: skip
    max_connections: int = _knob(
        256, "--syslog-max-connections", read=_whole_number(1, 1_000_000), metavar="N",
        help="Connections that an address of tcp:// or tls:// may have at a time.",
    )  # fmt: skip
    receive_buffer: int = _knob(
        RECEIVE_BUFFER, "--syslog-receive-buffer", read=_whole_number(4096, MOST_RECEIVE_BUFFER), metavar="BYTES",
        help="What a socket of udp:// is to hold of what is not read yet, as far as the system grants it.",
    )  # fmt: skip
    tls_certificate: str = _knob(
        "", "--syslog-tls-certificate", read=_text, metavar="PATH",
        help="The certificate for tls://, with its chain, in PEM.",
    )  # fmt: skip
    tls_key: str = _knob(
        "", "--syslog-tls-key", read=_text, metavar="PATH",
        help="The certificate's key, where it is not in the same file.",
    )  # fmt: skip
    tls_client_ca: str = _knob(
        "", "--syslog-tls-client-ca", read=_text, metavar="PATH",
        help="Take connections of tls:// only with a certificate that one of these authorities has signed.",
    )  # fmt: skip
    unix_mode: str = _knob(
        "0666", "--syslog-unix-mode", read=_mode, metavar="MODE", help="Who may send to unix://, as chmod has it.",
    )  # fmt: skip
    unix_group: str = _knob(
        "", "--syslog-unix-group", read=_group, metavar="GROUP", help="The group of the socket of unix://.",
    )  # fmt: skip
    journal: tuple[str, ...] = _knob(
        (), "-j", "--journal", read=_unit, metavar="UNIT", repeatable=True,
        help="Follow a unit's entries in the systemd journal: haproxy.",
    )  # fmt: skip
    journal_directory: str = _knob(
        "", "--journal-directory", read=_text, metavar="PATH",
        help="Read the journal in this directory; without it, this machine's.",
    )  # fmt: skip
    stdin: bool = _knob(
        False, "--stdin", read=_switch, metavar="", is_switch=True,
        help="Read standard input; end when it does, where nothing else is read.",
    )  # fmt: skip
    labels: tuple[str, ...] = _knob(
        (), "-l", "--labels", read=_text, metavar="A,B,…",
        repeatable=True, splits=True, stands_for=DEFAULT_LABELS, help="Labels of every log metric.",
    )  # fmt: skip
    metrics: tuple[str, ...] = _knob(
        (), "--metrics", read=_text, metavar="A,B,…", repeatable=True, splits=True, stands_for=DEFAULT_METRICS,
        help="The log metrics to keep, without their prefix.",
    )  # fmt: skip
    buckets: tuple[str, ...] = _knob(
        DEFAULT_BUCKETS, "--buckets", read=_bound, metavar="0.005,…", repeatable=True, splits=True,
        help="Upper bounds of the duration histograms, in seconds.",
    )  # fmt: skip
    formats: tuple[str, ...] = _knob(
        (), "--format", read=_text, metavar="NAME_OR_LOG_FORMAT", repeatable=True,
        help="A preset's name or a HAProxy log-format string, tried in this order; all presets without it.",
    )  # fmt: skip
    haproxy_config: tuple[str, ...] = _knob(
        (), "--haproxy-config", read=_text, metavar="PATH", repeatable=True,
        help="Take formats, and the names of captured headers, from haproxy.cfg or a directory of *.cfg.",
    )  # fmt: skip
    parser: str = _knob(
        "compiled", "--parser", read=_one_of("compiled", "haproxy-log-analysis"), metavar="ENGINE",
        help="compiled, or the haproxy_log_analysis library (slow; httplog only).",
    )  # fmt: skip
    start: str = _knob(
        "end", "--start", read=_one_of("end", "beginning"), metavar="WHERE",
        help="Where a file, or the journal, is read from at the first start: end or beginning.",
    )  # fmt: skip
    state: str = _knob(
        "", "--state", read=_text, metavar="PATH",
        help="Keep counts and positions in this file, so that they survive.",
    )  # fmt: skip
    state_reset: bool = _knob(
        False, "--state-reset", read=_switch, metavar="", is_switch=True,
        help="Start with a new state, and keep the one before beside it.",
    )  # fmt: skip
    facilities: tuple[str, ...] = _knob(
        (), "--facility", read=_one_of(*FACILITIES), metavar="NAME", repeatable=True,
        help="Of syslog, read these facilities alone: local0. A line that names none is read as well.",
    )  # fmt: skip
    sample_weight: int = _knob(
        1, "--sample-weight", read=_whole_number(1, 9999), metavar="N",
        help="Count each line N times, where HAProxy logs one of N (log … sample 1:N).",
    )  # fmt: skip
    listen_address: Address = _knob(
        Address("", 9129), "--web.listen-address", read=read_address, metavar="ADDRESS",
        help="Where to serve the metrics: HOST:PORT, or :PORT for all addresses.",
    )  # fmt: skip
    telemetry_path: str = _knob(
        "/metrics", "--web.telemetry-path", read=_path, metavar="PATH", help="The path of the metrics.",
    )  # fmt: skip
    log_level: str = _knob(
        "info", "--log.level", read=_one_of("debug", "info", "warning", "error"), metavar="LEVEL",
        help="debug, info, warning or error.",
    )  # fmt: skip
    log_format: str = _knob(
        "logfmt", "--log.format", read=_one_of("logfmt", "json"), metavar="FORMAT",
        help="logfmt or json, for the exporter's own messages on standard error.",
    )  # fmt: skip


def knobs() -> dict[str, Knob]:
    """List all knobs by their name in Settings."""
    return {row.name: row.metadata["knob"] for row in fields(Settings)}


def default_text(name: str) -> str:
    """Write a knob's default as it would be given."""
    default: object = next(row.default for row in fields(Settings) if row.name == name)
    if knobs()[name].is_switch:
        return ""
    default = knobs()[name].stands_for or default
    return ",".join(default) if isinstance(default, tuple) else str(default)


def read_settings(given: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Make Settings of texts: what was given by name, else the environment, else the defaults.

    Only the knobs that are named in `given` are read. A variable of an option that can be repeated has a value a line.
    Every mistake is told, naming its option or variable; the default stands in its place, so that the rest can be
    looked at as well.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, knob in knobs().items():
        if name not in given:
            continue
        texts, place = [*given[name]], knob.option
        if not texts and environment.get(knob.variable):
            text, place = environment[knob.variable], knob.variable
            texts = text.splitlines() if knob.repeatable else [text]
        if not texts:
            continue
        parts = [part.strip() for text in texts for part in text.split(",")] if knob.splits else texts
        read = []
        for part in parts:
            try:
                read.append(knob.read(part))
            except ValueError as error:
                problems.append(f"{place}: {error}")
        if read:
            values[name] = tuple(dict.fromkeys(read)) if knob.repeatable else read[-1]
    bounds = [*map(float, values.get("buckets", ()))]
    if any(lower >= upper for lower, upper in pairwise(bounds)):
        problems.append(f"--buckets: {','.join(values['buckets'])} does not ascend")
    problems += _find_what_does_not_fit(values)
    if values.get("state_reset") and not values.get("state"):
        problems.append("--state-reset: there is no --state PATH")
    return Settings(**values), problems


# Options of syslog, and what they are for.
_SCHEMES_OF = (
    (("allow",), ("udp", "tcp", "tls")),
    (("max_connections",), ("tcp", "tls")),
    (("receive_buffer",), ("udp",)),
    (("unix_mode", "unix_group"), ("unix",)),
)


def _find_what_does_not_fit(values: Mapping[str, Any]) -> list[str]:
    """Tell where options of syslog and the journal want others."""
    schemes = {url.scheme for url in values.get("syslog", ())}
    problems = []
    if "tls" in schemes and "tls_certificate" not in values:
        problems.append("--syslog: tls:// needs --syslog-tls-certificate PATH")
    if "tls" not in schemes:
        given = (knobs()[name].option for name in ("tls_certificate", "tls_key", "tls_client_ca") if name in values)
        problems += [f"{option}: there is no --syslog tls://HOST:PORT" for option in given]
    for names, wanted in _SCHEMES_OF:
        if schemes and schemes.isdisjoint(wanted):  # without any, systemd may hand sockets down
            given = (knobs()[name].option for name in names if name in values)
            problems += [f"{option}: there is no --syslog of {'://, '.join(wanted)}://" for option in given]
    if "journal_directory" in values and not values.get("journal"):
        problems.append("--journal-directory: there is no --journal UNIT")
    return problems
