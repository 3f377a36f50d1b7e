"""Real lines: what HAProxy 2.6 and 3.2 sent, and small logs with the exposition that they must give."""

import json
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser, as_json
from tests.support import FIXTURES, run

VERSIONS = ("2.6.12", "3.2.0")

# The frontends whose lines no preset reads: they have a log-format of their own.
OWN_LOG_FORMAT = {"json (log-format with +json)"}

# The frontends that have `option httplog`.
HTTPLOG = ("web", "asap (httplog + logasap)", "steps (log-steps all)")


class Message(NamedTuple):
    """One message of a capture, without what ends it, and the line that `parse` must print for it."""

    frontend: str
    line: bytes
    expected: str


def unframe(octets: bytes) -> Iterator[bytes]:
    """Take messages apart that each begin with their length and a blank (RFC 6587, section 3.4.1)."""
    while octets:
        length, _, octets = octets.partition(b" ")
        yield octets[: int(length)]
        octets = octets[int(length) :]


def messages(version: str) -> list[Message]:
    """Read all messages of a version's captures with what is expected of each."""
    lines: list[tuple[str, bytes]] = []
    for row in (FIXTURES / f"haproxy-{version}.jsonl").read_text().splitlines():
        capture = json.loads(row)
        octets = capture["bytes_latin1"].encode("latin-1")
        counted = "octet-count" in capture["log_format_of_transport"]
        parts = [*unframe(octets)] if counted else octets.removesuffix(b"\n").split(b"\n")
        lines += [(capture["frontend"], part) for part in parts]
    expected = (FIXTURES / f"haproxy-{version}.expected.jsonl").read_text().splitlines()
    return [Message(frontend, line, text) for (frontend, line), text in zip(lines, expected, strict=True)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_is_read_as_expected(version: str) -> None:
    """Kinds, fields, their order and their JSON types are those that were checked by hand against the bytes."""
    parser = Parser(compile_all(Choice((), (), (), ())))
    for message in messages(version):
        found = json.dumps(as_json(parser.parse(message.line), message.line), ensure_ascii=False)
        assert found == message.expected, message.line


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_rejected_but_a_log_format_of_its_own(version: str) -> None:
    """Each built-in format's lines are read; a line of a format that nobody named is not guessed at."""
    for message in messages(version):
        rejected = json.loads(message.expected)["kind"] == "rejected"
        assert rejected == (message.frontend in OWN_LOG_FORMAT), message.line


@pytest.mark.parametrize("version", VERSIONS)
def test_parse_prints_the_expected_lines(version: str) -> None:
    """The command prints for a whole log what the parser gives for its lines."""
    found = messages(version)
    result = run("parse", "-", stdin=b"".join(message.line + b"\n" for message in found))
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode().splitlines() == [message.expected for message in found]


@pytest.mark.parametrize("version", VERSIONS)
def test_expected_values_are_those_of_a_naive_reader(version: str) -> None:
    """What is expected of httplog's lines was not invented by the package: splitting at blanks gives the same."""
    found = [message for message in messages(version) if message.frontend in HTTPLOG]
    assert len(found) > 190
    for message in found:
        assert json.loads(message.expected) == read_httplog(message.line.decode()), message.line


def read_httplog(line: str) -> dict[str, Any]:
    """Read a line of httplog the simple way, which is right for what was captured."""
    head, _, tail = line.partition(" [")
    client = head.rpartition(" ")[2].rpartition(">")[2]
    date, _, tail = tail.partition("] ")
    frontend, place, timers, status, size, cookie, set_cookie, state, counts, queues, rest = tail.split(" ", 10)
    assert (cookie, set_cookie) == ("-", "-")
    blocks = []
    while rest.startswith("{"):
        block, _, rest = rest.partition("} ")
        blocks.append(block.removeprefix("{").split("|"))
    *connections, retries = counts.split("/")
    found: dict[str, Any] = {
        "kind": "http",
        "format": "httplog",
        "client_ip": client.rpartition(":")[0],
        "client_port": int(client.rpartition(":")[2]),
        "accept_date": date,
        "frontend_name": frontend.rstrip("~"),
        "ssl": frontend.endswith("~"),
        "backend_name": place.split("/")[0],
        "server_name": place.split("/")[1],
        "status_code": int(status),
        "bytes_read": int(size),
        "termination_state": state,
        "connections": [*map(int, connections)],
        "retries": int(retries),
        "redispatched": "+" in retries,
    }
    phases = ("time_request", "time_queue", "time_connect", "time_response", "time_total")
    found |= zip(phases, map(int, timers.split("/")), strict=True)
    found |= zip(("server_queue", "backend_queue"), map(int, queues.split("/")), strict=True)
    found |= zip(("request_headers", "response_headers"), blocks, strict=False)
    if not rest.endswith('"'):
        found["truncated"] = True
    return found | read_request(rest.strip('"'))


def read_request(text: str) -> dict[str, str]:
    """Read a request line the simple way: split at blanks, then the path out of its URI."""
    if text == "<BADREQ>":
        return {}
    words = text.split(" ")
    uri = words[1]
    path = "/" + uri.split("/", 3)[3] if "://" in uri else uri
    found = {
        "http_request_method": words[0],
        "http_request_uri": uri,
        "http_request_path": path.split("?")[0],
    }
    return found | ({"http_version": words[2]} if words[2:] else {})


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.args")))
def test_count_prints_the_golden_exposition(name: str) -> None:
    """`count` with the options in NAME.args makes exactly NAME.prom of NAME.log."""
    options = shlex.split((FIXTURES / f"{name}.args").read_text())
    result = run("count", *options, FIXTURES / f"{name}.log")
    assert result.returncode == 0, result.stderr
    assert result.stdout.decode() == (FIXTURES / f"{name}.prom").read_text()


def test_golden_pairs_are_complete() -> None:
    """No log is left without its options and its exposition."""
    names = {ending: {path.stem for path in FIXTURES.glob(f"*.{ending}")} for ending in ("log", "args", "prom")}
    assert names["log"] == names["args"] == names["prom"]
    assert names["log"]
