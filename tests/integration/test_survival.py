"""Whatever kills the exporter, and however the log is rotated meanwhile, each line counts once."""

import os
from pathlib import Path

import pytest

from tests.integration.numbered_log import ROTATIONS
from tests.integration.survival import Load, Survival
from tests.support import need


@pytest.mark.parametrize("name", ROTATIONS)
def test_each_line_counts_once(name: str, tmp_path: Path) -> None:
    """It is killed at random moments while a log is written and rotated, and scraped all the time.

    The last scrape has each line once, and over all of them no counter ever went back.
    """
    need("logrotate")
    load = Load.read(os.environ)
    print(f"{name}: {load}, files in {tmp_path}")
    survival = Survival(tmp_path, ROTATIONS[name], load)
    survival.run()
    print(f"{name}: {survival.summary}")
