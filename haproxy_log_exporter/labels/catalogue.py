"""The labels there are, the field each is read from, and how.

A field is a label under its own name, and under the names that a format gives it; the rows here are those that are
read in another way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from haproxy_log_exporter.errors import UsageError, hint
from haproxy_log_exporter.labels.reasons import REASONS
from haproxy_log_exporter.logformat.elements import made_names
from haproxy_log_exporter.logformat.fields import KINDS, Kind
from haproxy_log_exporter.logformat.notation import PLAIN, Notation

DEFAULT_LABELS = ("status_code", "backend_name", "server_name")

Value = bytes | None  # None where the line has no such field


class Reading(Enum):
    """How a field's value becomes a label's."""

    TEXT = "text"
    FLAG = "flag"
    PATH = "path"
    VERSION = "version"
    STATUS_CLASS = "status class"
    HEADER = "header"
    REASON = "reason"


@dataclass(frozen=True, slots=True)
class Label:
    """A label by name, and its field.

    Of a captured header, the field is the list of all, and either its `place` there from 1 or its `header` is known,
    the name that haproxy.cfg gives it.
    """

    name: str
    field: str
    reading: Reading
    place: int = 0
    header: str = ""


_OWN_READING: dict[str, Reading] = {
    "http_request_path": Reading.PATH,
    "http_version": Reading.VERSION,
    "ssl": Reading.FLAG,
    "redispatched": Reading.FLAG,
}
DERIVED: dict[str, Label] = {
    "status_class": Label("status_class", "status_code", Reading.STATUS_CLASS),
    "reason": Label("reason", "message", Reading.REASON),
}
# Labels that metrics have of their own.
_TAKEN = frozenset({"reason", "le", "phase"})

# HAProxy writes "#" as #23, and other bytes as #XX: so only that, or a "#" without two digits, begins a fragment.
_FRAGMENT = re.compile(rb"#(?:23|(?![0-9A-F]{2})).*+", re.DOTALL)
_NUMBERED = re.compile(r"(request|response)_header_[1-9][0-9]?")
_HEADER = re.compile(r"(request|response)_header_(?:([1-9][0-9]?)|([a-z0-9_]+))")


@dataclass(frozen=True, slots=True)
class Fillable:
    """What the formats in use can fill.

    `fields` of all formats, `names` that formats give to some of them, and the `headers` that are captured by name,
    as `request_header_host`.
    """

    fields: AbstractSet[str]
    names: Mapping[str, str]
    headers: AbstractSet[str]

    def has(self, label: Label) -> bool:
        """Whether any format can fill the label."""
        if label.reading is Reading.HEADER:
            if label.header:
                return label.name in self.headers
            return label.field in self.fields or label.name in self.fields
        return label.field in self.fields

    def labels(self) -> list[str]:
        """List the labels, in the order of the catalogue, then those of formats alone."""
        names: list[str] = []
        for field, kind in KINDS.items():
            if field not in self.fields:
                continue
            if kind is Kind.LIST:
                names.append(f"{field[:-1]}_1, …")
            elif field != "message":
                names += [field, *(row.name for row in DERIVED.values() if row.field == field)]
        others = {*self.fields, *(self.names.keys() - made_names())} - {*KINDS} - _TAKEN
        return [*names, *sorted(others | self.headers)]


def find_labels(
    names: Sequence[str], fillable: Fillable, place: Callable[[str], str] = lambda _: "--labels"
) -> tuple[Label, ...]:
    """Look up labels by name; without any, those default ones that the formats can fill.

    `place` tells where a name was given.

    Raises:
        UsageError: for each name that none of the formats can fill, with those that can be had.
    """
    found, unknown = [], []
    for name in names or filter(fillable.fields.__contains__, DEFAULT_LABELS):
        label = _find(name, fillable)
        if label is None or name in _TAKEN or not fillable.has(label):
            unknown.append(name)
        else:
            found.append(label)
    if unknown:
        names = fillable.labels()
        there_are = ", ".join(names)
        raise UsageError(
            *(
                f"{place(name)}: no format in use can fill {name!r}{hint(name, names)}; there are {there_are}"
                for name in unknown
            )
        )
    return tuple(found)


def is_ever_a_label(name: str) -> bool:
    """Whether formats of HAProxy's own can fill a label of this name."""
    return name in KINDS or name in DERIVED or _HEADER.fullmatch(name) is not None


def error_labels() -> tuple[Label, ...]:
    """The labels of connection_errors_total."""
    return (Label("frontend_name", "frontend_name", Reading.TEXT), DERIVED["reason"])


def _find(name: str, fillable: Fillable) -> Label | None:
    # A format's own field comes before what is derived; but a header by its number may be in a list as well.
    if name in fillable.fields - KINDS.keys() and not _NUMBERED.fullmatch(name):
        return Label(name, name, Reading.TEXT)
    if name in DERIVED:
        return DERIVED[name]
    if match := _HEADER.fullmatch(name):
        return Label(name, f"{match[1]}_headers", Reading.HEADER, int(match[2] or 0), match[3] or "")
    field = fillable.names.get(name, name)
    if KINDS.get(field) is Kind.LIST:
        return None
    return Label(name, field, reading_of(field))


def reading_of(field: str) -> Reading:
    """Tell how a field's value becomes a label's."""
    return _OWN_READING.get(field, Reading.TEXT)


def read_label(label: Label, raw: Value, notation: Notation = PLAIN) -> str:
    """Read a label's value from its field: valid UTF-8, empty where the line has none."""
    if raw is None:
        return ""
    if label.reading is Reading.HEADER:
        return read_header(raw, label.place, notation)
    value = notation.value(raw) or b""
    match label.reading:
        case Reading.FLAG:
            return "false" if value in (b"", b"0", b"false") else "true"
        case Reading.PATH:  # RFC 9110, section 4.2.3: an empty path is "/"
            return "" if raw and not value else _decode(_FRAGMENT.sub(b"", value)) or "/"
        case Reading.VERSION:  # a URI that holds a blank has left its end in front
            return _decode(value.rpartition(b" ")[2])
        case Reading.STATUS_CLASS:
            return f"{value[:1].decode()}xx" if re.fullmatch(rb"[1-5][0-9][0-9]", value) else ""
        case Reading.REASON:
            text = _decode(value).partition(" (")[0]
            return text if text in REASONS else "other"
        case _:
            return _decode(value)


def read_header(raw: bytes, place: int, notation: Notation) -> str:
    """Read the captured header at a place, from 1; there is none at 0."""
    headers = notation.headers(raw)
    return _decode(headers[place - 1]) if 0 < place <= len(headers) else ""


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace")
