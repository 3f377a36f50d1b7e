import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from haproxy_log_exporter import service as service_module
from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.errors import OperationError, UsageError
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.service import Service
from haproxy_log_exporter.settings import read_settings
from tests.services import (
    LINES,
    REQUESTS,
    append,
    line,
    make_service,
    running,
    shown,
    times_said,
    wait_for,
)
from tests.support import Samples, free_port, read_samples, run, serving, total, wait_until

ERRORS = "haproxy_log_exporter_source_errors_total"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_0(tmp_path: Path, number: int) -> None:
    """What was read shows, and the end is no failure and says nothing of a traceback."""
    log = tmp_path / "haproxy.log"
    append(log, line(200), line(404))
    with serving("-f", log, "--start", "beginning") as exporter:
        samples = exporter.wait_for_lines(2)
        assert total(samples, REQUESTS) == 2
        assert exporter.stop(number) == 0
    assert times_said(exporter, "Traceback") == 0


def test_signals_again_and_again_are_one(tmp_path: Path) -> None:
    """Whoever is impatient sends the signal until the process is gone; it still ends with 0."""
    with serving("-f", tmp_path / "haproxy.log") as exporter:
        assert exporter.port
        for _ in range(200):
            if exporter.process.poll() is not None:
                break
            exporter.process.send_signal(signal.SIGTERM)
        assert exporter.stop() == 0


def test_stop_is_harmless_at_any_time(tmp_path: Path) -> None:
    """Before the run, and after it as well: a signal may come when all is closed already."""
    service = make_service(files=[str(tmp_path / "haproxy.log")])
    service.stop()
    service.run()
    service.stop()


def test_what_was_read_is_flushed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that wait for their flush are in the totals once the service has ended."""
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 3_600.0)
    log = tmp_path / "haproxy.log"
    log.touch()
    service = make_service(files=[str(log)], start=["beginning"])
    with running(service):
        append(log, *[line()] * 5)
        wait_until(lambda: service.pipeline.pending == 5, what="the lines")
        assert total(shown(service), REQUESTS) == 0
    assert total(shown(service), REQUESTS) == 5


def test_stop_wakes_a_service_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that waits for datagrams, with nothing else due for an hour, ends at once."""
    monkeypatch.setattr(service_module, "FLUSH_SECONDS", 3_600.0)
    service = make_service(syslog=["udp://127.0.0.1:0"])
    with running(service), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(line(), ("127.0.0.1", service.inputs.ports[0]))
        wait_until(lambda: service.pipeline.pending == 1, what="the line")
    assert total(shown(service), REQUESTS) == 1


def test_ended_service_leaves_nothing(tmp_path: Path) -> None:
    """Threads, sockets and files are given back, also where the start failed."""

    def left() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    log = tmp_path / "haproxy.log"
    append(log, line())
    before = left()
    with running(make_service(files=[str(log)], syslog=["udp://127.0.0.1:0"])):
        assert left() > before
    wait_until(lambda: left() == before, what="the end of all that was started")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        service = make_service(files=[str(log)], syslog=["udp://127.0.0.1:0"], listen_address=[address])
        with pytest.raises(OperationError, match=address):
            service.run()
        del service
    wait_until(lambda: left() == before, what="the end of all that was started")


def test_nothing_to_read_is_wrong_usage() -> None:
    """It says what to give and starts nothing."""
    done = run("serve")
    assert done.returncode == 2
    message = done.stderr.decode()
    assert message.startswith("haproxy-log-exporter: nothing to read: ")
    assert "--file" in message
    assert "--syslog" in message
    assert done.stdout == b""


def test_unknown_label_lists_those_there_are(tmp_path: Path) -> None:
    """Exit 2, with the name that is wrong and all that would be right."""
    done = run("serve", "-f", tmp_path / "haproxy.log", "-l", "status_code,colour")
    assert done.returncode == 2
    [message] = done.stderr.decode().splitlines()
    assert message.startswith("haproxy-log-exporter: --labels: ")
    assert "'colour'" in message
    for there in ("status_code", "status_class", "server_name", "http_request_path", "request_header_1", "ssl"):
        assert there in message.partition("there are")[2]


def test_label_that_the_formats_lack_is_unknown(tmp_path: Path) -> None:
    """Of a TCP format alone there is no status code, and the list does not offer one."""
    done = run("serve", "-f", tmp_path / "haproxy.log", "--format", "tcplog", "-l", "status_code")
    assert done.returncode == 2
    assert "'status_code'" in done.stderr.decode()
    assert "status_code" not in done.stderr.decode().partition("there are")[2]


