"""YAML: a text to a tree of records with their places, and every mistake in it.

Strategy: PyYAML's scanner and parser give events, and the tree is made of those here, without its composer: that one
keeps the last of two equal keys, recurses as deeply as it is told to, and knows no bound for what aliases bring.
Scalars keep their text (YAML 1.1 would make 1.1 of 1.10), with what YAML 1.1 takes them for beside it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import yaml

from haproxy_log_exporter.config.yamlgrammar import explain

DEEPEST = 100  # collections within each other
MOST_BY_ALIASES = 100_000  # nodes that aliases may bring

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_RESOLVER: Any = yaml.resolver.Resolver()
_PREFIX = "tag:yaml.org,2002:"

# YAML 1.1, section 5.1: what may stand in a text.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Kind(Enum):
    """What YAML takes a scalar for."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    MERGE = "merge"
    UNREADABLE = "unreadable"  # a mistake has told why


_KINDS = {
    f"{_PREFIX}int": Kind.NUMBER,
    f"{_PREFIX}float": Kind.NUMBER,
    f"{_PREFIX}bool": Kind.BOOLEAN,
    f"{_PREFIX}null": Kind.NULL,
    f"{_PREFIX}merge": Kind.MERGE,
}
_TEXT_TAGS = ("!", f"{_PREFIX}str")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, with line and column from 1."""

    line: int
    column: int
    problem: str


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A scalar's text as it was written, without quotes."""

    text: str
    kind: Kind
    line: int
    column: int

    @property
    def is_true(self) -> bool:
        """Of a boolean, which of the two it is."""
        return self.text.lower() in ("true", "yes", "on")


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple["Node", ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Values by key, in the order of the text; no key is there twice."""

    entries: tuple[tuple[ScalarNode, "Node"], ...]
    line: int
    column: int

    def get(self, key: str) -> "Node | None":
        """Look up the value of a key."""
        return next((value for name, value in self.entries if name.text == key), None)


Node = ScalarNode | SequenceNode | MappingNode


def read_yaml(text: str) -> tuple[Node, list[Mistake]]:
    """Read a text of one document; bytes that were no UTF-8 are surrogates in it, as `surrogateescape` leaves them.

    All mistakes are told in the order of the text, but of the grammar's, after which nothing can be read, only the
    first; the tree is empty then. A text without a document is an empty mapping.
    """
    text = text.removeprefix("\ufeff")
    composer = _Composer()
    try:
        _check_characters(text)
        composer.compose(yaml.parse(text, Loader=_LOADER))
    except _MistakeError as error:
        return MappingNode((), 1, 1), [error.mistake]
    except yaml.MarkedYAMLError as error:
        return MappingNode((), 1, 1), [_explain(error, text)]
    except (yaml.YAMLError, ValueError) as error:  # of an escape beyond Unicode, the scanner in Python tells no place
        return MappingNode((), 1, 1), [Mistake(1, 1, f"this is no YAML: {error}")]
    return composer.root, sorted(composer.mistakes, key=lambda mistake: (mistake.line, mistake.column))


class _MistakeError(Exception):
    """Nothing can be read after this mistake."""

    def __init__(self, line: int, column: int, problem: str) -> None:
        super().__init__(problem)
        self.mistake = Mistake(line, column, problem)


Place = tuple[int, int]


@dataclass(slots=True)
class _Collection:
    """A list or mapping that is being read; of a mapping, `nodes` are keys and values in turn."""

    is_list: bool
    readable: bool
    anchor: str | None
    place: Place
    nodes: list[Node] = field(default_factory=list)
    size: int = 1


class _Composer:
    """The tree so far."""

    def __init__(self) -> None:
        self.root: Node = MappingNode((), 1, 1)
        self.mistakes: list[Mistake] = []
        self._open: list[_Collection] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._brought = 0

    def compose(self, events: Iterable[yaml.Event]) -> None:
        """Document = scalar / alias / ( start *document end ); of several documents only the first is read."""
        documents = 0
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._tell(_place(event), "a second document begins here; there can be one only")
                        return
                case yaml.ScalarEvent():
                    self._keep(event.anchor, self._scalar(event), 1)
                case yaml.AliasEvent():
                    self._alias(event.anchor or "", _place(event))
                case yaml.CollectionStartEvent():
                    self._begin(event)
                case yaml.CollectionEndEvent():
                    self._end(self._open.pop())
                case _:
                    pass
        if isinstance(self.root, ScalarNode) and self.root.kind is Kind.NULL:
            self.root = MappingNode((), 1, 1)

    def _tell(self, place: Place, problem: str) -> None:
        self.mistakes.append(Mistake(*place, problem))

    def _keep(self, anchor: str | None, node: Node, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = node, size
        if self._open:
            self._open[-1].nodes.append(node)
            self._open[-1].size += size
        else:
            self.root = node

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        place, text, tag = _place(event), event.value, event.tag
        kind = Kind.TEXT
        if tag in _KINDS or (tag is None and event.implicit[0]):
            kind = _KINDS.get(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)), Kind.TEXT)
        if tag is not None and tag not in _TEXT_TAGS and kind is not _KINDS.get(tag):
            problem = f"{text!r} is not what {_shown_tag(tag)} says" if tag in _KINDS else _unknown_tag(tag)
            self._tell(place, problem)
            kind = Kind.UNREADABLE
        if _SURROGATE.search(text):
            self._tell(place, "an escape in this text is half of a character; whole, it is \\U and eight digits")
            kind = Kind.UNREADABLE
        return ScalarNode(text, kind, *place)

    def _alias(self, name: str, place: Place) -> None:
        if name in self._anchors:
            node, size = self._anchors[name]
            self._brought += size
            if self._brought > MOST_BY_ALIASES:
                raise _MistakeError(*place, f"aliases bring more than {MOST_BY_ALIASES} values up to here")
            self._keep(None, replace(node, line=place[0], column=place[1]), size)
            return
        if any(collection.anchor == name for collection in self._open):
            self._tell(place, f"*{name} stands within what it stands for")
        else:
            self._tell(place, f"there is no &{name} before this *{name}; text that begins with * needs quotes")
        self._keep(None, ScalarNode(f"*{name}", Kind.UNREADABLE, *place), 1)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        place = _place(event)
        if len(self._open) >= DEEPEST:
            raise _MistakeError(*place, f"more than {DEEPEST} lists and mappings are within each other here")
        is_list = isinstance(event, yaml.SequenceStartEvent)
        readable = event.tag in (None, "!", f"{_PREFIX}seq" if is_list else f"{_PREFIX}map")
        if not readable:
            self._tell(place, _unknown_tag(event.tag or ""))
        self._open.append(_Collection(is_list, readable, event.anchor, place))

    def _end(self, collection: _Collection) -> None:
        node: Node
        if not collection.readable:
            node = ScalarNode("", Kind.UNREADABLE, *collection.place)
        elif collection.is_list:
            node = SequenceNode(tuple(collection.nodes), *collection.place)
        else:
            node = MappingNode(self._entries(collection.nodes), *collection.place)
        self._keep(collection.anchor, node, collection.size)

    def _entries(self, nodes: list[Node]) -> tuple[tuple[ScalarNode, Node], ...]:
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        merged: list[Node] = []
        for key, value in zip(nodes[::2], nodes[1::2], strict=True):
            place = key.line, key.column
            if not isinstance(key, ScalarNode):
                self._tell(place, "a key is a name, not a list or mapping; text that begins with [ or { needs quotes")
            elif key.kind is Kind.NULL:
                self._tell(place, f"{key.text} is no key" if key.text else "there is no key before this ':'")
            elif key.kind is Kind.MERGE:
                merged.append(value)
            elif key.text in entries:
                first = entries[key.text][0]
                self._tell(place, f"{key.text!r} is here a second time; the first is in line {first.line}")
            elif key.kind is not Kind.UNREADABLE:
                entries[key.text] = key, value
        for value in merged:
            self._merge(value, entries)
        return tuple(entries.values())

    def _merge(self, value: Node, entries: dict[str, tuple[ScalarNode, Node]]) -> None:
        """Take over what is not there yet: what stands in the mapping itself, or is merged first, comes first."""
        for mapping in value.items if isinstance(value, SequenceNode) else (value,):
            if isinstance(mapping, MappingNode):
                for entry in mapping.entries:
                    entries.setdefault(entry[0].text, entry)
            elif isinstance(mapping, SequenceNode) or mapping.kind is not Kind.UNREADABLE:
                self._tell((mapping.line, mapping.column), "<< takes the alias of a mapping, or a list of such")


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark
    return mark.line + 1, mark.column + 1


def _shown_tag(tag: str) -> str:
    return f"!!{tag.removeprefix(_PREFIX)}" if tag.startswith(_PREFIX) else tag


def _unknown_tag(tag: str) -> str:
    return f"the tag {_shown_tag(tag)} is not known; text that begins with ! needs quotes"


def _check_characters(text: str) -> None:
    if found := _UNPRINTABLE.search(text):
        at = found.start()
        problem = f"the character U+{ord(found[0]):04X} cannot stand in YAML"
        if _SURROGATE.match(found[0]):
            problem = "a byte here is no UTF-8"
        raise _MistakeError(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), problem)


def _explain(error: yaml.MarkedYAMLError, text: str) -> Mistake:
    said = error.problem or error.context or ""
    mark = error.problem_mark or error.context_mark
    problem, of_the_beginning = explain(said, text[mark.index : mark.index + 1] if mark else "")
    if of_the_beginning:
        mark = error.context_mark or mark
    return Mistake(mark.line + 1, mark.column + 1, problem) if mark else Mistake(1, 1, problem)
