import threading
from collections.abc import Iterator

import pytest

from tests.support import wait_until
from tests.web import descriptors, listening


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Give the port of a server that the tests of a module share: its stop takes longer than most of them."""
    with listening() as number:
        yield number


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Fail the test that leaves a thread or a descriptor behind."""
    before = threading.active_count(), descriptors()
    yield
    wait_until(lambda: threading.active_count() <= before[0], what="the end of the threads")
    wait_until(lambda: descriptors() <= before[1], what="the closing of what was opened")
