"""What a user did wrong, said so that it can be mended.

Everything else that is raised is a bug and keeps its traceback.
"""


class UsageError(Exception):
    """One or more mistakes in options or configuration.

    Each message names its option or its place and says what would be right.
    """

    def __init__(self, *messages: str) -> None:
        """Keep the messages apart, so that each can be printed on its own."""
        super().__init__("\n".join(messages))
        self.messages = messages


class OperationError(Exception):
    """Something outside refused: a port in use, a file that cannot be opened."""
