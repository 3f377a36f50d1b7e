"""Rows of columns that a test makes up, readers of them, and the columns of labels over them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from haproxy_log_exporter.labels.catalogue import Fillable, Label, Reading, find_labels
from haproxy_log_exporter.labels.columns import ClientColumn, Column, Filter, PlainColumn, Raw, is_chosen_by_clients
from haproxy_log_exporter.labels.limits import Admission
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.reading import LabelReader, Slots
from haproxy_log_exporter.labels.rules import Action, Rule, read_match, read_replacement
from haproxy_log_exporter.labels.templates import Templates
from haproxy_log_exporter.logformat.fields import KINDS
from haproxy_log_exporter.logformat.notation import Notation
from haproxy_log_exporter.logformat.reader import Column as Texts
from haproxy_log_exporter.logformat.reader import Extent, Reader, Rows

STATUS = Label("status_code", "status_code", Reading.TEXT)
PATH = Label("http_request_path", "http_request_path", Reading.PATH)

# Paths as they come, but for their normal form.
VERBATIM = PathRewriter(Templates(()), ids=False)


@dataclass(frozen=True)
class FakeReader:
    """A reader of columns that the test makes up."""

    groups: tuple[tuple[str, ...], ...]
    splitters: Mapping[tuple[str, ...], re.Pattern[bytes]] = field(default_factory=dict)
    name: str = "fake"
    kind: str = "http"
    notations: Mapping[str, Notation] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it has columns for."""
        return frozenset(name for group in self.groups for name in group)

    def read(self, chunk: bytes, extent: Extent = Extent.WHOLE) -> Rows:
        """Leave everything: who takes rows never reads."""
        del extent
        return Rows(0, [[] for _ in self.groups], chunk)


# A status and a path.
REQUESTS = FakeReader((("status_code",), ("http_request_path",)))


def rows_of(*columns: Texts) -> Rows:
    """Make rows of which nothing is left."""
    return Rows(len(columns[0]), columns, b"")


def requests(*found: tuple[bytes | None, bytes | None]) -> Rows:
    """Make rows of a status and a path."""
    return Rows(len(found), [[code for code, _ in found], [path for _, path in found]], b"")


def find(*names: str) -> tuple[Label, ...]:
    """Look up labels that formats can fill by fields of their names."""
    return find_labels(names, Fillable({"status_code", *names} & KINDS.keys(), {}, set()))


def admission(most: int = 1000, certain: Sequence[str] = ()) -> Admission:
    """Make an admission of so many values, some of which have places from the start."""
    return Admission("label", most, certain)


def make_column(
    label: Label,
    reader: Reader,
    admitted: Admission | None = None,
    rules: Iterable[Rule] = (),
    rewriter: PathRewriter = VERBATIM,
    slots: Slots | None = None,
) -> Column:
    """Make the column of a label, as a stage has it."""
    found = LabelReader(label, reader, slots or Slots())
    names, rules = _names(reader), [*rules]
    admitted = admitted or admission()
    if not is_chosen_by_clients(found):
        return PlainColumn(Raw(found, names), admitted, rules)
    status = LabelReader(STATUS, reader, Slots())
    code = Raw(status, names) if status.fields else None
    return ClientColumn(names.index(found.fields[0]), found, admitted, rules, rewriter, code)


def make_filter(label: Label, reader: Reader, *rules: Rule) -> Filter:
    """Make the filter of a label, as a stage has it."""
    return Filter(Raw(LabelReader(label, reader, Slots()), _names(reader)), rules, VERBATIM)


def rule(match: str, action: Action, replacement: str = "") -> Rule:
    """Make a rule, of texts as in a configuration file."""
    pattern = read_match(match)
    return Rule(pattern, action, read_replacement(replacement, pattern))


def _names(reader: Reader) -> Sequence[str]:
    return [group[0] if len(group) == 1 else "" for group in reader.groups]
