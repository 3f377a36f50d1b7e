"""What a user did wrong, said so that it can be mended.

Everything else that is raised is a bug and keeps its traceback.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

_NEAR = 0.8


class UsageError(Exception):
    """One or more mistakes in options or configuration.

    Each message names its option or its place and says what would be right.
    """

    def __init__(self, *messages: str) -> None:
        """Keep the messages apart, so that each can be printed on its own."""
        super().__init__("\n".join(messages))
        self.messages = messages


@contextmanager
def collecting(messages: list[str]) -> Iterator[None]:
    """Go on behind what is within, where that is wrong, and keep the mistakes."""
    try:
        yield
    except UsageError as error:
        messages += error.messages


def hint(name: str, known: Iterable[str]) -> str:
    """Ask for the known name that is near to one, where there is one."""
    near = get_close_matches(name, [each for each in known if each.isidentifier()], n=1, cutoff=_NEAR)
    return f" (did you mean {near[0]!r}?)" if near else ""


class OperationError(Exception):
    """Something outside refused: a port in use, a file that cannot be opened."""
