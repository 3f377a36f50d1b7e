"""Lines of containers that come in several parts."""

from collections.abc import Mapping


class Parts:
    """Joins the parts of lines, of each stream for itself, and keeps at most one line's worth of each."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.overlong = 0
        self.begun: dict[bytes, bytearray | None] = {}  # None: of a line that is too long, which is not kept

    def add(self, stream: bytes, text: bytes) -> bytes:
        """Take what comes next in a stream; give the lines that are whole now."""
        begun = self.begun.pop(stream, bytearray())
        whole, newline, tail = text.rpartition(b"\n")
        lines = b""
        if newline:
            first, _, more = (whole + newline).partition(b"\n")
            if begun is not None and len(begun) + len(first) <= self.longest:
                lines = bytes(begun) + first + newline
            else:
                self.overlong += begun is not None
            lines, begun = lines + more, bytearray()
        if begun is not None:
            begun += tail
            if len(begun) > self.longest:
                self.overlong, begun = self.overlong + 1, None
        if begun is None or begun:
            self.begun[stream] = begun
        return lines

    def end(self) -> bytes:
        """Give the lines that have no end."""
        lines = b"".join(bytes(begun) + b"\n" for begun in self.begun.values() if begun)
        self.begun.clear()
        return lines

    def held(self) -> dict[str, str | None]:
        """Write down the lines that have no end yet."""
        return {
            stream.decode("latin-1"): text if text is None else text.decode("latin-1")
            for stream, text in self.begun.items()
        }

    def hold(self, held: Mapping[str, object]) -> None:
        """Go on with lines that were written down.

        Raises:
            ValueError: where it is nothing of the kind.
        """
        if not all(text is None or isinstance(text, str) for text in held.values()):
            message = "no lines that were begun"
            raise ValueError(message)
        self.begun = {
            stream.encode("latin-1"): bytearray(text, "latin-1") if isinstance(text, str) else None
            for stream, text in held.items()
        }
