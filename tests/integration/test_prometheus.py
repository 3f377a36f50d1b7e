import json
import math
import random
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from haproxy_log_exporter.metrics.catalogue import DEFAULT_BUCKETS, METRICS
from tests.support import Exporter, free_port, need, serving, total, wait_until

REQUESTS = "haproxy_log_requests_total"
RESPONSE = "haproxy_log_response_duration_seconds"

PATHS = ("/", "/basket", "/search", "/static/app.js")
SERVERS = ("s1", "s2")
STATUSES = {"200": 80, "301": 3, "404": 12, "503": 5}

PORTIONS = 9
LINES_A_PORTION = 400

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]


class Request(NamedTuple):
    """What a line says; a response time of -1 where there was none."""

    path: str
    server: str
    status: str
    milliseconds: int

    @property
    def labels(self) -> Labels:
        """The labels under which it is counted."""
        pairs = {"status_code": self.status, "server_name": self.server, "http_request_path": self.path}
        return frozenset(pairs.items())

    def line(self) -> str:
        """Write it as rsyslog does to a file."""
        time = self.milliseconds
        return (
            "2026-11-20T04:30:53.046904+00:00 host haproxy[1]: 10.0.0.1:53510 [20/Nov/2026:04:30:27.864] web "
            f"bk/{self.server} 0/0/{min(time, 0)}/{time}/{max(time, 0) + 1} {self.status} 228 - - ---- 1/1/0/0/0 0/0 "
            f'"GET {self.path}?q=1 HTTP/1.1"\n'
        )


def model_requests() -> list[list[Request]]:
    """Make portions of requests, the first with every label set: log-normal times, each path and server its own."""
    randomness = random.Random(20261120)
    medians = {
        (path, server): 8 * 3**place + 5 * (server == "s2") for place, path in enumerate(PATHS) for server in SERVERS
    }

    def time(path: str, server: str, status: str) -> int:
        if status == "503":
            return -1
        return int(medians[path, server] * randomness.lognormvariate(0, 0.9))

    first = [
        Request(path, server, status, time(path, server, status)) for path, server in medians for status in STATUSES
    ]
    portions = [first]
    for _ in range(PORTIONS):
        paths = randomness.choices(PATHS, (5, 3, 2, 4), k=LINES_A_PORTION)
        servers = randomness.choices(SERVERS, (3, 2), k=LINES_A_PORTION)
        statuses = randomness.choices([*STATUSES], [*STATUSES.values()], k=LINES_A_PORTION)
        portions.append(
            [
                Request(path, server, status, time(path, server, status))
                for path, server, status in zip(paths, servers, statuses, strict=True)
            ]
        )
    return portions


class Prometheus:
    """A running Prometheus that scrapes one target every second."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        """Take what was started."""
        self.process = process
        self._url = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        assert self.process.poll() is None, "Prometheus has ended"
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its HTTP API."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, query: str, time: str = "") -> Vector:
        """Give an instant vector by its labels, without name, job and instance."""
        data = self.get("query", query=query, **({"time": time} if time else {}))
        assert data["resultType"] == "vector"
        vector = {
            frozenset(
                (name, text) for name, text in row["metric"].items() if name not in ("__name__", "job", "instance")
            ): (float(row["value"][1]))
            for row in data["result"]
        }
        assert len(vector) == len(data["result"])
        return vector

    def number(self, query: str, time: str = "") -> float:
        """Give the one value of a query, 0 where there is none."""
        vector = self.query(query, time)
        assert len(vector) <= 1, vector
        return sum(vector.values())


@contextmanager
def prometheus(directory: Path, target: int) -> Iterator[Prometheus]:
    """Run a Prometheus of one's own for a while, all of it in a directory and on loopback."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "haproxy", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    messages = directory / "prometheus.log"
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with messages.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=directory) as process:
        try:
            server = Prometheus(process, port)
            wait_until(server.is_ready, 60, f"Prometheus: {messages.read_text()}")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class Followed(NamedTuple):
    """What Prometheus has seen of a log: the requests before its first scrape and since, and when the last one was."""

    server: Prometheus
    before: list[Request]
    since: list[Request]
    time: str

    @property
    def all(self) -> list[Request]:
        """All requests of the log."""
        return self.before + self.since


@contextmanager
def followed_log(directory: Path) -> Iterator[Followed]:
    """Write a log in steady portions, each once the one before was scraped."""
    log = directory / "haproxy.log"
    first, *portions = model_requests()
    written = len(first)
    log.write_text("".join(request.line() for request in first))
    labels = "status_code,server_name,http_request_path"
    with serving("-l", labels, "-f", log, "--start", "beginning") as exporter:
        exporter.wait_for_lines(written)
        with prometheus(directory, exporter.port) as server:
            wait_for_count(server, written)
            for portion in portions:
                with log.open("a") as file:
                    file.write("".join(request.line() for request in portion))
                written += len(portion)
                wait_for_count(server, written)
            # To the millisecond, so that every query is of the same samples.
            time = str(server.number("max(timestamp(haproxy_log_exporter_build_info))"))
            yield Followed(server, first, [request for portion in portions for request in portion], time)


