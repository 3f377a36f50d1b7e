"""Messages out of a connection, framed as RFC 6587 has it, whichever way its sender chose.

Octet counting (section 3.4.1) is "LENGTH MESSAGE", with nothing in between; with non-transparent framing (section
3.4.2) a newline ends each message. HAProxy's ring does the latter, or with `log-proto octet-count` the former.
"""

import re
from enum import Enum

from haproxy_log_exporter.sources.framing import LONGEST_LINE, NO_LINES, LineBuffer, Lines, drop_overlong, join_messages

# More digits than any length has: 10^19 and more need not be told apart.
_MOST_DIGITS = 19
_LENGTH = re.compile(rb"[1-9][0-9]{0,%d}" % (_MOST_DIGITS - 1))
# What a message begins with in most of HAProxy's formats, and no line of a log-format does behind a number.
_PRIORITY = re.compile(rb"<[0-9]{1,3}>")
_BEGUN_PRIORITY = re.compile(rb"(?:<[0-9]{0,3})?\Z")


class Fault(Enum):
    """Why nothing more can be read of a connection."""

    OVERSIZED = "oversized"  # a message is longer than a line may be
    MALFORMED = "malformed"  # there is no length where one has to be
    INCOMPLETE = "incomplete"  # the connection ended within a counted message


class Framing(Enum):
    """How messages are told apart."""

    UNDECIDED = 0
    NEWLINE = 1
    COUNTED = 2


class Frames:
    """Takes the lines of one connection out of their frames; at most one line's worth is kept."""

    def __init__(self) -> None:
        """Wait for the first bytes, which tell how they are framed."""
        self.fault: Fault | None = None
        self._framing = Framing.UNDECIDED
        self._lines = LineBuffer()
        self._begun = bytearray()  # what came and is not decided, or of a counted message not whole
        self._needed = 0  # so much of it has to be there to go on

    def feed(self, block: bytes) -> Lines:
        """Take what came next; give the lines that are whole now. After a fault there is nothing more to give."""
        if self.fault:
            return NO_LINES
        if self._framing is Framing.NEWLINE:
            return self._feed_lines(block)
        self._begun += block
        if len(self._begun) < self._needed:
            return NO_LINES
        if self._framing is Framing.UNDECIDED:
            self._framing = _find_framing(self._begun)
        return self._feed_begun()

    def settle(self) -> Lines:
        """Decide, where nothing came for a while and all that came may be a counted message."""
        if self._framing is Framing.UNDECIDED and _is_counted(self._begun):
            self._framing = Framing.COUNTED
        return self._feed_begun()

    def end(self) -> Lines:
        """Give what is left when the connection has ended: a last line without a newline is one."""
        lines = self.settle()
        if self._framing is Framing.UNDECIDED:
            self._framing = Framing.NEWLINE
            lines = self._feed_begun()
        if self._begun and not self.fault:
            self.fault = Fault.INCOMPLETE
        self._begun.clear()
        return Lines(lines.chunk + self._lines.end().chunk, lines.overlong)

    def _feed_begun(self) -> Lines:
        if self._framing is Framing.UNDECIDED:
            return NO_LINES
        begun = bytes(self._begun)
        self._begun.clear()
        return self._feed_lines(begun) if self._framing is Framing.NEWLINE else self._feed_counted(begun)

    def _feed_lines(self, block: bytes) -> Lines:
        lines = self._lines.feed(block)
        if lines.overlong:
            self.fault = Fault.OVERSIZED
        return lines

    def _feed_counted(self, block: bytes) -> Lines:
        """Frames = *( length " " message ); some senders put a newline in between."""
        messages: list[bytes] = []
        self._needed = 0
        find, position, size = block.find, 0, len(block)
        while (position := _take_whole(block, position, messages)) < size:
            space = find(b" ", position, position + _MOST_DIGITS + 1)
            length = block[position:space] if space > 0 else block[position : position + _MOST_DIGITS + 1]
            if not length.isdigit() or (space < 0 and len(length) > _MOST_DIGITS):
                if block[position] == ord("\n"):
                    position += 1
                    continue
                self.fault = Fault.MALFORMED
                break
            if int(length) > LONGEST_LINE:
                self.fault = Fault.OVERSIZED
                break
            if space > 0:
                self._needed = space + 1 + int(length) - position
            break
        if not self.fault:
            self._begun += block[position:]
        lines = drop_overlong(join_messages(messages)) if messages else NO_LINES
        return Lines(lines.chunk, lines.overlong + (self.fault is Fault.OVERSIZED))


def _take_whole(block: bytes, position: int, messages: list[bytes]) -> int:
    """Take counted messages as long as they are whole and nothing is wrong; say where the first other one begins.

    Each step here is taken for each line that comes.
    """
    append, find, size = messages.append, block.find, len(block)
    while (space := find(b" ", position, position + _MOST_DIGITS + 1)) > 0:
        text = block[position:space]
        if not text.isdigit() or (length := int(text)) > LONGEST_LINE:
            break
        end = space + 1 + length
        if end > size:
            break
        append(block[space + 1 : end])
        position = end
    return position


def _find_framing(begun: bytes | bytearray) -> Framing:
    """Tell from the first bytes of a connection how it is framed, as soon as that is certain.

    A line may begin with a number and a blank too, of a log-format like "%ST %ci". Then either there is a newline
    within as many bytes, or what follows these is no length.
    """
    length = _LENGTH.match(begun)
    if not length:
        return Framing.NEWLINE if begun else Framing.UNDECIDED
    if length.end() == len(begun):
        return Framing.UNDECIDED if len(begun) < _MOST_DIGITS else Framing.NEWLINE
    if begun[length.end()] != ord(" "):
        return Framing.NEWLINE
    start, size = length.end() + 1, int(length[0])
    if _PRIORITY.match(begun, start):
        return Framing.COUNTED
    if _BEGUN_PRIORITY.match(begun, start):
        return Framing.UNDECIDED
    if size > LONGEST_LINE or begun.find(b"\n", start, start + size - 1) >= 0:
        return Framing.NEWLINE
    following = _LENGTH.match(begun, start + size)
    if len(begun) <= start + size or (following and following.end() == len(begun)):
        return Framing.UNDECIDED
    return Framing.COUNTED if following and begun[following.end()] == ord(" ") else Framing.NEWLINE


def _is_counted(begun: bytes | bytearray) -> bool:
    """Whether it is a length and so many bytes, no more and no less."""
    length = _LENGTH.match(begun)
    return length is not None and len(begun) == length.end() + 1 + int(length[0]) and begun[length.end()] == ord(" ")
