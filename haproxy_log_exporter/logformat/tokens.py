"""Reads a HAProxy log-format string into items.

The grammar is HAProxy's (configuration manual, chapter 8.2.6, and `parse_logformat_string` in src/log.c); each
function below is headed by its production. An error shows the string with a caret under the place.
"""

from dataclasses import dataclass, replace
from typing import NoReturn

from haproxy_log_exporter.errors import UsageError


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a log-format: literal text, or a value.

    `name` is the alias as in `%ci` (`ci`), a sample expression in brackets (`[ssl_fc_sni]`), or empty for literal text.
    `label` is the name given in `%(name)ci`. `position` is the offset in the log-format string.
    """

    position: int
    text: str = ""
    name: str = ""
    label: str = ""
    flags: frozenset[str] = frozenset()


FLAGS = frozenset({"Q", "E", "X", "json", "cbor", "bin"})


def tokenize(source: str) -> list[Item]:
    """Read a whole log-format.

    log-format = *( literal / "%%" / value )

    Adjacent literals are joined, runs of unescaped blanks are one blank and those at the start are none, as HAProxy
    prints them. `%o` gives its flags to all that follows and is no item itself.

    Raises:
        UsageError: with the string and a caret under the first place that HAProxy would refuse.
    """
    return _Tokenizer(source).items()


def complain(source: str, position: int, problem: str) -> NoReturn:
    """Raise a UsageError that shows the source with a caret under the position."""
    message = f"log-format: {problem}\n    {source}\n    {' ' * position}^"
    raise UsageError(message)


class _Tokenizer:
    """The reading position in one log-format string."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.common: frozenset[str] = frozenset()

    def items(self) -> list[Item]:
        found: list[Item] = []
        while self.at < len(self.source):
            item = self._value() if self._is_value() else self._literal()
            if item.name == "o":
                self.common = item.flags
            elif not found and item.text == " ":
                continue
            elif found and not item.name and not found[-1].name:
                found[-1] = replace(found[-1], text=_join(found[-1].text, item.text))
            else:
                found.append(item)
        return found

    def _is_value(self) -> bool:
        return self.source[self.at] == "%" and not self.source.startswith("%%", self.at)

    def _literal(self) -> Item:
        r"""Literal = "%%" / "\" CHAR / 1*BLANK / CHAR."""
        start, char = self.at, self.source[self.at]
        if char == "\\" and start + 1 < len(self.source):
            self.at += 2
            return Item(start, text=self.source[start + 1])
        if char == "%":
            self.at += 2
            return Item(start, text="%")
        self.at += 1
        if char in " \t":
            while self.at < len(self.source) and self.source[self.at] in " \t":
                self.at += 1
            char = " "
        return Item(start, text=char)

    def _value(self) -> Item:
        """Value = "%" [ "(" name [ ":" type ] ")" ] [ "{" flags "}" ] ( alias / "[" expression "]" )."""
        start = self.at
        self.at += 1
        label = self._name() if self._peek() == "(" else ""
        flags = self._flags() if self._peek() == "{" else self.common
        if self._peek() == "[":
            return Item(start, name=self._expression(), label=label, flags=flags)
        begin = self.at
        while self._peek().isalpha():
            self.at += 1
        if self.at == begin:
            complain(self.source, start, "a % must be followed by a name, a {flag}, an [expression] or another %")
        return Item(start, name=self.source[begin : self.at], label=label, flags=flags)

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _until(self, closing: str, what: str) -> str:
        end = self.source.find(closing, self.at)
        if end < 0:
            complain(self.source, self.at, f"this {what} has no closing {closing!r}")
        inside = self.source[self.at + 1 : end]
        self.at = end + 1
        return inside

    def _name(self) -> str:
        """Read the name of `%(name:type)`."""
        return self._until(")", "name").partition(":")[0]

    def _flags(self) -> frozenset[str]:
        """Flags = [ ( "+" / "-" ) flag *( "," ( "+" / "-" ) flag ) ], applied upon those of `%o`."""
        start, flags = self.at, set(self.common)
        for word in self._until("}", "flag list").split(","):
            sign, flag = word.strip()[:1], word.strip()[1:]
            if flag not in FLAGS or sign not in ("+", "-"):
                complain(
                    self.source, start, f"unknown flag {word.strip()!r}; there are +Q, +E, +X, +json, +bin and -Q, …"
                )
            (flags.add if sign == "+" else flags.discard)(flag)
        return frozenset(flags)

    def _expression(self) -> str:
        """Expression = "[" *( quoted / nested brackets / CHAR ) "]"; the brackets are part of the name."""
        start, depth, quote = self.at, 0, ""
        while self.at < len(self.source):
            char = self.source[self.at]
            self.at += 1
            if char == "\\":
                self.at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            elif char in "[]":
                depth += 1 if char == "[" else -1
                if depth == 0:
                    return self.source[start : self.at]
        complain(self.source, start, "this expression has no closing ']'")


def _join(left: str, right: str) -> str:
    return left if left.endswith(" ") and right == " " else left + right
