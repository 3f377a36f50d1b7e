"""HAProxy is the judge of the log-format compiler: what it writes in any format is read as what it was."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from haproxy_log_exporter.choice import Choice, PathChoice
from haproxy_log_exporter.counting import count_files, parse_files
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.templates import Templates
from tests.integration.log_format_site import REQUESTS, Exchange, is_refused, play, references, requests_for
from tests.integration.log_format_values import expected, read_reference
from tests.integration.log_formats import AMBIGUOUS, FORMATS, NOT_FORMATS
from tests.support import FIXTURES, Samples, need, read_samples, run, total

_ROWS = {f"f{place}": row for place, row in enumerate(FORMATS)}
_CHOSEN_BY_CLIENTS = {"http_request_path", "http_request_uri", "http_request_query"}

_EACH_ROW = pytest.mark.parametrize("name", [pytest.param(name, id=row.format) for name, row in _ROWS.items()])

# HAProxy 2.6's, from its configuration manual, chapter 8.2.4.
_ALIASES = (
    "o B CC CS H HM HP HPO HQ HU HV ID ST T Ta Tc Td Th Ti Tl Tq TR Tr Ts Tt Tu Tw U ac b bc bi bp bq ci cp f fc fi fp"
    " ft hr hrl hs hsl lc ms pid r rc rt s sc si sp sq sslc sslv t tr trg trl ts tsc"
)
# What +Q, +E and +X change: names and other text; addresses, and numbers that are not measured.
_TEXTS = "ci fi b s f ft H CC CS HM HU HPO HQ HV r ID hr hs hrl hsl sslv"
_ESCAPED = "f s b H CC CS HP HU HPO HQ r hr hs hrl hsl ID"
_HEXADECIMAL = "ci cp fi fp bi bp si sp Ts ms pid lc rt"
# Metrics that add up a field, and histograms of one.
_SUMS = {
    "bytes_read_total": "bytes_read",
    "bytes_uploaded_total": "bytes_uploaded",
    "retries_total": "retries",
    "redispatches_total": "redispatched",
}
_DURATIONS = {
    "request_duration_seconds": "time_request",
    "queue_duration_seconds": "time_queue",
    "connect_duration_seconds": "time_connect",
    "response_duration_seconds": "time_response",
    "total_duration_seconds": "time_total",
    "handshake_duration_seconds": "time_handshake",
    "idle_duration_seconds": "time_idle",
    "data_duration_seconds": "time_data",
}

_STATUSES = {"post": "404", "denied": "403", "slow": "500", "empty": "503", "bad": "400"}  # the others': 200


class Played(NamedTuple):
    """The exchanges of each frontend."""

    exchanges: dict[str, list[Exchange]]

    def of(self, name: str) -> Iterator[tuple[Exchange, dict[str, object]]]:
        """Give the exchanges of a format's frontend, and what `parse` must print for each."""
        row = _ROWS[name]
        answers = {exchange.request: exchange for exchange in self.exchanges[f"reference-{row.mode}"]}
        for exchange in self.exchanges[name]:
            yield exchange, expected(name, row, exchange, answers[exchange.request])

    def log(self, name: str, folder: Path) -> Path:
        """Write the lines of a frontend to a file."""
        file = folder / f"{name}.log"
        file.write_bytes(b"".join(exchange.line.encode("latin-1") for exchange in self.exchanges[name]))
        return file


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Make all requests to all frontends of one HAProxy."""
    need("haproxy", "openssl")
    every = _ROWS | {f"reference-{mode}": row for mode, row in references().items()}
    return Played(play(tmp_path_factory.mktemp("formats"), every))


@_EACH_ROW
def test_lines_are_read_as_what_they_were(
    name: str, played: Played, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Of each line `parse` gives all that HAProxy and its client know of the request, and nothing else."""
    pairs = [*played.of(name)]
    assert len(pairs) == len(requests_for(_ROWS[name])) > 0
    parse_files(Choice((), (), (), (_ROWS[name].format,)), [str(played.log(name, tmp_path))])
    found = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert len(found) == len(pairs)
    wrong = [
        f"{exchange.request}: {exchange.line!r}\n    expected {was}\n    found    {read}"
        for (exchange, was), read in zip(pairs, found, strict=True)
        if was != read
    ]
    assert not wrong, "\n".join(wrong)