def test_every_mistake_is_told_at_once() -> None:
    """Each on a line of its own that names its option, and nothing is started."""
    done = run(
        *("serve", "-l", "colour", "--metrics", "speed", "--buckets", "1,x", "--start", "middle"),
        *("--syslog", "udp://nowhere", "--web.listen-address", "127.0.0.1", "--web.telemetry-path", "metrics"),
        *("--log.level", "loud", "--log.format", "xml", "--parser", "perl"),
    )
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    options = [
        *("labels", "metrics", "buckets", "start", "syslog", "web.listen-address", "web.telemetry-path"),
        *("log.level", "log.format", "parser"),
    ]
    for option in options:
        assert sum(text.startswith(f"haproxy-log-exporter: --{option}: ") for text in lines) == 1, option


def test_mistakes_in_several_formats_are_told_at_once(tmp_path: Path) -> None:
    """Each format that cannot be read is told, not the first one alone."""
    formats = ("nonesuch", "%ci %zz", "%yy")
    done = run("serve", "-f", tmp_path / "haproxy.log", *(text for each in formats for text in ("--format", each)))
    assert done.returncode == 2
    assert [each for each in formats if each not in done.stderr.decode()] == []


def test_service_tells_mistakes_before_it_opens_anything() -> None:
    """A service cannot even be made of a wrong choice."""
    settings, _ = read_settings({"files": ["x"]}, {})
    with pytest.raises(UsageError) as caught:
        Service(Given(settings, Choice(("colour",), ("speed",), settings.buckets)))
    assert len(caught.value.messages) == 2


def make_missing(path: Path) -> None:
    """Leave the file away."""
    assert not path.exists()


def make_directory(path: Path) -> None:
    """Put a directory in the file's place, that holds enough to have a size."""
    path.mkdir()
    for number in range(10):
        (path / f"{number:0200}").touch()


def make_dangling(path: Path) -> None:
    """Put a link to nothing in the file's place."""
    path.symlink_to(path.parent / "nothing")


def make_fifo(path: Path) -> None:
    """Put a pipe in the file's place, whose opening would wait for a writer."""
    os.mkfifo(path)


def make_unreadable(path: Path) -> None:
    """Put a file there that may not be read, and has a size."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    append(path, *[line()] * 3)
    path.chmod(0o000)


def take_away(path: Path) -> None:
    """Remove whatever is in the file's place."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for entry in path.iterdir():
        entry.unlink()
    path.rmdir()


@pytest.mark.parametrize(
    ("spoil", "start"),
    [
        (make_missing, "end"),
        (make_missing, "beginning"),
        (make_directory, "end"),
        (make_dangling, "end"),
        (make_fifo, "end"),
        (make_unreadable, "end"),
    ],
)
def test_file_that_cannot_be_read_is_picked_up_later(tmp_path: Path, spoil: Callable[[Path], None], start: str) -> None:
    """It is named once and counted, other sources go on, and when it can be read it is read from its first line."""
    log, other = tmp_path / "haproxy.log", tmp_path / "other.log"
    spoil(log)
    other.touch()
    with serving("-f", log, "-f", other, "--start", start, "-l", "http_request_path") as exporter:
        wait_for(exporter, lambda samples: total(samples, ERRORS, source=str(log)) >= 2, "two tries")
        append(other, line(path="/other"))
        samples = exporter.wait_for_lines(1)
        assert total(samples, REQUESTS, http_request_path="/other") == 1
        assert total(samples, ERRORS, source=str(other)) == 0
        assert times_said(exporter, f"cannot read {log}") == 1
        fresh = tmp_path / "fresh"
        append(fresh, *[line(path="/found")] * 7)
        take_away(log)
        fresh.rename(log)
        samples = wait_for(exporter, lambda samples: total(samples, LINES) == 8, "the file's lines")
        assert total(samples, REQUESTS, http_request_path="/found") == 7
        assert total(samples, LINES, source=str(log), result="counted") == 7
        append(log, line(path="/more"))
        append(other, line(path="/other"))
        samples = exporter.wait_for_lines(10)
        assert total(samples, REQUESTS, http_request_path="/more") == 1
        assert total(samples, REQUESTS, http_request_path="/other") == 2


