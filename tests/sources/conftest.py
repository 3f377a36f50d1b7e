"""What the tests of sources share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.tailing_files import Tail


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    """A tail that is stopped after the test, and leaves nothing open."""
    tail = Tail(tmp_path)
    yield tail
    tail.source.stop()
    assert not tail.descriptors()