@_EACH_ROW
def test_lines_are_counted_by_what_they_were(
    name: str, played: Played, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """`count` takes each line once, by all that can be a label, and adds up sizes, retries and timers."""
    row, read = _ROWS[name], [_with_headers(was) for _, was in played.of(name)]
    fields = sorted({field for was in read for field in was})
    requests = "requests_total" if row.mode == "http" else "sessions_total"
    labels = [field for field in fields if _is_label(field, read)]
    metrics = [metric for metric, field in (_SUMS | _DURATIONS).items() if field in fields]
    choice = Choice((*labels,), (requests, *metrics), (), (row.format,), paths=PathChoice(ids=False))
    count_files(choice, [str(played.log(name, tmp_path))])
    samples = read_samples(capsysbinary.readouterr().out.decode())
    shown = _as_shown(read)
    values = Counter(tuple(_as_label(was.get(label, "")) for label in labels) for was in shown)
    found = {each: total(samples, f"haproxy_log_{requests}", **dict(zip(labels, each, strict=True))) for each in values}
    assert found == values
    assert total(samples, f"haproxy_log_{requests}") == values.total()
    for metric in metrics:
        assert _counted(metric, samples) == _known(metric, read, early=bool(row.option)), metric


def _as_shown(read: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Write paths in their normal form; what clients choose counts as other, until a request has found something."""
    rewriter, found = PathRewriter(Templates([]), ids=False), []
    known = {(name, "") for name in _CHOSEN_BY_CLIENTS}
    for was in read:
        has_found = str(was.get("status_code", 200)) not in ("400", "404", "405", "414", "-1", "0")
        shown = dict(was)
        for name in _CHOSEN_BY_CLIENTS & was.keys():
            value = str(was[name])
            if name == "http_request_path" and value:
                (value,) = rewriter.rewrite([value.encode()])
            if has_found:
                known.add((name, value))
            shown[name] = value if (name, value) in known else "other"
        found.append(shown)
    return found


def _with_headers(was: dict[str, object]) -> dict[str, object]:
    """Put the captured headers beside each other: each of them is a label by its place."""
    found = dict(was)
    for side in ("request", "response"):
        headers = was.get(f"{side}_headers")
        if isinstance(headers, list):
            found |= {f"{side}_header_{place}": header for place, header in enumerate(headers, start=1)}
    return found


def _is_label(field: str, read: Sequence[dict[str, object]]) -> bool:
    """Whether a field is asked for as a label: one that has a known value in each line, or none."""
    known = all(isinstance(was.get(field, ""), str | int) for was in read)
    return known and field not in ("kind", "format", "message") and not field.startswith("time_")


def _as_label(value: object) -> str:
    """Write a value as a label's."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _counted(metric: str, samples: Samples) -> list[float]:
    """Give a counter's value, or how much a histogram has seen and the sum of it."""
    endings = ("_count", "_sum") if metric in _DURATIONS else ("",)
    return [total(samples, f"haproxy_log_{metric}{ending}") for ending in endings]


def _known(metric: str, read: Sequence[dict[str, object]], *, early: bool) -> list[object]:
    """Tell the same of what is known of the lines; times that were logged early (`option logasap`) are not final."""
    if metric in _SUMS:
        return [_sum([was.get(_SUMS[metric], 0) for was in read])]
    values = [was[_DURATIONS[metric]] for was in read if was[_DURATIONS[metric]] != -1]
    if early and metric == "total_duration_seconds":
        values = []
    return [len(values), _sum(values, 1000)]


def _sum(values: Sequence[object], unit: int = 1) -> object:
    """Add up what is known; of what is not, anything will do."""
    known = [value for value in values if isinstance(value, int)]
    return pytest.approx(sum(known) / unit) if len(known) == len(values) else ANY


@pytest.mark.parametrize("name", [pytest.param(name, id=row.format) for name, row in [*_ROWS.items()][::24]])
def test_the_command_reads_them(name: str, played: Played, tmp_path: Path) -> None:
    """As a process of its own, `parse --format` prints the same."""
    finished = run("parse", "--format", _ROWS[name].format, played.log(name, tmp_path))
    assert (finished.returncode, finished.stderr) == (0, b"")
    found = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [was for _, was in played.of(name)] == found


def test_references_say_what_was_sent(played: Played) -> None:
    """The client sees its own requests in the references' lines: they are good witnesses."""
    sent = {request.name: request.data.decode("latin-1").split("\r\n") for request in REQUESTS}
    exchanges = played.exchanges["reference-http"]
    assert {exchange.request for exchange in exchanges} >= sent.keys() - {"six"}
    for exchange in exchanges:
        found = read_reference("http", exchange)
        lines = sent[exchange.request]
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        if exchange.request == "bad":
            words = ["<BADREQ>"] * 3
        elif exchange.request == "long":  # tune.http.logurilen
            words = [*lines[0][:1023].split(" "), "HTTP/0.9"]
        else:
            words = lines[0].replace('"', "#22").split(" ")
        assert [found[key] for key in ("http_request_method", "http_request_uri", "http_version")] == words
        assert found["var_txn_agent"] == headers.get("User-Agent", "-")
        assert found["status_code"] == _STATUSES.get(exchange.request, "200")
        assert found["redispatches"] == ("+1" if exchange.request == "moved" else "0")
        assert found["ssl_version"].startswith("TLS") == (exchange.request == "tls")


def test_the_table_has_every_alias_with_every_flag() -> None:
    """No alias of HAProxy 2.6 is missing among the formats, nor a flag where it changes what is printed."""
    items: set[tuple[str, str]] = set()
    for row in FORMATS:
        common = ""
        for flags, alias in re.findall(r"%(?:\{([^}]*)\})?([A-Za-z]+|\[)", row.format.replace("%%", "")):
            mine = common + flags
            common = mine if alias == "o" else common
            items |= {(alias, flag) for flag in mine.replace("-Q", "") if flag in "QEX"} | {(alias, "")}
    assert {alias for alias, _ in items} - {"["} == {*_ALIASES.split()}
    wanted = {("[", flag) for flag in "QEX"} | {("o", flag) for flag in "QEX"}
    wanted |= {(alias, "Q") for alias in _TEXTS.split()} | {(alias, "E") for alias in _ESCAPED.split()}
    wanted |= {(alias, "X") for alias in _HEXADECIMAL.split()}
    assert wanted <= items
    assert len(FORMATS) > 70


@pytest.mark.parametrize("source", [*AMBIGUOUS, *NOT_FORMATS])
def test_what_haproxy_refuses_is_refused(source: str, tmp_path: Path) -> None:
    """A string that HAProxy does not start with is refused, with a caret, and so is one that nobody could read."""
    need("haproxy")
    assert is_refused(tmp_path, source) == (source in NOT_FORMATS)
    with pytest.raises(UsageError) as refused:
        parse_files(Choice((), (), (), (source,)), ["-"])
    [message] = refused.value.messages
    assert re.search(r"\n +\^$", message)


def test_the_command_tells_what_it_refuses() -> None:
    """Wrong usage ends the command with 2 and a caret under the place."""
    finished = run("parse", "--format", "%ci %cip", "-")
    assert (finished.returncode, finished.stdout) == (2, b"")
    assert re.search(r"^( +)%ci %cip\n\1    \^\n\Z", finished.stderr.decode(), re.MULTILINE), finished.stderr


def _captured() -> tuple[str, str, str]:
    """Give the log-format of HAProxy 3.2's capture that has one, and its one line: what is in front, and the object."""
    config = (FIXTURES / "haproxy-3.2.cfg").read_text()
    source = re.search(r'^frontend json\n(?:    .*\n)*?    log-format "(.*)"$', config, re.MULTILINE)
    assert source
    captures = map(json.loads, (FIXTURES / "haproxy-3.2.0.jsonl").read_text().splitlines())
    [line] = [row["bytes_latin1"] for row in captures if row["frontend"].startswith("json ")]
    envelope, brace, rest = line.partition("{")
    return source[1], envelope, brace + rest


# The names that haproxy-3.2.cfg gives to the items, and what `parse` calls them.
_CALLED = {
    "client_ip": "client_ip", "client_port": "client_port", "t": "accept_date", "fe": "frontend_name",
    "be": "backend_name", "srv": "server_name", "ta": "time_total", "tr": "time_response", "status": "status_code",
    "bytes": "bytes_read", "hrl": "request_headers", "term": "termination_state", "sni": "ssl_sni", "ua": "ua",
}  # fmt: skip


def _as_parsed(said: dict[str, Any]) -> dict[str, Any]:
    """Tell what `parse` must print for what HAProxy 3.2 has said as JSON."""
    found = {_CALLED[name]: value for name, value in said.items() if name in _CALLED and value != ""}
    if "tr" in said:
        found["time_response"] = int(said["tr"])  # it was asked for as a string
    if "fe" in said:
        found["ssl"] = said["fe"].endswith("~")
    if "hr" in said:
        found["request_headers"] = said["hr"].strip("{}").split("|")
    if "r" in said:
        method, uri, version = said["r"].split(" ")
        found |= {"http_request_method": method, "http_request_uri": uri, "http_version": version}
        found["http_request_path"] = uri.partition("?")[0]
    return found


def _parse_one(source: str, line: str, file: Path) -> dict[str, Any]:
    """Read one line with a log-format by the command."""
    file.write_bytes(line.encode("latin-1"))
    finished = run("parse", "--format", source, file)
    assert (finished.returncode, finished.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def test_json_of_haproxy_3_2_is_read_as_json(tmp_path: Path) -> None:
    """What +json wrote means to `parse` what it means to a reader of JSON."""
    source, envelope, line = _captured()
    said = json.loads(line.encode("latin-1"), strict=False)
    assert said.keys() == set(re.findall(r"%\((\w+)", source)) == _CALLED.keys() | {"hr", "r"}
    found = _parse_one(source, envelope + line, tmp_path / "json.log")
    assert found == {"kind": "http", "format": "1"} | _as_parsed(said)


def test_each_item_of_it_is_read_alone(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The same holds of each single item of that format with the status beside it."""
    source, envelope, line = _captured()
    flags, *items = source.split(" ")
    said = json.loads(line.encode("latin-1"), strict=False)
    status = next(item for item in items if item.startswith("%(status)"))
    for item, name in zip(items, said, strict=True):
        if item == status:
            continue
        pair = re.search(rf'"{name}": (?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\d+)', line)
        assert pair
        file = tmp_path / f"{name}.log"
        file.write_bytes(f'{envelope}{{{pair[0]}, "status": 200}}\n'.encode("latin-1"))
        parse_files(Choice((), (), (), (f"{flags} {item} {status}",)), [str(file)])
        found = json.loads(capsysbinary.readouterr().out)
        expected_fields = _as_parsed({name: said[name], "status": 200})
        assert found == {"kind": "http", "format": "1"} | expected_fields, item
