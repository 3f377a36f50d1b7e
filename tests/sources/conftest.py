"""What the tests of sources share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.streams import Open, Receiver
from tests.sources.tailing_files import Tail, numbered, open_below


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    """A tail that is stopped after the test, and leaves nothing open."""
    tail = Tail(tmp_path)
    yield tail
    tail.source.stop()
    assert not tail.descriptors()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log of ten lines; nothing is left open."""
    path = tmp_path / "haproxy.log"
    path.write_bytes(numbered(*range(10)))
    yield path
    assert not open_below(tmp_path)


@pytest.fixture
def receive() -> Iterator[Open]:
    """Open receivers, and close them at the end."""
    receivers: list[Receiver] = []

    def make(*args: str, **options: object) -> Receiver:
        receivers.append(Receiver(*args, **options))  # type: ignore[arg-type] # as they were given
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.close()
