"""What a user wrote in a file of YAML, with its place, and the mistakes in it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from haproxy_log_exporter.config.yamltext import Kind, MappingNode, Mistake, Node, ScalarNode, SequenceNode

_FEW = 3


@dataclass(frozen=True, slots=True)
class Text:
    """A value as a user wrote it, and where: PATH:LINE:COLUMN."""

    text: str
    place: str


class Mistakes:
    """The mistakes in a file.

    A scalar whose mistake is told already is passed over wherever it stands.
    """

    def __init__(self, path: str, mistakes: Iterable[Mistake]) -> None:
        """Begin with those of the YAML itself."""
        self._path = path
        self._mistakes = {(mistake.line, mistake.column, mistake.problem) for mistake in mistakes}

    def tell(self, node: Node, problem: str) -> None:
        """Keep a mistake, once for its place."""
        if not (isinstance(node, ScalarNode) and node.kind is Kind.UNREADABLE):
            self._mistakes.add((node.line, node.column, problem))

    def messages(self) -> list[str]:
        """List them in the order of the file: PATH:LINE:COLUMN: PROBLEM."""
        return [f"{self._path}:{line}:{column}: {problem}" for line, column, problem in sorted(self._mistakes)]

    def place(self, node: Node) -> str:
        """Name the place of a node."""
        return f"{self._path}:{node.line}:{node.column}"

    def text(self, node: Node, owner: str) -> Text | None:
        """Read a scalar; `owner` is told to take one value, where it has none or several."""
        if not isinstance(node, ScalarNode):
            self.tell(node, f"{owner} takes one value, not a {name_kind(node)}")
        elif node.kind is Kind.NULL:
            self.tell(node, f"{owner} has no value")
        elif "\0" in node.text:  # no argument could have it, and what takes texts counts on that
            self.tell(node, f"{owner} has a character U+0000")
        elif node.kind is not Kind.UNREADABLE:
            return Text(node.text, self.place(node))
        return None

    def texts(self, node: Node, owner: str) -> tuple[Text, ...]:
        """Read a scalar or a list of such."""
        if isinstance(node, MappingNode):
            self.tell(node, f"{owner} takes a value or a list of values, not a mapping")
            return ()
        read = (self.text(item, owner) for item in (node.items if isinstance(node, SequenceNode) else (node,)))
        return tuple(text for text in read if text is not None)

    def has_value(self, key: ScalarNode, value: Node, hint: str = "") -> bool:
        """Whether a key has any; what has none is told at the key."""
        match value:
            case ScalarNode(kind=Kind.NULL) | SequenceNode(items=()) | MappingNode(entries=()):
                self.tell(key, f"{key.text!r} has no value{hint}")
                return False
            case _:
                return True

    def tell_unknown(self, key: ScalarNode, known: Collection[str], there_is_no: str) -> None:
        """Tell that there is no such key, and which are near to it; of a few, all that there are."""
        plain = key.text.lower().lstrip("-").replace("_", "-")
        within = [name for name in sorted(known) if name.startswith(f"{plain}.")]
        near = within or get_close_matches(plain, sorted(known))
        hint = ""
        if plain in known:
            hint = f"; it is {plain!r}"
        elif near:
            hint = f"; did you mean {' or '.join(map(repr, near))}?"
        elif len(known) <= _FEW:
            hint = f"; there are {', '.join(known)}"
        self.tell(key, f"{there_is_no} {key.text!r}{hint}")


def name_kind(node: Node) -> str:
    """Name what a node is."""
    match node:
        case SequenceNode():
            return "list"
        case MappingNode():
            return "mapping"
        case _:
            return "value"
