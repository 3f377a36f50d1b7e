"""Reads a HAProxy log-format string into items.

The grammar is HAProxy's (configuration manual, chapter 8.2.6, and `lf_expr_compile` in src/log.c); each function below
is headed by its production. An error shows the string with a caret under the place.
"""

import re
from dataclasses import dataclass, replace
from typing import NoReturn

from haproxy_log_exporter.errors import UsageError


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a log-format: literal text, or a value.

    `name` is the alias as in `%ci` (`ci`), a sample expression in brackets (`[ssl_fc_sni]`), or empty for literal text.
    `label` and `type` are those of `%(name:type)ci`. `position` is the offset in the log-format string, `written` what
    stands there.
    """

    position: int
    text: str = ""
    name: str = ""
    label: str = ""
    type: str = ""
    flags: frozenset[str] = frozenset()
    written: str = ""


# What a flag list may hold; HAProxy takes no notice of anything else.
FLAGS = frozenset({"Q", "E", "X", "M", "json", "cbor", "bin"})

# What words of haproxy.cfg resolve (parse_line in src/tools.c); before anything else a backslash stays.
_ESCAPE = re.compile(r"""\\([ \\#'"trn]|x([0-9a-fA-F]{2}))""")
_ESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
_ALIAS = re.compile(r"[A-Za-z0-9]+")
_NAME = re.compile(r"\(([-A-Za-z0-9_]*)(?::([^)]*))?\)")
_FLAG = re.compile(r"([-+])([^-+]*)$")  # what is before the last sign counts for nothing
_TYPES = ("str", "sint", "bool")


def tokenize(source: str) -> list[Item]:
    """Read a whole log-format.

    log-format = *( literal / "%%" / value )

    Adjacent literals are joined, runs of blanks are one blank and those at the start are none, as HAProxy prints them.
    `%o` gives its flags to all that follows and is no item itself. Where it asks for JSON, a line is one object of the
    items that have a name, and the literals of that object take the place of those written.

    Raises:
        UsageError: with the string and a caret under the first place that HAProxy would refuse.
    """
    return _Tokenizer(source).items()


def read_items(source: str) -> list[Item]:
    """Read a whole log-format as it is written: `%o` is an item as well, and literals are not merged.

    Raises:
        UsageError: as `tokenize`.
    """
    return _Tokenizer(source).written()


def complain(source: str, position: int, problem: str) -> NoReturn:
    """Raise a UsageError that shows the source with a caret under the position."""
    start = source.rfind("\n", 0, position) + 1
    end = source.find("\n", position)
    line = source[start : None if end < 0 else end]
    indent = "".join(char if char == "\t" else " " for char in line[: position - start])
    message = f"log-format: {problem}\n    {line}\n    {indent}^"
    raise UsageError(message)


class _Tokenizer:
    """The reading position in one log-format string."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.common: frozenset[str] = frozenset()  # given by the last %o
        self.everywhere: frozenset[str] = frozenset()  # given by every %o that gives any

    def written(self) -> list[Item]:
        found: list[Item] = []
        while self.at < len(self.source):
            start = self.at
            item = self._value() if self._is_value() else self._literal()
            found.append(replace(item, written=self.source[start : self.at]))
            if item.name == "o":
                self.common = item.flags
        return found

    def items(self) -> list[Item]:
        found: list[Item] = []
        for item in self.written():
            if item.name == "o":
                self.everywhere = self.everywhere & item.flags if self.everywhere else item.flags
            elif not found and item.text == " ":
                continue
            elif found and not item.name and not found[-1].name:
                text, written = _join(found[-1].text, item.text), found[-1].written + item.written
                found[-1] = replace(found[-1], text=text, written=written)
            else:
                found.append(item)
        return _as_object(found) if "json" in self.everywhere else found

    def _is_value(self) -> bool:
        return self.source[self.at] == "%" and not self.source.startswith("%%", self.at)

    def _literal(self) -> Item:
        r"""Literal = "%%" / escape / 1*BLANK / CHAR.

        The escapes are those of haproxy.cfg outside of quotes, so that a string can be pasted from there.
        """
        start, char = self.at, self.source[self.at]
        if escape := _ESCAPE.match(self.source, start):
            self.at = escape.end()
            return Item(start, text=_ESCAPED.get(escape[1]) or (chr(int(escape[2], 16)) if escape[2] else escape[1]))
        if char == "%":
            self.at += 2
            return Item(start, text="%")
        self.at += 1
        while char == " " and self.source.startswith(" ", self.at):
            self.at += 1
        return Item(start, text=char)

    def _value(self) -> Item:
        """Value = "%" [ "(" name [ ":" type ] ")" ] [ "{" flags "}" ] ( alias / "[" expression "]" )."""
        start = self.at
        self.at += 1
        label, type_ = self._name() if self._peek() == "(" else ("", "")
        given = self._peek() == "{"
        flags = self._flags() if given else self.common
        if self._peek() == "[":
            return Item(start, name=self._expression(), label=label, type=type_, flags=flags)
        alias = _ALIAS.match(self.source, self.at)
        if alias and (given or not alias[0][0].isdigit()):
            self.at = alias.end()
            return Item(start, name=alias[0], label=label, type=type_, flags=flags)
        if given or label or self._peek() in ("", " ", "\t") or alias:
            complain(self.source, start, "a % must be followed by a name, a {flag}, an [expression] or another %")
        return self._literal()  # HAProxy leaves out a "%" before any other sign

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _name(self) -> tuple[str, str]:
        """Name = 1*( ALPHA / DIGIT / "_" / "-" ), type = "str" / "sint" / "bool"."""
        match = _NAME.match(self.source, self.at)
        if not match:
            complain(self.source, self.at, "a name is letters, digits, _ and -, closed by ')'")
        if match[2] is not None and match[2] not in _TYPES:
            complain(self.source, match.start(2), f"unknown type {match[2]!r}; there are {', '.join(_TYPES)}")
        self.at = match.end()
        return match[1], match[2] or ""

    def _flags(self) -> frozenset[str]:
        """Flags = [ ( "+" / "-" ) flag *( "," ( "+" / "-" ) flag ) ], applied upon those of `%o`."""
        start = self.at
        end = self.source.find("}", start)
        if end < 0:
            complain(self.source, start, "this flag list has no closing '}'")
        self.at = end + 1
        flags = set(self.common)
        for word in self.source[start + 1 : end].split(","):
            match = _FLAG.search(word)
            if match and match[1] == "+" and match[2] in FLAGS:
                flags.add(match[2])
            elif match and match[1] == "-":
                flags.discard(match[2])
        return frozenset(flags)

    def _expression(self) -> str:
        """Expression = "[" call *( "," call ) "]", call = name [ "(" arguments ")" ]; the brackets are kept."""
        start = self.at
        self.at += 1
        while True:
            begin = self.at
            while self._peek() not in ("", "(", ")", ",", "[", "]", " "):
                self.at += 1
            if self.at == begin:
                complain(self.source, self.at, "the name of a sample or a converter is missing here")
            if self._peek() == "(":
                self._arguments()
            if self._peek() == "]":
                self.at += 1
                return self.source[start : self.at]
            if self._peek() != ",":
                complain(self.source, start, "this expression has no closing ']'")
            self.at += 1

    def _arguments(self) -> None:
        """Arguments = *( quoted / CHAR ) up to the first ")" that is in no quotes."""
        start, quote = self.at, ""
        while self.at < len(self.source):
            char = self.source[self.at]
            self.at += 1
            if quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char == ")":
                return
        complain(self.source, start, f"this list of arguments has no closing {quote or ')'}")


def _join(left: str, right: str) -> str:
    return left if left.endswith(" ") and right == " " else left + right


def _as_object(items: list[Item]) -> list[Item]:
    """Write out what `%{+json}o` makes of a format: {"name": value, "name": value}, without what has no name."""
    found: list[Item] = []
    for item in items:
        if item.name and item.label:
            before = f'{", " if found else "{"}"{item.label}": '
            found += [Item(item.position, text=before), replace(item, flags=item.flags | {"json"})]
    return [*found, Item(len(found), text="}" if found else "{}")]
