"""Standard input of a real `serve`."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.logformat.wrapping import cri
from tests.services import LINES, REQUESTS, line, times_said
from tests.states import opened
from tests.support import FIXTURES, Exporter, command, total, wait_until
from tests.systemd import ON_ANY_PORT, SERVE

ENDED = "standard input has ended"


@contextmanager
def reading(stdin: int, *options: str | Path) -> Iterator[Exporter]:
    """Run a `serve` that reads a descriptor for a while."""
    line_ = command(*SERVE, *ON_ANY_PORT, "--stdin", *options)
    exporter = Exporter(subprocess.Popen(line_, stdin=stdin, stderr=subprocess.PIPE, text=True))
    try:
        yield exporter
    finally:
        if exporter.process.stdin:
            exporter.process.stdin.close()
        exporter.stop()


def write(exporter: Exporter, *data: bytes) -> None:
    """Write to the exporter's pipe."""
    assert exporter.process.stdin
    for each in data:
        os.write(exporter.process.stdin.fileno(), each)


def end(exporter: Exporter) -> None:
    """End the exporter's pipe."""
    assert exporter.process.stdin
    exporter.process.stdin.close()


def counted(state: Path) -> float:
    """Read from a state how many lines of standard input were counted."""
    with opened(state) as book:
        return book.state.counters["counted", "stdin"]


def test_the_end_is_the_end(tmp_path: Path) -> None:
    """It ends with 0, once what was read is in the state, a last line without its newline too; and goes on from it."""
    for totals in (5, 10):
        with reading(subprocess.PIPE, "--state", tmp_path / "state") as exporter:
            write(exporter, line(), line()[:20], line()[20:] + line())
            assert total(exporter.wait_for_lines(totals - 2), REQUESTS) == totals - 2
            write(exporter, line(), line().rstrip())
            end(exporter)
            assert exporter.process.wait(timeout=30) == 0
        assert times_said(exporter, ENDED) == 1
        assert times_said(exporter, "Traceback") == 0
        assert counted(tmp_path / "state") == totals


@pytest.mark.parametrize("kind", ["file", "fifo", "null"])
def test_what_is_no_pipe(tmp_path: Path, kind: str) -> None:
    """A file is read to its end, however large; a fifo from its first writer to its last; in /dev/null is nothing."""
    many = 30_000
    path = Path("/dev/null") if kind == "null" else tmp_path / "log"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        path.write_bytes(line() * many)
    stdin = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with reading(stdin, "--state", tmp_path / "state") as exporter:
        os.close(stdin)
        if kind == "fifo":
            assert exporter.port
            with path.open("wb") as writer:
                writer.write(line() * many)
        assert exporter.process.wait(timeout=60) == 0
    assert counted(tmp_path / "state") == (0 if kind == "null" else many)


def test_a_terminal(tmp_path: Path) -> None:
    """Whoever types lines sees them counted, and ends it with Control-D."""
    ours, theirs = pty.openpty()
    with reading(theirs, "--state", tmp_path / "state") as exporter:
        os.close(theirs)
        os.write(ours, line())
        exporter.wait_for_lines(1)
        os.write(ours, b"\x04")
        assert exporter.process.wait(timeout=30) == 0
    os.close(ours)
    assert counted(tmp_path / "state") == 1


def test_others_go_on(tmp_path: Path) -> None:
    """With a file beside it the service stays after the end of standard input, and rests."""
    log = tmp_path / "haproxy.log"
    log.touch()
    with reading(subprocess.PIPE, "-f", log) as exporter:
        write(exporter, line(), b"begun")
        exporter.wait_for_lines(1)
        end(exporter)
        wait_until(lambda: times_said(exporter, ENDED), what="the end")
        exporter.wait_for_lines(2)
        log.write_bytes(line() * 3)
        samples = exporter.wait_for_lines(5)
        assert total(samples, LINES, source="stdin") == 2
        assert total(samples, LINES, source=str(log)) == 3

        def rests() -> bool:
            before = total(exporter.scrape(), "process_cpu_seconds_total")
            time.sleep(1)
            return total(exporter.scrape(), "process_cpu_seconds_total") - before < 0.1

        wait_until(rests, 20, "rest, after the eager looks at a file that grew")
        assert exporter.get("/-/ready")[0] == b"ready\n"
        assert exporter.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_the_pipe_at_the_end_counts(tmp_path: Path, number: int) -> None:
    """All that was written before the signal, though the exporter did not run meanwhile."""
    many = 3_000
    with reading(subprocess.PIPE, "--state", tmp_path / "state") as exporter:
        write(exporter, line())
        exporter.wait_for_lines(1)
        exporter.process.send_signal(signal.SIGSTOP)
        write(exporter, line() * many, line()[:-1])
        exporter.process.send_signal(number)
        exporter.process.send_signal(signal.SIGCONT)
        assert exporter.process.wait(timeout=30) == 0
    assert counted(tmp_path / "state") == many + 2


def test_lines_that_are_too_long_are_rejected() -> None:
    """They are counted as such, and do no harm to those about them."""
    with reading(subprocess.PIPE) as exporter:
        write(
            exporter, line(), b"x" * (LONGEST_LINE + 1) + b"\n", line(), b"y" * 300_000, b"y" * 300_000 + b"\n", line()
        )
        samples = exporter.wait_for_lines(5)
        assert total(samples, LINES, result="counted") == 3
        assert total(samples, LINES, result="rejected") == 2


@pytest.mark.parametrize("name", ["bare.log", "cri.log", "docker.log", "journal.export", "journal.json"])
def test_wrapped_lines(name: str) -> None:
    """`journalctl -o export -f | …`, and what containers write: counted as `count` counts them, however divided."""
    path = FIXTURES / "wrapped" / name
    told = subprocess.run(command("count", path), capture_output=True, text=True, check=True).stdout
    wanted = [row for row in told.splitlines() if row.startswith("haproxy_log_requests_total")]
    assert wanted
    data = path.read_bytes()
    with reading(subprocess.PIPE) as exporter:
        write(exporter, *(data[start : start + 1000] for start in range(0, len(data), 1000)))

        def same() -> bool:
            shown = exporter.get("/metrics")[0].decode().splitlines()
            return sorted(row for row in shown if row.startswith("haproxy_log_requests_total")) == sorted(wanted)

        wait_until(same, what=str(wanted))


def test_a_wrapped_line_in_parts(tmp_path: Path) -> None:
    """Parts of a line are joined; at the end what there is of one is told."""
    text = line().rstrip()
    with reading(subprocess.PIPE, "--state", tmp_path / "state") as exporter:
        write(exporter, cri(text[:50], "P"))
        write(exporter, cri(text[50:]) + cri(text) + cri(text[:50], "P"))
        samples = exporter.wait_for_lines(2)
        assert total(samples, REQUESTS) == 2
        end(exporter)
        assert exporter.process.wait(timeout=30) == 0
    assert counted(tmp_path / "state") == 2


def test_standard_input_that_is_closed(tmp_path: Path) -> None:
    """Closed is a mistake in the call, told before anything is opened: it would be taken for standard input."""
    line_ = command(*SERVE, *ON_ANY_PORT, "--stdin", "--state", tmp_path / "state")
    told = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *line_], capture_output=True, timeout=60, check=False)
    assert (told.returncode, told.stderr.decode()) == (2, "haproxy-log-exporter: --stdin: standard input is closed\n")
    assert not (tmp_path / "state").exists()
