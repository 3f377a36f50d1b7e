"""Messages out of a connection, framed as RFC 6587 has it, whichever way its sender chose.

Octet counting (section 3.4.1) is "LENGTH MESSAGE", with nothing in between; with non-transparent framing (section
3.4.2) a newline ends each message. HAProxy's ring does the latter, or with `log-proto octet-count` the former.
"""

import re
from enum import Enum

from haproxy_log_exporter.sources.framing import LONGEST_LINE, NO_LINES, LineBuffer, Lines, drop_overlong, join_messages

# More digits than any length has: 10^19 and more need not be told apart.
_MOST_DIGITS = 19
_DIGITS = re.compile(rb"[0-9]{1,%d}" % _MOST_DIGITS)
_NEWLINES = re.compile(rb"\n++")
# A message's priority is what most of HAProxy's formats begin with, and no line of a log-format has it behind a number.
_FRAME = re.compile(rb"(?P<length>[1-9][0-9]{0,%d}) (?P<priority><[0-9]{1,3}>)?" % (_MOST_DIGITS - 1))
_BEGUN = re.compile(rb"(?:[1-9][0-9]{0,%d}(?: (?:<[0-9]{0,3})?)?)?\Z" % (_MOST_DIGITS - 1))
# So many frames without a priority are not there by chance.
_ENOUGH_FRAMES = 8
# More than this is not kept to find out; the first frame is always less.
_MOST_UNDECIDED = LONGEST_LINE + _MOST_DIGITS + 1


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
        """Decide, where nothing came for a while and all that came may be whole counted messages."""
        if self._framing is Framing.UNDECIDED and _is_counted(self._begun):
            self._framing = Framing.COUNTED
        return self._feed_begun()

    def end(self, *, cut: bool = False) -> Lines:
        """Give what is left when the connection has ended: a last line without a newline too, unless it was `cut`."""
        if self.fault:
            return NO_LINES
        if self._framing is Framing.UNDECIDED:
            is_counted = _find_framing(self._begun, 1) is Framing.COUNTED
            self._framing = Framing.COUNTED if is_counted else Framing.NEWLINE
        lines, last = self._feed_begun(), self._lines.end().chunk
        if not self.fault and (self._begun or (cut and last)):
            self.fault = Fault.INCOMPLETE
        self._begun.clear()
        return Lines(lines.chunk + (b"" if cut else last), lines.overlong)

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
        position, size = 0, len(block)
        while (position := _take_whole(block, position, messages)) < size:
            if newlines := _NEWLINES.match(block, position):
                position = newlines.end()
                continue
            digits = _DIGITS.match(block, position)
            if not digits:
                self.fault = Fault.MALFORMED
                break
            length, space = int(digits[0]), digits.end()
            if length > LONGEST_LINE:
                self.fault = Fault.OVERSIZED
            elif space < size and block[space] != ord(" "):
                self.fault = Fault.MALFORMED
            elif space < size:
                self._needed = space + 1 + length - position
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


def _find_framing(begun: bytes | bytearray, enough: int = _ENOUGH_FRAMES) -> Framing:
    """Tell from the first bytes of a connection how it is framed, as soon as that is certain.

    A line may begin with a number and a blank too, of a log-format like "%ST %ci". Then there is a newline within as
    many bytes, or what follows these is no length. By chance it may look like one, but not `enough` times in a row.
    """
    position = 0
    for _ in range(enough):
        if _BEGUN.match(begun, position):
            return Framing.UNDECIDED
        frame = _FRAME.match(begun, position)
        if not frame:
            return Framing.NEWLINE
        if frame["priority"]:
            return Framing.COUNTED
        start, size = frame.end("length") + 1, int(frame["length"])
        if size > LONGEST_LINE:
            return Framing.NEWLINE
        if start + size > _MOST_UNDECIDED:
            return Framing.COUNTED
        if begun.find(b"\n", start, start + size - 1) >= 0:
            return Framing.NEWLINE
        position = start + size
        if position > len(begun):
            return Framing.UNDECIDED
    return Framing.COUNTED


def _is_counted(begun: bytes | bytearray) -> bool:
    """Whether it is frames, the last of them whole."""
    position = 0
    while frame := _FRAME.match(begun, position):
        position = frame.end("length") + 1 + int(frame["length"])
    return 0 < position == len(begun)
