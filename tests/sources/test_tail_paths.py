"""Which paths are followed, how many, and for how long."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.sources.tailing_files import (
    Tail,
    append,
    compress,
    numbered,
    numbers,
    open_below,
    shift,
)


def test_logs_beside_each_other(tail: Tail) -> None:
    """Logs with alike names are none of each other's rotated files."""
    names = [
        "haproxy.log",
        "haproxy-a.log",
        "haproxy-1.log",
        "haproxy-http.log",
        "node.log",
        "node-1.log",
        "node-12.log",
    ]
    for number, name in enumerate(names):
        append(tail.directory / name, numbered(number))
    tail.start("*.log", from_beginning=True)
    assert sorted(tail.counted()) == [*range(len(names))]
    for number, name in enumerate(names, 100):
        shift(tail.directory / name)
        append(tail.directory / name, numbered(number))
    assert sorted(tail.counted()) == [*range(100, 100 + len(names))]
    assert len(tail.source.paths()) == len(names)


def test_many_files(tail: Tail) -> None:
    """Each is rotated and compressed, all at once, and each line counts once."""
    logs = [tail.directory / f"haproxy-{number}-a.log" for number in range(100)]
    for log in logs:
        log.touch()
    tail.start("*.log")
    for turn in range(3):
        for number, log in enumerate(logs):
            append(log, numbered(turn * 1000 + number))
        if turn:
            tail.stop()
        for log in logs:
            shift(log, ends=".gz")
            compress(log.with_name(f"{log.name}.1"))
        if turn:
            tail.again()
        assert sorted(tail.counted()) == [turn * 1000 + number for number in range(100)]
    assert not open_below(tail.directory)


def test_paths_that_are_gone_are_forgotten(tail: Tail) -> None:
    """Of logs that come and go, as those of containers, nothing stays, once all of their files are gone."""
    tail.start("*/*.log")
    ended: list[str] = []

    def turn() -> list[int]:
        tail.clock.time += 1
        chunks = tail.source.read()
        ended.extend(chunk.stream for chunk in chunks if chunk.last)
        return numbers(b"".join(chunk.lines for chunk in chunks))

    for number in range(20):
        directory = tail.directory / str(number)
        directory.mkdir()
        log = directory / "0.log"
        append(log, numbered(number))
        assert turn() == [number]
        log.rename(log.with_name("0.log.20261120-105640"))
        append(log, numbered(number + 100))
        assert turn() == [number + 100]
        shutil.rmtree(directory)
    for _ in range(40):
        assert turn() == []
    assert tail.source.marks() == {}
    assert tail.source.paths() == []
    assert sorted(ended) == sorted(str(tail.directory / str(number) / "0.log") for number in range(20))
    assert not tail.descriptors()


def test_since_when_patterns_are_followed(tail: Tail) -> None:
    """It is told in seconds since the epoch, and stays over restarts."""
    before = time.time()
    tail.start()
    since = dict(tail.source.since)
    assert before <= since[str(tail.log)] <= time.time()
    tail.restart()
    assert tail.source.since == since


def test_a_path_that_is_written_in_another_way(tail: Tail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, or with dots in it, it is the same file; one that is named twice is read once."""
    monkeypatch.chdir(tail.directory)
    tail.write(numbered(1))
    directory = Path(os.path.relpath(tail.directory))
    tail._patterns = [f"{directory}/haproxy.log", f"{tail.directory}/x/../haproxy.log", "haproxy.log", "./*.log"]
    (tail.directory / "x").mkdir()
    tail._make(from_beginning=True, marks={}, since={})
    assert tail.counted() == [1]
    tail.restart()
    tail.write(numbered(2))
    shift(tail.log)
    assert tail.counted() == [2]