def test_file_that_cannot_be_read_again_is_named_again(tmp_path: Path) -> None:
    """Once it could be read, a new trouble is news."""
    log = tmp_path / "haproxy.log"
    with serving("-f", log) as exporter:
        wait_until(lambda: times_said(exporter, f"cannot read {log}") == 1, what="the complaint")
        log.touch()
        wait_until(lambda: times_said(exporter, f"following {log}") == 1, what="the file")
        log.unlink()
        wait_until(lambda: times_said(exporter, f"cannot read {log}") == 2, what="the second complaint")


def test_other_sources_go_on_while_a_pattern_matches_nothing(tmp_path: Path) -> None:
    """A pattern without a file yet is no trouble, and its files are read whole when they come."""
    with serving("-f", tmp_path / "*.log", "--syslog", "udp://127.0.0.1:0") as exporter:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(line(), ("127.0.0.1", exporter.syslog_port))
        samples = exporter.wait_for_lines(1)
        assert total(samples, LINES, source="udp://127.0.0.1:0") == 1
        assert total(samples, ERRORS) == 0
        append(tmp_path / "new.log", line(), line())
        samples = exporter.wait_for_lines(3)
        assert total(samples, LINES, source=str(tmp_path / "*.log")) == 2
        assert times_said(exporter, "cannot read") == 0


def test_address_of_syslog_in_use_is_named() -> None:
    """Exit 1, with the option and the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        done = run("serve", "--syslog", url, "--web.listen-address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert f"--syslog: cannot listen on {url}: Address already in use" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_environment_sets_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option has a variable; several files are lines of one, and the command line goes first."""
    for name in "ab":
        append(tmp_path / name, line(status=403, path=f"/{name}"))
    variables = {
        "FILE": f"{tmp_path}/a\n{tmp_path}/b",
        "START": "beginning",
        "LABELS": "http_request_path,status_class",
        "METRICS": "requests_total,total_duration_seconds",
        "BUCKETS": "0.004,1",
        "FORMAT": "httplog",
        "WEB_TELEMETRY_PATH": "/numbers",
        "WEB_LISTEN_ADDRESS": "no address, and never looked at",
    }
    for name, text in variables.items():
        monkeypatch.setenv(f"HAPROXY_LOG_EXPORTER_{name}", text)
    with serving() as exporter:

        def read() -> Samples:
            return read_samples(exporter.get("/numbers")[0].decode())

        wait_until(lambda: total(read(), REQUESTS) == 2, what="both files")
        samples = read()
    assert {labels for name, labels in samples if name == REQUESTS} == {
        frozenset({("http_request_path", path), ("status_class", "4xx")}) for path in ("/a", "/b")
    }
    assert total(samples, "haproxy_log_total_duration_seconds_bucket", le="0.004") == 2
    assert not any("response_duration" in name for name, _ in samples)


def test_mistakes_in_the_environment_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it there finds it there."""
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_START", "middle")
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_WEB_LISTEN_ADDRESS", "nowhere")
    monkeypatch.setenv("HAPROXY_LOG_EXPORTER_FILE", "x")
    done = run("serve")
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    assert [text.split(": ")[1] for text in lines] == [
        "HAPROXY_LOG_EXPORTER_START",
        "HAPROXY_LOG_EXPORTER_WEB_LISTEN_ADDRESS",
    ]


# --- Facilities -------------------------------------------------------------------------------------------------------


def test_facilities_are_those_of_syslog_alone(tmp_path: Path) -> None:
    """With two loggers each error is sent twice; a file is read whole, whatever it names."""
    log = tmp_path / "haproxy.log"
    append(log, b"<141>" + line(), line())
    service = make_service(
        files=[str(log)], start=["beginning"], syslog=["udp://127.0.0.1:0"], facilities=["local0", "local3"]
    )

    def tallies() -> dict[str, tuple[int, int, int]]:
        found = service.pipeline.shown().tallies
        return {source: (tally.counted, tally.filtered, tally.rejected) for source, tally in found.items()}

    with running(service), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for header in (b"<134>", b"<141>", b"<155>", b"", b"<6>"):
            sender.sendto(header + line(), ("127.0.0.1", service.inputs.ports[0]))
        expected = {str(log): (2, 0, 0), "udp://127.0.0.1:0": (4, 1, 0)}
        wait_until(lambda: tallies() == expected, what="all lines")
    assert total(shown(service), REQUESTS) == 6
