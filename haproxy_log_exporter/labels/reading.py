"""Reading a label's value from the lines of one format: which fields it takes, and what stands in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from haproxy_log_exporter.labels.catalogue import DERIVED, Label, Reading, Value, read_header, read_label, reading_of
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.logformat.notation import PLAIN, Notation
from haproxy_log_exporter.logformat.reader import Reader

_FRONTEND = "frontend_name"

Orders = Mapping[str, tuple[tuple[str, ...], ...]]


@dataclass(frozen=True, slots=True)
class Slots:
    """Which header each frontend captures where: names in their order, "" for a slot that has no name.

    A frontend whose slots depend on conditions has more than one order.
    """

    request: Orders = field(default_factory=dict)
    response: Orders = field(default_factory=dict)

    def headers(self) -> set[str]:
        """List the labels of all named headers."""
        sides = (("request", self.request), ("response", self.response))
        return {
            f"{side}_header_{name}"
            for side, frontends in sides
            for orders in frontends.values()
            for names in orders
            for name in names
            if name
        }

    def places(self, label: Label) -> dict[str, int]:
        """Tell at which place, from 1, each frontend captures a label's header; 0 where that cannot be told."""
        frontends = self.request if label.field == "request_headers" else self.response
        return {
            frontend: _only(names.index(label.header) + 1 if label.header in names else 0 for names in orders)
            for frontend, orders in frontends.items()
        }


class LabelReader:
    """Reads one label from the raw fields of one format's lines."""

    def __init__(self, label: Label, reader: Reader, slots: Slots) -> None:
        """Find out which of the format's fields hold the label: none, where it has no such field."""
        self._label = label
        self._notations = reader.notations
        self._places: dict[str, int] = {}
        self.fields: tuple[str, ...] = ()
        if label.reading is not Reading.HEADER:
            self._bind_field(reader)
            return
        self._places = slots.places(label) if label.header else {}
        places = {label.place, *self._places.values()} - {0}
        samples = {f"{label.field.removesuffix('s')}_{place}" for place in places} & reader.fields
        found = {label.field} & reader.fields or samples
        if label.header and found:
            found |= {_FRONTEND} & reader.fields
        self.fields = tuple(sorted(found))

    def _bind_field(self, reader: Reader) -> None:
        """Take the field of the label's name, or what this format calls so."""
        label = self._label
        name = label.field
        if label.name not in DERIVED:
            name = label.name if label.name in reader.fields else reader.names.get(label.name, "")
            self._label = replace(label, reading=reading_of(name))
        self.fields = (name,) if name in reader.fields else ()

    def read(self, values: Mapping[str, Value]) -> str:
        """Read the label's value from the raw text of its fields."""
        label = self._label
        if not self.fields:
            return read_label(label, b"") if label.reading is Reading.REASON else ""
        if label.reading is not Reading.HEADER:
            return read_label(label, values[self.fields[0]], self._notation(self.fields[0]))
        place = self._place(values) if label.header else label.place
        listed = values.get(label.field)
        if listed is not None:
            return read_header(listed, place, self._notation(label.field))
        sample = f"{label.field.removesuffix('s')}_{place}"
        return (self._notation(sample).value(values.get(sample)) or b"").decode("utf-8", "replace")

    @property
    def is_path(self) -> bool:
        """Whether it is a path, which a rewriter may change."""
        return self._label.reading is Reading.PATH

    @property
    def empty(self) -> Iterable[bytes | None]:
        """What stands in the label's one field where it has no value."""
        notation = self._notation(self.fields[0])
        return [text for text in (None, b"-") if notation.value(text) is None]

    def read_all(self, raws: Sequence[bytes | None], rewriter: PathRewriter | None) -> list[str]:
        """Read many values of the label's one field at once; paths are rewritten. `empty` ones are not among them."""
        notation = self._notation(self.fields[0])
        if not self.is_path or rewriter is None:
            return [read_label(self._label, raw, notation) for raw in raws]
        if notation.is_verbatim:
            return rewriter.rewrite([raw for raw in raws if raw is not None])
        values = [notation.value(raw) for raw in raws]
        texts = rewriter.rewrite([value or b"" for value in values])
        return [text if value or not raw else "" for raw, value, text in zip(raws, values, texts, strict=True)]

    def _place(self, values: Mapping[str, Value]) -> int:
        """Tell where a line's frontend captures the header; where no frontend is named, where all of them do."""
        frontend = self._notation(_FRONTEND).value(values.get(_FRONTEND))
        if frontend is None:
            return _only(self._places.values())
        return self._places.get(frontend.decode("utf-8", "replace"), 0)

    def _notation(self, name: str) -> Notation:
        return self._notations.get(name, PLAIN)


def _only(places: Iterable[int]) -> int:
    found = {*places}
    return found.pop() if len(found) == 1 else 0