def wait_for_count(server: Prometheus, count: int) -> None:
    """Wait until Prometheus has scraped that so many requests were counted."""
    wait_until(lambda: server.number(f"sum({REQUESTS})") == count, 60, f"a scrape of {count} requests")


def by(requests: list[Request], *names: str) -> Counter[Labels]:
    """Count requests by some of their labels."""
    return Counter(frozenset(pair for pair in request.labels if pair[0] in names) for request in requests)


def check_rates(followed: Followed, rates: Vector, *names: str) -> None:
    """Hold rates over the last five minutes against the increase that the log holds.

    Prometheus divides by the five minutes, and stretches the increase by up to 1.1 of a step between samples at either
    end (extrapolatedRate in promql/functions.go).
    """
    samples = followed.server.number(f"max(count_over_time({REQUESTS}[5m]))", followed.time)
    assert samples > PORTIONS
    increase = by(followed.since, *names)
    assert set(rates) == set(increase)
    for labels, rate in rates.items():
        exact = increase[labels] / 300
        assert exact * 0.999 <= rate <= exact * (1.001 + 2.2 / (samples - 1)), (labels, exact, rate, samples)


def check_rate_by_status_code(followed: Followed) -> None:
    """`rate` by status code is what was written a second."""
    rates = followed.server.query(f"sum by (status_code) (rate({REQUESTS}[5m]))", followed.time)
    check_rates(followed, rates, "status_code")


def check_rate_by_path_and_server(followed: Followed) -> None:
    """`rate` by path and server is what was written a second; the query strings are not in the paths."""
    rates = followed.server.query(f"sum by (http_request_path, server_name) (rate({REQUESTS}[5m]))", followed.time)
    check_rates(followed, rates, "http_request_path", "server_name")


def check_quantile_is_within_a_bucket_of_the_exact_one(followed: Followed) -> None:
    """`histogram_quantile` is in the bucket of the log's own quantile, or in one beside it."""
    found = followed.server.query(
        f"histogram_quantile(0.95, sum by (le, http_request_path, server_name) (rate({RESPONSE}_bucket[5m])))",
        followed.time,
    )
    seconds = defaultdict(list)
    for request in followed.since:
        if request.milliseconds >= 0:
            labels = frozenset(pair for pair in request.labels if pair[0] != "status_code")
            seconds[labels].append(request.milliseconds / 1000)
    assert set(found) == set(seconds)
    bounds = [float(bound) for bound in DEFAULT_BUCKETS]
    for labels, values in seconds.items():
        exact = sorted(values)[math.ceil(0.95 * len(values)) - 1]
        assert abs(bisect_left(bounds, found[labels]) - bisect_left(bounds, exact)) <= 1, (labels, exact, found[labels])
    assert len({bisect_left(bounds, value) for value in found.values()}) > 3  # the paths do differ


def check_counters_are_the_log(followed: Followed) -> None:
    """The last value of every series is what the whole log says, and the increase what was added to it."""
    names = ("status_code", "server_name", "http_request_path")
    last = followed.server.query(REQUESTS, followed.time)
    assert last == by(followed.all, *names)
    increase = followed.server.query(f"max_over_time({REQUESTS}[5m]) - min_over_time({REQUESTS}[5m])", followed.time)
    added = by(followed.since, *names)
    assert increase == {labels: added[labels] for labels in last}
    assert not any(followed.server.query(f"resets({REQUESTS}[5m])", followed.time).values())


def check_histograms_are_the_log(followed: Followed) -> None:
    """Buckets, count and sum in Prometheus are those of the log's response times; -1 is in none of them."""
    times: defaultdict[Labels, list[int]] = defaultdict(list)
    for request in followed.all:
        times[request.labels] += [request.milliseconds] * (request.milliseconds >= 0)
    query = followed.server.query
    assert query(f"{RESPONSE}_count", followed.time) == {labels: len(values) for labels, values in times.items()}
    assert query(f"{RESPONSE}_sum", followed.time) == {labels: sum(values) / 1000 for labels, values in times.items()}
    buckets = query(f"{RESPONSE}_bucket", followed.time)
    assert len(buckets) == len(times) * (len(DEFAULT_BUCKETS) + 1)
    for row, count in buckets.items():
        limit = next(float(text) for name, text in row if name == "le") * 1000
        values = times[frozenset(pair for pair in row if pair[0] != "le")]
        assert count == sum(value <= limit for value in values), row


