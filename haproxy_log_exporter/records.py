"""One line at a time, with all its fields: for `parse`, and for the time of a source's newest line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from haproxy_log_exporter.labels.catalogue import Label, Reading, read_label
from haproxy_log_exporter.logformat.compiler import compile_message
from haproxy_log_exporter.logformat.envelopes import find_message
from haproxy_log_exporter.logformat.fields import KINDS, NUMBERS, Kind
from haproxy_log_exporter.logformat.notation import PLAIN, Notation
from haproxy_log_exporter.logformat.presets import NOTICES
from haproxy_log_exporter.logformat.reader import Extent, Reader, Rows
from haproxy_log_exporter.logformat.wrappers import Unwrapped, Unwrapper

_CONNECTIONS = ("actconn", "feconn", "beconn", "srv_conn")
_OWN_KEYS = frozenset({"kind", "format", "truncated", "repeated", "connections", "line"})  # no field's
_READ_AS_LABELS = {
    "http_request_path": Label("http_request_path", "http_request_path", Reading.PATH),
    "http_version": Label("http_version", "http_version", Reading.VERSION),
}
_NUMBER = re.compile(rb"[-+]?[0-9]{1,19}")
_DATES = ("%d/%b/%Y:%H:%M:%S.%f", "%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y:%H:%M:%S")

Fields = dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Record:
    """What a line is, its fields' bytes, and how they stand in it; fields that the line lacks are None."""

    kind: str
    format: str
    truncated: bool
    fields: Fields
    notations: Mapping[str, Notation] = field(default_factory=dict)


class Parsed(NamedTuple):
    """A line, what it is, and for how many it stands."""

    line: bytes
    record: Record
    times: int = 1


class Parser:
    """Reads single lines in any of several formats; `overlong` counts those that were too long when joined of parts."""

    def __init__(self, readers: Sequence[Reader], *, reorder: bool = True) -> None:
        """Take readers of which every group is one field. With `reorder`, the last line's format is tried first."""
        self._readers = [*readers]
        self._reorder = reorder
        self.overlong = 0
        self._notices = [(notice.kind, compile_message(notice.pattern)) for notice in NOTICES]

    def parse(self, line: bytes) -> Record:
        """Read a line, without its newline."""
        return self._parse_whole(line + b"\n") or self._parse_rest(line)

    def parse_wrapped(self, line: bytes, unwrapper: Unwrapper) -> Iterator[Parsed]:
        """Read a line that may be in a wrapper: what is in it, which may be several lines, or none yet."""
        record = self._parse_whole(line + b"\n")
        if record:
            yield Parsed(line, record)
        else:
            yield from self.parse_unwrapped(unwrapper.unwrap(line + b"\n"))

    def parse_unwrapped(self, found: Unwrapped) -> Iterator[Parsed]:
        """Read what was in wrappers, and what was in none and is no whole line."""
        self.overlong += found.overlong
        for line in found.rest.split(b"\n")[:-1]:
            yield Parsed(line, self._parse_rest(line))
        for times, lines in ((1, found.lines), *found.repeated):
            for line in lines.split(b"\n")[:-1]:
                yield Parsed(line, self.parse(line), times)

    def _parse_whole(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Record | None:
        for position, reader in enumerate(self._readers):
            rows = reader.read(chunk, extent)
            if rows.lines:
                if self._reorder:
                    self._readers.insert(0, self._readers.pop(position))
                return _record(reader, rows, truncated=extent is Extent.CUT)
        return None

    def _parse_rest(self, line: bytes) -> Record:
        """Read a line that is none of the formats' as it is, in the steps of the pipeline."""
        chunk = line + b"\n"
        if record := self._parse_whole(chunk, Extent.LOOSE):
            return record
        for _, pattern in self._notices:
            if pattern.split(chunk)[1] is None:
                return Record("notice", "", truncated=False, fields={"message": _message(line)})
        return self._parse_whole(chunk, Extent.CUT) or Record("rejected", "", truncated=False, fields={})


def _record(reader: Reader, rows: Rows, *, truncated: bool) -> Record:
    fields = {group[0]: column[0] for group, column in zip(reader.groups, rows.columns, strict=True)}
    return Record(reader.kind, reader.name, truncated, fields, reader.notations)


def _message(line: bytes) -> bytes:
    """Cut the envelope off a notice."""
    return line[find_message(line) :]


def as_json(record: Record, line: bytes, times: int = 1) -> dict[str, Any]:
    """Write a record as the contract's object, in its order; `repeated` where it stands for several lines."""
    found: dict[str, Any] = {"kind": record.kind}
    _put(found, "format", record.format or None)
    _put(found, "truncated", record.truncated or None)
    _put(found, "repeated", times if times > 1 else None)
    for name, kind in KINDS.items():
        if name == _CONNECTIONS[0]:
            counts = [_value(record, each, KINDS[each]) for each in _CONNECTIONS]
            if any(count is not None for count in counts):
                found["connections"] = counts
        elif name not in _CONNECTIONS:
            _put(found, name, _value(record, name, kind))
    for name in record.fields:
        if name not in KINDS:
            _put(found, f"{name}_" if name in _OWN_KEYS else name, _value(record, name, Kind.TEXT))
    if record.kind == "rejected":
        found["line"] = line.decode("utf-8", "replace")
    return found


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        found[name] = value


def _value(record: Record, name: str, kind: Kind) -> Any:
    """Give a field's value as JSON has it; None where the line lacks it."""
    raw = record.fields.get(name)
    if raw is None:
        return None
    notation = record.notations.get(name, PLAIN)
    if name in _READ_AS_LABELS:
        return read_label(_READ_AS_LABELS[name], raw, notation) or None
    if kind is Kind.FLAG:
        return read_label(Label(name, name, Reading.FLAG), raw, notation) == "true"
    if kind is Kind.LIST:
        return [header.decode("utf-8", "replace") for header in notation.headers(raw)] or None
    value = notation.value(raw)
    if value is None:
        return None
    if kind not in NUMBERS:
        return value.decode("utf-8", "replace")
    return int(value) if _NUMBER.fullmatch(value) else None


def line_time(record: Record, to_local: Callable[[datetime], datetime] = datetime.astimezone) -> float | None:
    """Tell when a line was written, in seconds since the epoch: its accept date and what it took from there."""
    date = record.fields.get("accept_date")
    if not date:
        return None
    for layout in _DATES:
        try:
            moment = datetime.strptime(date.decode("latin-1"), layout)  # noqa: DTZ007 -- HAProxy's local time
        except ValueError:
            continue
        took = record.fields.get("time_total") or b"0"
        try:
            return to_local(moment).timestamp() + max(0, int(took)) / 1000
        except (OverflowError, ValueError):  # a year that the calendar does not have
            return None
    return None
