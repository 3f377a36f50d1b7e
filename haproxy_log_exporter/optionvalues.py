"""From the text of an option to its value. What cannot be read is a ValueError that says what would be right."""

import grp
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import pairwise

from haproxy_log_exporter.address import Address, read_address, readable
from haproxy_log_exporter.choice import MetricChoice
from haproxy_log_exporter.sources.listening import LONGEST_SOCKET_PATH
from haproxy_log_exporter.sources.senders import Network

_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,4})?|[0-9]+\.")

_LARGEST_GROUP = 0xFFFF_FFFE  # the number after it stands for none

# systemd.unit(5): what a name may end in.
_UNITS = ("service", "socket", "scope", "slice", "target", "timer", "mount", "path", "device", "swap", "automount")


@dataclass(frozen=True, slots=True)
class SyslogURL:
    """Where to listen for syslog: an address, or of `unix` a path; `text` is how the user wrote it."""

    text: str
    scheme: str
    address: Address
    path: str = ""

    def __str__(self) -> str:
        """Write it as the user did."""
        return self.text


def read_text(text: str) -> str:
    """Take a text that is not empty."""
    if not text.strip():
        message = "is empty"
        raise ValueError(message)
    return text


def read_switch(text: str) -> bool:
    """Read true or false."""
    if text.lower() not in ("true", "false"):
        message = f"{text!r} is neither true nor false"
        raise ValueError(message)
    return text.lower() == "true"


def one_of(*choices: str) -> Callable[[str], str]:
    """Read one of some words."""

    def read(text: str) -> str:
        if text not in choices:
            message = f"{text!r} is not one of {', '.join(choices)}"
            raise ValueError(message)
        return text

    return read


def _number(text: str) -> float:
    """Read a number as Prometheus writes it; NaN is none."""
    if not _NUMBER.fullmatch(text) or math.isinf(number := float(text)):
        return math.nan
    return number


def read_bound(text: str) -> str:
    """Read a bucket's upper bound in seconds."""
    if not _number(text) > 0:
        message = f"{text!r} is not a number of seconds above 0"
        raise ValueError(message)
    return text


def read_buckets(text: str) -> tuple[str, ...]:
    """Read upper bounds that ascend."""
    bounds = tuple(bound.strip() for bound in text.split(","))
    for bound in bounds:
        if not _number(bound) >= 0:
            message = f"{bound!r} is not a bucket's upper bound: a number from 0"
            raise ValueError(message)
    if any(float(lower) >= float(upper) for lower, upper in pairwise(bounds)):
        message = f"{','.join(bounds)} does not ascend"
        raise ValueError(message)
    return bounds


def read_metric(text: str) -> MetricChoice:
    """Read a metric with its labels and buckets."""
    name, *parts = (part.strip() for part in text.split(":"))
    if not name or len(parts) > 2:  # noqa: PLR2004 -- labels and buckets
        message = f"{text!r} is no metric; it is NAME, NAME:LABELS or NAME:LABELS:BUCKETS, with commas within these"
        raise ValueError(message)
    labels, buckets = (*parts, "", "")[:2]
    if labels and "" in (names := [label.strip() for label in labels.split(",")]):
        message = f"{text!r} has a label without a name"
        raise ValueError(message)
    return MetricChoice(
        name, tuple(dict.fromkeys(names)) if labels else None, read_buckets(buckets) if buckets else None
    )


def read_most_values(text: str) -> tuple[str, int]:
    """Read how many values a label, or each, may have."""
    label, _, number = text.rpartition("=")
    if "=" in text and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label):
        message = f"{label!r} is no label; it is N, or LABEL=N"
        raise ValueError(message)
    return label, whole_number(1, 10_000_000)(number)


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_duration(text: str) -> float:
    """Read a duration as Prometheus writes it: 7d, 12h, 1h30m."""
    parts = re.findall(r"([0-9]{1,9})([smhdw])", text)
    seconds = float(sum(int(number) * _SECONDS[unit] for number, unit in parts))
    if not seconds or "".join(number + unit for number, unit in parts) != text:
        message = f"{text!r} is not a duration above 0; it is 90s, 30m, 12h, 7d or 2w"
        raise ValueError(message)
    return seconds


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Read a whole number between two."""

    def read(text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,11}", text) or not least <= int(text) <= most:
            message = f"{text!r} is not a whole number from {least} to {most}"
            raise ValueError(message)
        return int(text)

    return read


def read_syslog(text: str) -> SyslogURL:
    """Read where to listen for syslog."""
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


def read_network(text: str) -> Network:
    """Read an address or a network."""
    try:
        return ip_network(text)
    except ValueError as error:
        message = f"{error}; it is an address or a network such as 10.0.0.0/8 or fd00::/8"
        raise ValueError(message) from error


def read_mode(text: str) -> str:
    """Read a mode as chmod has it."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        message = f"{text!r} is no mode; it is three octal digits, such as 0660"
        raise ValueError(message)
    return text


def read_group(text: str) -> str:
    """Read a group, by name or number, as a number."""
    try:
        return text if text.isdecimal() and int(text) <= _LARGEST_GROUP else str(grp.getgrnam(text).gr_gid)
    except KeyError as error:
        message = f"there is no group {text!r}"
        raise ValueError(message) from error


def read_unit(text: str) -> str:
    """Complete a unit's name as systemctl does."""
    return text if read_text(text).rpartition(".")[2] in _UNITS else f"{text}.service"


def read_path(text: str) -> str:
    """Read the path of the metrics."""
    if not re.fullmatch(r"/[!-~]+", text) or re.search(r"[?#]", text) or text.startswith("/-/"):
        message = f"{text!r} is no path for the metrics; it is /NAME in ASCII, and not under /-/"
        raise ValueError(message)
    return text
