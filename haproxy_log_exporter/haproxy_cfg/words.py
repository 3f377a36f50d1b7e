r"""Reads one line of haproxy.cfg into words.

The grammar is HAProxy's (configuration manual, chapters 2.2 and 2.3, and `parse_line` in src/tools.c), checked against
the `.notice` of HAProxy 2.6. A line is all there is: neither a quote nor a backslash carries on to the next one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

LONGEST = 1 << 20  # characters that the variables of one line may bring

# What stands for itself, by the quote that is open. In single quotes nothing is special but their end; variables are
# special in double quotes only. A carriage return ends the line even there.
_PLAIN = {
    "": re.compile(r"""[^\s"'#\\]++""", re.ASCII),
    '"': re.compile(r'[^\r\n"\\$]++'),
    "'": re.compile(r"[^\r\n']++"),
}
_BLANKS = re.compile(r"\s*+", re.ASCII)
_ESCAPES = {" ": " ", "\\": "\\", "#": "#", "'": "'", '"': '"', "t": "\t", "n": "\n", "r": "\r"}
_BYTES = re.compile(r"(?:\\x[0-9A-Fa-f]{2})++")
_VARIABLE = re.compile(r"\$(?P<brace>\{?+)(?P<name>\.[A-Za-z0-9_]*+|[A-Za-z_][A-Za-z0-9_]*+|)")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a line cannot be read on, and the offset of the place."""

    position: int
    problem: str

    def show(self, line: str) -> str:
        """Tell the problem with the line and a caret under the place."""
        shown = re.sub(r"\s", " ", line).rstrip()
        return f"{self.problem}\n    {shown}\n    {' ' * self.position}^"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a line, up to its mistake where there is one.

    They end before the first empty one, for no keyword of HAProxy's looks further. `unset` are the variables that were
    asked for and had neither value nor default, `incomplete` the numbers of the words that lack them.
    """

    words: tuple[str, ...]
    unset: tuple[str, ...] = ()
    mistake: Mistake | None = None
    incomplete: tuple[int, ...] = ()


def split_line(line: str, variables: Mapping[str, str]) -> Words:
    """Read a line. Never raises: a line that does not concern logging may hold any mistake."""
    splitter = _Splitter(line.partition("\0")[0], variables)
    mistake = None
    try:
        splitter.read()
    except _MistakeError as error:
        mistake = error.mistake
    words = (word.partition("\0")[0] for word in (*splitter.words, splitter.word))
    return Words(tuple(takewhile(bool, words)), tuple(splitter.unset), mistake, tuple(splitter.incomplete))


class _MistakeError(Exception):
    def __init__(self, position: int, problem: str) -> None:
        super().__init__(problem)
        self.mistake = Mistake(position, problem)


class _Splitter:
    """The reading position in one line."""

    def __init__(self, line: str, variables: Mapping[str, str]) -> None:
        self.line = line
        self.variables = variables
        self.at = 0
        self.quote = ""
        self.opened = 0
        self.word = ""
        self.words: list[str] = []
        self.unset: list[str] = []
        self.incomplete: list[int] = []
        self.brought = 0

    def read(self) -> None:
        """Line = [ blanks ] *( plain / quote / escape / variable / blanks ) [ "#" comment ]."""
        self._skip_blanks()
        while self.at < len(self.line):
            if plain := _PLAIN[self.quote].match(self.line, self.at):
                self.word += plain[0]
                self.at = plain.end()
                continue
            match self.line[self.at]:
                case "\r" | "\n" | "#":
                    break
                case '"' | "'" as quote:
                    self.quote = "" if self.quote else quote
                    self.opened = self.at
                    self.at += 1
                case "\\":
                    self._escape()
                case "$":
                    self._variable()
                case _:
                    self._end_word()
                    self._skip_blanks()
        if self.quote:
            raise _MistakeError(self.opened, f"this {self.quote} is not closed on its line")

    def _skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self.line, self.at):
            self.at = blanks.end()

    def _end_word(self) -> None:
        self.words.append(self.word)
        self.word = ""

    def _escape(self) -> None:
        r"""Escape = "\" ( " " / "\" / "#" / quote / "t" / "n" / "r" / "x" 2HEX / "$" in double quotes ).

        Before anything else a backslash is a backslash.
        """
        escaped = self.line[self.at + 1 : self.at + 2]
        if escaped == "x":
            # Bytes side by side may be one character of UTF-8.
            found = _BYTES.match(self.line, self.at)
            if not found:
                raise _MistakeError(self.at, r"\x needs two hexadecimal digits; a backslash itself is \\")
            self.word += bytes.fromhex(found[0].replace("\\x", "")).decode("utf-8", "surrogateescape")
            self.at = found.end()
        elif escaped in _ESCAPES:
            self.word += _ESCAPES[escaped]
            self.at += 2
        elif escaped == "$" and self.quote:
            self.word += "$"
            self.at += 2
        else:
            self.word += "\\"
            self.at += 1

    def _variable(self) -> None:
        """Variable = "$" name / "${" name [ "[*]" ] [ "-" default ] "}"; `[*]` makes words of the value's words."""
        start = self.at
        found = _VARIABLE.match(self.line, start)
        assert found
        name, self.at = found["name"], found.end()
        if not name or (name[0] == "." and name not in self.variables):
            raise _MistakeError(found.start("name"), r"$ asks for a variable, and this is no name; a $ itself is \$")
        value = self.variables.get(name)
        several = bool(found["brace"]) and self.line.startswith("[", self.at)
        if several:
            if not self.line.startswith("[*]", self.at):
                raise _MistakeError(self.at, "between a variable's name and its brace may only stand [*] or -DEFAULT")
            self.at += len("[*]")
        if found["brace"]:
            default = self._end_of_brace(start + 1)
            value = default if value is None else value
        if value is None:
            self.unset.append(name)
            self.incomplete.append(len(self.words))
            return
        self.brought += len(value)
        if self.brought > LONGEST:
            raise _MistakeError(start, f"its variables make this line longer than {LONGEST} characters")
        first, *others = re.split(r"\s+", value, flags=re.ASCII) if several else (value,)
        self.word += first
        for other in others:
            self._end_word()
            self.word = other

    def _end_of_brace(self, brace: int) -> str | None:
        """Read up to the closing brace; give the default, where there is one: all up to the first brace, verbatim."""
        begin = self.at
        end = self.line.find("}", begin)
        if end < 0 or (end > begin and self.line[begin] != "-"):
            raise _MistakeError(brace, "this ${ is not closed; it is ${NAME} or ${NAME-DEFAULT}")
        self.at = end + 1
        return self.line[begin + 1 : end] if end > begin else None
