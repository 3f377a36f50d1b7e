"""Runs `check`, reads what it prints for people, and knows without its help how a line must be shown."""

import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len

from haproxy_log_exporter.checking import check
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.settings import Settings

HEADER = b"Nov 20 04:30:27 lb1 haproxy[24562]: "
LINE = (
    b'192.0.2.7:59616 [20/Nov/2026:04:30:27.864] web app/s1 0/0/1/5/6 200 228 - - ---- 1/1/0/0/0 0/0 "GET /a HTTP/1.1"'
)

# No more of a line is shown than so many characters: 256 bytes, each of them as \xNN.
_MOST_SHOWN = 1024


class Example(NamedTuple):
    """A rejected line as it is shown, the column of its caret on a terminal, the byte that is told, and the cause."""

    text: str
    column: int
    position: int
    cause: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A group of rejected lines."""

    count: int
    format: str
    expected: str
    examples: list[Example]


def write(path: Path, *lines: bytes) -> Path:
    """Write lines to a file."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def tell(*paths: Path, formats: Sequence[str] = (), as_json: bool = False) -> str:
    """Check logs in this process; give what is told on standard output."""
    output = BytesIO()
    with redirect_stdout(TextIOWrapper(output, "utf-8", write_through=True)):
        check(Given(Settings(), Choice((), (), (), (*formats,))), [*map(str, paths)], as_json=as_json)
        return output.getvalue().decode()


def find(path: Path, *formats: str) -> list[Finding]:
    """Check one log; give the groups of rejected lines."""
    return read_findings(tell(path, formats=formats))


def read_findings(told: str) -> list[Finding]:
    """Read the groups, in their order."""
    found = []
    for block in told.split("\n\n"):
        head, *lines = block.rstrip("\n").split("\n")
        if match := re.fullmatch(r"(\d+) rejected: as (\S+), expected (.+)", head):
            found.append(Finding(int(match[1]), match[2], match[3], [*_read_examples(lines)]))
    return found


def _read_examples(lines: list[str]) -> Iterator[Example]:
    """Each is a line, a caret under it, and perhaps a cause."""
    carets = {at: match for at, line in enumerate(lines) if (match := re.fullmatch(r"    ( *)\^ byte (\d+)", line))}
    for at, match in carets.items():
        cause = lines[at + 1] if at + 1 < len(lines) and at + 2 not in carets else ""
        yield Example(lines[at - 1][4:], len(match[1]), int(match[2]), cause.strip())


def read_summary(told: str) -> dict[str, int]:
    """Read the numbers above the groups, by their names."""
    return {match[1]: int(match[2]) for match in re.finditer(r"(?m)^ *([a-z-]+) +(\d+)  +[\d.]+%$", told)}


def accounted(told: str) -> int:
    """Add up the rejected lines that are told of, one by one, in groups, or as not looked at."""
    more = [*map(int, re.findall(r"(?m)^(\d+) more ", told))]
    return sum(finding.count for finding in read_findings(told)) + sum(more)


def is_printable(told: str) -> bool:
    """Whether nothing in a text can do anything to a terminal."""
    return all(char.isprintable() or char == "\n" for char in told)


def show(octets: bytes) -> str:
    r"""Write bytes as UTF-8; what is none, and what cannot be printed, as \xNN and the like."""
    return "".join(text for text, _ in _characters(octets))


def is_under(example: Example, line: bytes) -> bool:
    """Whether the caret stands under the character that has the byte, in a part of the line that is shown rightly."""
    place = next((start for text, start in [*_characters(line)][::-1] if start <= example.position), 0)
    place = len(line) if example.position == len(line) else place
    return any(
        _is_part(line, place, example.text[:split], example.text[split:])
        for split in range(len(example.text) + 1)
        if cell_len(example.text[:split]) == example.column
    )


def _is_part(line: bytes, place: int, left: str, right: str) -> bool:
    before = line[max(0, place - _MOST_SHOWN) : place]
    behind = line[place : place + _MOST_SHOWN]
    return any(show(before[start:]) == left for start in range(len(before) + 1)) and any(
        show(behind[:end]) == right for end in range(len(behind) + 1)
    )


def _characters(octets: bytes) -> Iterator[tuple[str, int]]:
    """Give each character as it is shown, and the place of its first byte."""
    at = 0
    while at < len(octets):
        for size in (1, 2, 3, 4):
            try:
                char = octets[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            yield (char if char.isprintable() else repr(char)[1:-1]), at
            at += size
            break
        else:
            yield f"\\x{octets[at]:02x}", at
            at += 1