def check_types_and_help(followed: Followed) -> None:
    """The target is well, and what Prometheus keeps of each metric is what the catalogue says."""
    [target] = followed.server.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    metadata = {row["metric"]: row for row in followed.server.get("targets/metadata")}
    shown = {metric.name: metric for metric in METRICS if f"haproxy_log_{metric.name}" in (REQUESTS, RESPONSE)}
    for name, metric in shown.items():
        # In OpenMetrics, which Prometheus asks for, the family of a counter has no _total.
        row = metadata[f"haproxy_log_{name.removesuffix('_total')}"]
        assert (row["type"], row["help"]) == (metric.type, metric.help)


def test_prometheus_answers_what_the_log_says(tmp_path: Path) -> None:
    """A Prometheus that scrapes the exporter answers the README's questions rightly, and holds the log's numbers."""
    need("prometheus")
    with followed_log(tmp_path) as followed:
        check_counters_are_the_log(followed)
        check_histograms_are_the_log(followed)
        check_rate_by_status_code(followed)
        check_rate_by_path_and_server(followed)
        check_quantile_is_within_a_bucket_of_the_exact_one(followed)
        check_types_and_help(followed)


# Values as no sane log has them, of all bytes that may stand in a line of HAProxy's, and some that may not.
NASTY = [
    rb"/\\\n%s%%{a=\\b,=#EOF'",
    b"/\\",
    "/é日本\u2028\u2029\x85\ufeff\U0010ffff".encode(),
    b"/\xff\xfe\xc3\x28\xed\xa0\x80",
    bytes(byte for byte in range(0x21, 0x100) if byte not in b'"?#|}~:'),
    b"/" + b"x" * 900,
    b"/.." * 20,
    b"/",
]
CONTROLS = bytes(range(9)) + b"\r\x1b\x7f"

EVERYTHING = "%ci:%cp [%tr] %ft %b/%s %Th/%Ti/%TR/%Tw/%Tc/%Tr/%Td/%Ta %ST %B %U %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %{+Q}r"
LINES = (
    b'1.2.3.4:5 [20/Nov/2026:04:30:27.864] web~ bk/s%b 0/0/-1/-1/+3 200 +9 - - ---- 1/1/0/0/+1 0/7 {%b|} "GET %b H"\n',
    b'1.2.3.4:5 [20/Nov/2026:04:30:27.864] web bk%b/s1 1/2/3/4/5/6/7/8 200 9 9 ---- 1/1/0/0/+3 0/0 "%b %b"\n',
    b"1.2.3.4:5 [20/Nov/2026:04:30:27.864] ssh bk/s%b -1/-1/4 228 -- 1/1/0/0/0 0/0\n",
    b"1.2.3.4:5 [20/Nov/2026:04:30:27.864] tls%b/1: %b %b\n",
)


def nasty_lines() -> bytes:
    """Write lines of all kinds with nasty values, some that are notices, and some that are nothing."""
    lines = [line.replace(b"%b", value) for line in LINES for value in (*NASTY, CONTROLS)]
    return b"".join([*lines, b"Proxy web started.\n", b"Server bk/s1 is DOWN, reason: x\n", b"\n", CONTROLS + b"\n"])


def check_with_promtool(exporter: Exporter) -> None:
    """Hold a scrape against `promtool check metrics`, which says nothing where nothing is wrong."""
    body, headers = exporter.get("/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def test_promtool_finds_nothing_by_default(tmp_path: Path) -> None:
    """Before the first line and after nasty ones, the scrape is what Prometheus's own linter wants."""
    need("promtool")
    log = tmp_path / "haproxy.log"
    log.touch()
    with serving("-f", log, "--start", "beginning") as exporter:
        check_with_promtool(exporter)
        log.write_bytes(nasty_lines())
        samples = exporter.wait_for_lines(nasty_lines().count(b"\n"))
        assert total(samples, REQUESTS) >= len(NASTY)
        check_with_promtool(exporter)


def test_promtool_finds_nothing_with_all_metrics_and_nasty_labels(tmp_path: Path) -> None:
    """Every metric there is, each with series, under labels with the worst values that a line can have."""
    need("promtool")
    log = tmp_path / 'ha%"\\\nproxy.log'
    log.write_bytes(nasty_lines())
    names = {metric.name for metric in METRICS}
    labels = (
        "http_request_path,request_header_1,server_name,backend_name,frontend_name,http_version,http_request_method"
    )
    formats = [text for each in ("httplog", "tcplog", "error", EVERYTHING) for text in ("--format", each)]
    arguments = ["--start", "beginning", "--metrics", ",".join(names), "-l", labels, *formats]
    with serving("-f", log, *arguments) as exporter:
        samples = exporter.wait_for_lines(nasty_lines().count(b"\n"))
        assert total(samples, "haproxy_log_exporter_lines_total", result="counted") >= len(NASTY) * len(LINES)
        check_with_promtool(exporter)
        present = {name for name, _ in samples}
        assert {name for name in names if not present & {f"haproxy_log_{name}", f"haproxy_log_{name}_count"}} == set()
