"""From the columns of one format's lines to the values of labels, each distinct text looked at once.

Strategy: `map` drives `dict.__getitem__` over a column, so a text that was met before costs no step of Python; one that
was not is read, rewritten and admitted by `__missing__`. Of what clients choose, as paths, all that is unknown is
gathered from the chunk and rewritten at once, and takes a place only where the request found something. So millions of
paths that do not exist are neither remembered nor slow.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress, repeat
from operator import is_, is_not
from typing import Any, Protocol

from haproxy_log_exporter.labels.limits import CAPPED, OTHER, Admission
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.reading import LabelReader
from haproxy_log_exporter.labels.rules import Rule, apply_rules
from haproxy_log_exporter.logformat.reader import Rows

# What clients choose freely.
_CHOSEN_BY_CLIENTS = frozenset({"http_request_path", "http_request_uri", "http_request_query"})

# Answers to who asks for what is not there; -1 and the like are no answer at all.
_NOTHING_FOUND = frozenset({"400", "404", "405", "414"})
_CLASSES = frozenset("12345")

# Texts that are remembered of a column, and the bytes of these: some ten megabytes.
_MOST_REMEMBERED = 1 << 16
_MOST_BYTES = 8 << 20


class Column(Protocol):
    """One label of one format's lines."""

    @property
    def admission(self) -> Admission:
        """The values that have places."""

    def values(self, rows: Rows) -> Iterable[str]:
        """Give the label's value for each row."""

    def forget(self) -> None:
        """Look at all texts again, for places were freed."""


class _Memory(dict[Any, Any]):
    """From texts to what was made of them: of so many texts and bytes at the most."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def make_room(self, texts: int, size: int) -> bool:
        """Forget all where so many texts more, of so many bytes, would be too much; tell whether it was."""
        is_too_much = len(self) + texts > _MOST_REMEMBERED or self._bytes + size > _MOST_BYTES
        if is_too_much:
            self.forget()
        self._bytes += size
        return is_too_much

    def forget(self) -> None:
        """Forget all."""
        self.clear()
        self._bytes = 0


class _Maker(_Memory):
    """Makes what is missing."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, raw: Any) -> Any:
        made = self._make(raw)
        self.make_room(1, _size(raw))
        self[raw] = made
        return made


def _size(raw: Any) -> int:
    """Give the length of a text, or of several."""
    return len(raw or b"") if raw is None or isinstance(raw, bytes) else sum(map(_size, raw))


class Raw:
    """What a label is read from: the text of one field, those of several, or of none."""

    def __init__(self, reader: LabelReader, names: Sequence[str]) -> None:
        """`names` are the fields of the format's columns."""
        self._reader = reader
        self._columns = [names.index(name) for name in reader.fields]

    def of(self, rows: Rows) -> Iterable[Any]:
        """Give what there is to be read of each row."""
        if not self._columns:
            return repeat((), rows.lines)
        if len(self._columns) == 1:
            return rows.columns[self._columns[0]]
        return zip(*(rows.columns[column] for column in self._columns), strict=True)

    def read_all(self, raws: Sequence[Any], rewriter: PathRewriter) -> list[str]:
        """Read many values, paths as they are rewritten."""
        if not (self._columns and self._reader.is_path):
            return [*map(self.read, raws)]
        empty = {*self._reader.empty}
        texts = self._reader.read_all([b"-" if raw is None else raw for raw in raws], rewriter)
        return ["" if raw in empty else text for raw, text in zip(raws, texts, strict=True)]

    def read(self, raw: Any) -> str:
        """Read the label's value."""
        texts = raw if len(self._columns) != 1 else (raw,)
        return self._reader.read(dict(zip(self._reader.fields, texts, strict=True)))


class PlainColumn:
    """A label of which each text has one value."""

    def __init__(self, raw: Raw, admission: Admission, rules: Sequence[Rule] = ()) -> None:
        """Rules change what is read before it is admitted."""
        self.admission = admission
        self._raw = raw
        self._rules = rules
        self._memory = _Maker(self._value)

    def _value(self, raw: Any) -> str:
        return self.admission.admit(apply_rules(self._rules, self._raw.read(raw)) or "")

    def values(self, rows: Rows) -> Iterable[str]:
        """Give the label's value for each row."""
        return map(self._memory.__getitem__, self._raw.of(rows))

    def forget(self) -> None:
        """Look at all texts again."""
        self._memory.forget()


