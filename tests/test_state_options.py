"""--state and --state-reset as a user gives them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from haproxy_log_exporter.settings import read_settings
from tests.logformat.wrapping import cri
from tests.services import LINES, REQUESTS, append, line, times_said, wait_for
from tests.states import beside, contents, keep_totals, make_read_only, opened, small_disk
from tests.support import Exporter, run, serving, total, wait_until

POSITION = "haproxy_log_exporter_source_position_bytes"
LISTEN = ("--web.listen-address", "127.0.0.1:0")


def refuse(*arguments: str | Path, status: int = 1) -> str:
    """Make sure that `serve` does not start; give the one line that it says."""
    done = run("serve", *LISTEN, *arguments)
    assert done.returncode == status
    assert done.stdout == b""
    [message] = done.stderr.decode().splitlines()
    assert message.startswith("haproxy-log-exporter: ")
    return message.removeprefix("haproxy-log-exporter: ")


def make_garbage(path: Path) -> None:
    """Write what is no state."""
    path.write_bytes(b"\x1b[31mgarbage\n" * 999)


def make_damaged(path: Path) -> None:
    """Write garbage into the pages of a state."""
    whole = keep_totals(path).read_bytes()
    path.write_bytes(whole[:8192] + os.urandom(8192) + whole[16384:])


def make_cut(path: Path) -> None:
    """Cut a state."""
    whole = keep_totals(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("make", [Path.touch, make_garbage, make_damaged, make_cut])
def test_unreadable_state_ends_with_1(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """One line tells option, path and remedy; the file stays as it was, and with the remedy all goes on."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    append(log, line())
    make(path)
    before = contents(path)
    message = refuse("-f", log, "--state", path)
    assert message.startswith(f"--state: {path} cannot be read as a state: ")
    assert message.endswith("; --state-reset starts afresh and keeps it beside")
    assert contents(path) == before
    with serving("-f", log, "--state", path, "--state-reset", "--start", "beginning") as exporter:
        assert total(exporter.wait_for_lines(1), REQUESTS) == 1
    [old] = beside(path)
    assert old.read_bytes() == before["state"]


def test_directory_ends_with_1(tmp_path: Path) -> None:
    """It is no state, and --state-reset does not rename it."""
    for more in ((), ("--state-reset",)):
        message = refuse("-f", tmp_path / "haproxy.log", "--state", tmp_path, *more)
        assert message == f"--state: cannot use {tmp_path}: Is a directory"
    assert tmp_path.is_dir()


def test_read_only_state_ends_with_1(tmp_path: Path) -> None:
    """At the start, before anything is read."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        path = keep_totals(disk / "state")
        make_read_only(disk)
        message = refuse("-f", tmp_path / "haproxy.log", "--state", path)
        assert message == f"--state: cannot use {path}: Read-only file system"


def test_reset_keeps_the_totals_of_before(tmp_path: Path) -> None:
    """The new state begins at 0; the old one shows again what it had when it is given by its new name."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    append(log, *[line()] * 3)
    with serving("-f", log, "--state", path, "--start", "beginning") as exporter:
        exporter.wait_for_lines(3)
        assert exporter.stop(signal.SIGKILL) == -signal.SIGKILL
    assert Path(f"{path}-wal").stat().st_size
    with serving("-f", log, "--state", path, "--state-reset") as exporter:
        assert total(exporter.scrape(), LINES) == 0
        append(log, line())
        assert total(exporter.wait_for_lines(1), REQUESTS) == 1
        assert times_said(exporter, f"the one before is now {path}.") == 1
    [old] = beside(path)
    with serving("-f", tmp_path / "other.log", "--state", old) as exporter:
        samples = exporter.scrape()
        assert total(samples, LINES, source=str(log), result="counted") == 3
        assert total(samples, REQUESTS) == 3


def test_reset_without_state_is_wrong_usage(tmp_path: Path) -> None:
    """There is nothing to reset."""
    message = refuse("-f", tmp_path / "haproxy.log", "--state-reset", status=2)
    assert message == "--state-reset: there is no --state PATH"


def test_empty_path_is_wrong_usage(tmp_path: Path) -> None:
    """It is told with the option's name."""
    assert refuse("-f", tmp_path / "haproxy.log", "--state", "", status=2) == "--state: is empty"