class ClientColumn:
    """A label of which clients choose the values: a new one takes a place if the request found something."""

    def __init__(
        self,
        column: int,
        reader: LabelReader,
        admission: Admission,
        rules: Sequence[Rule] = (),
        rewriter: PathRewriter | None = None,
        status: Raw | None = None,
    ) -> None:
        """`column` is where the label's field is; `status` reads the code, where lines have one."""
        self.admission = admission
        self._column = column
        self._reader = reader
        self._rules = rules
        self._rewriter = rewriter
        self._status = status
        self._found = _Maker(self._has_found)
        self._known = _Memory()
        self._know_empty()

    def values(self, rows: Rows) -> list[str]:
        """Give the label's value for each row."""
        raws = rows.columns[self._column]
        values = [*map(self._known.get, raws)]
        if all(values):
            return values  # type: ignore[return-value]  # all are texts
        missing = [*map(is_, values, repeat(None))]
        found = self._found_something(rows)
        filled = iter(self._admit([*compress(raws, missing)], [*compress(found, missing)]))
        return [next(filled) if value is None else value for value in values]

    def _found_something(self, rows: Rows) -> Iterable[bool]:
        """Tell of each row whether the request found something."""
        return (
            map(self._found.__getitem__, self._status.of(rows))
            if self._status
            else repeat(object=True, times=rows.lines)
        )

    def _admit(self, raws: Sequence[bytes | None], found: Sequence[bool]) -> list[str]:
        """Give the values of texts that are unknown, by whether the requests found something."""
        texts = self._texts(raws)
        places = self.admission.values
        known = map(places.get, texts)
        if self.admission.is_full:
            refusals = (OTHER, CAPPED)
            values = [
                refusals[has_found] if value is None else value for value, has_found in zip(known, found, strict=True)
            ]
        else:
            admit = self.admission.admit
            values = [
                (admit(text) if has_found else OTHER) if value is None else value
                for value, text, has_found in zip(known, texts, found, strict=True)
            ]
        # Whoever found nothing may find something later.
        settled = dict(compress(zip(raws, values, strict=True), map(is_not, values, repeat(OTHER))))
        if self._known.make_room(len(settled), sum(map(len, filter(None, settled)))):
            self._know_empty()
        self._known.update(settled)
        return values

    def _texts(self, raws: Sequence[bytes | None]) -> list[str]:
        """Read and rewrite values."""
        texts = self._reader.read_all(raws, self._rewriter)
        return [apply_rules(self._rules, text) or "" for text in texts] if self._rules else texts

    def _has_found(self, raw: Any) -> bool:
        assert self._status
        code = self._status.read(raw)
        return code not in _NOTHING_FOUND and len(code) == 3 and code[0] in _CLASSES  # noqa: PLR2004 -- digits

    def forget(self) -> None:
        """Look at all texts again."""
        self._known.forget()
        self._know_empty()

    def _know_empty(self) -> None:
        self._known.update(dict.fromkeys(self._reader.empty, self.admission.admit(apply_rules(self._rules, "") or "")))


class Filter:
    """Tells which lines rules for a label keep."""

    def __init__(self, raw: Raw, rules: Sequence[Rule], rewriter: PathRewriter) -> None:
        """Rules see paths as they are rewritten."""
        self._raw = raw
        self._rules = rules
        self._rewriter = rewriter
        self._known = _Memory()

    def keeps(self, rows: Rows) -> list[bool]:
        """Tell of each row whether it is kept."""
        raws = [*self._raw.of(rows)]
        if unknown := [*dict.fromkeys(raws).keys() - self._known.keys()]:
            if self._known.make_room(len(unknown), sum(map(_size, unknown))):
                unknown = [*dict.fromkeys(raws)]
            texts = self._raw.read_all(unknown, self._rewriter)
            self._known.update(
                (raw, apply_rules(self._rules, text) is not None) for raw, text in zip(unknown, texts, strict=True)
            )
        return [*map(self._known.__getitem__, raws)]


def is_chosen_by_clients(reader: LabelReader) -> bool:
    """Whether a label is read from a field that clients choose freely."""
    return len(reader.fields) == 1 and reader.fields[0] in _CHOSEN_BY_CLIENTS


def count_capped(values: Iterable[str]) -> int:
    """Count the values that had no place."""
    return sum(map(is_, values, repeat(CAPPED)))