@pytest.mark.parametrize(
    ("text", "resets", "problems"),
    [
        ("true", True, []),
        ("TRUE", True, []),
        ("false", False, []),
        ("", False, []),
        ("maybe", False, ["HAPROXY_LOG_EXPORTER_STATE_RESET: 'maybe' is neither true nor false"]),
        ("1", False, ["HAPROXY_LOG_EXPORTER_STATE_RESET: '1' is neither true nor false"]),
    ],
)
def test_environment_says_true_or_false(text: str, resets: bool, problems: list[str]) -> None:  # noqa: FBT001 -- a row
    """The variable of a switch has a value; the switch itself has none."""
    environment = {"HAPROXY_LOG_EXPORTER_STATE_RESET": text, "HAPROXY_LOG_EXPORTER_STATE": "/s"}
    found, told = read_settings({"state": [], "state_reset": []}, environment)
    assert (found.state, found.state_reset, told) == ("/s", resets, problems)
    found, told = read_settings({"state": ["/t"], "state_reset": ["true"]}, environment)
    assert (found.state, found.state_reset, told) == ("/t", True, [])


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("true", 2, "HAPROXY_LOG_EXPORTER_STATE_RESET: there is no --state PATH"),
        ("false", 1, "--state: cannot use {}: Is a directory"),
        ("maybe", 2, "HAPROXY_LOG_EXPORTER_STATE_RESET: 'maybe' is neither true nor false"),
    ],
)
def test_environment_resets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, status: int, expected: str
) -> None:
    """With true a state is asked for, false is as if it were not given, and anything else is wrong usage."""
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_STATE_RESET", text)
    state = ("--state", tmp_path) if text == "false" else ()  # a directory, so that it ends
    message = refuse("-f", tmp_path / "haproxy.log", *state, status=status)
    assert message == expected.format(tmp_path)


@pytest.mark.parametrize("reset", [(), ("--state-reset",)])
def test_second_process_is_refused(tmp_path: Path, reset: tuple[str, ...]) -> None:
    """It ends with 1 and says why, and the first one goes on as if nothing had been; also against a reset."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    append(log, line())
    with serving("-f", log, "--state", path, "--start", "beginning") as first:
        first.wait_for_lines(1)
        for number in range(2, 4):
            message = refuse("-f", log, "--state", path, *reset)
            assert message == f"--state: {path} is in use by another process"
            append(log, line())
            samples = first.wait_for_lines(number)
            assert total(samples, REQUESTS) == number
            assert total(samples, "haproxy_log_exporter_state_writable") == 1
        assert first.stop() == 0
    assert beside(path) == []
    with serving("-f", log, "--state", path) as again:
        assert total(again.scrape(), REQUESTS) == 3


def test_state_of_a_killed_process_opens_at_once(tmp_path: Path) -> None:
    """Its lock has gone with it, and what it had shown is there."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    append(log, *[line()] * 5)
    for number in range(1, 4):
        with serving("-f", log, "--state", path, "--start", "beginning") as exporter:
            samples = exporter.wait_for_lines(5 * number)
            assert total(samples, REQUESTS) == 5 * number
            append(log, *[line()] * 5)
            exporter.stop(signal.SIGKILL)
    with serving("-f", log, "--state", path) as exporter:
        assert total(exporter.wait_for_lines(20), REQUESTS) == 20
        wait_for(exporter, lambda samples: total(samples, "haproxy_log_exporter_state_writable") == 1, "the state")


def wait_until_read(exporter: Exporter, position: int) -> None:
    """Wait until it shows a position."""
    wait_for(exporter, lambda samples: total(samples, POSITION) == position, "all that was written")


def test_line_that_was_begun_is_ended_by_the_next_process(tmp_path: Path) -> None:
    """Parts that were read before a kill, and shown as read, are joined with those that come after it."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    text = line()[:-1]
    log.write_bytes(b"".join(cri(part, "P") for part in (text[:20], text[20:40])))
    size = log.stat().st_size
    options = ("-f", log, "--state", path, "--start", "beginning")
    for more in (b"", cri(text[40:], "P"), cri(b"", "F") + cri(text)):
        append(log, more)
        size += len(more)
        with serving(*options) as exporter:
            wait_until_read(exporter, size)
            exporter.stop(signal.SIGKILL)
    with serving(*options) as exporter:
        samples = exporter.wait_for_lines(2)
        assert total(samples, REQUESTS) == total(samples, LINES) == 2


def test_damaged_begun_line_ends_with_1(tmp_path: Path) -> None:
    """It is told once a line would follow it, naming the state and the log."""
    log, path = tmp_path / "haproxy.log", tmp_path / "state"
    append(log, line())
    with serving("-f", log, "--state", path) as exporter:
        assert exporter.port
    with opened(path) as book:
        streams = {name: kept._replace(held="[]") for name, kept in book.state.streams.items()}
        assert streams
        book.commit(streams=streams)
    append(log, line())
    done = run("serve", *LISTEN, "-f", log, "--state", path)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    message = done.stderr.decode().splitlines()[-1]
    assert message.startswith(f"haproxy-log-exporter: --state: {path} ")
    assert str(log) in message


def test_state_writable_is_there_with_a_state_alone(tmp_path: Path) -> None:
    """Without one there is nothing that could be written."""
    with serving("-f", tmp_path / "haproxy.log") as exporter:
        assert not any("state_writable" in name for name, _ in exporter.scrape())
    with serving("-f", tmp_path / "haproxy.log", "--state", tmp_path / "state") as exporter:
        wait_until(lambda: exporter.scrape()["haproxy_log_exporter_state_writable", frozenset()] == 1)
