"""The log that is read: HAProxy's own lines, multiplied.

Strategy: a real HAProxy is asked for each of some 15,500 paths once, so that every path, server, status and captured
header stands in a real line. The wanted number of lines is made of these by drawing paths as often as visitors would
(Zipf's law) and varying what varies from request to request: time, client's port, timers and bytes. The popular paths
are now and then answered by other servers or by an error. A seed makes the draws the same each time.
"""

import http.client
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support import free_port, wait_until

HERE = Path(__file__).parent
FOLDER = HERE / "corpus"

_SEED = 20261120
_PATHS = 15_500
_POPULAR = 500  # paths that other servers and errors answer as well
_STRAY = 0.02  # how often each of those does
_MEDIAN_MILLISECONDS = 20.0
_LINES_A_SECOND = 1_000
_BATCH = 10_000
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6)",
    "python-requests/2.32.5",
)
_SERVERS = {"shop": ("shop-1", "shop-2", "shop-3"), "api": ("api-1", "api-2")}

# A line of httplog, divided where it varies.
_LINE = re.compile(
    r"(?P<client>\S+):\d+ \[[^]]+\] (?P<frontend>\S+) (?P<backend>[^/]+)/(?P<server>\S+) \d+/\d+/\d+/\d+/\d+ "
    r"(?P<status>\d+) \d+ (?P<rest>.+)"
)


class Weighted(NamedTuple):
    """A line with places for what varies, and how often it comes compared with others."""

    template: str
    weight: float


def make_corpus(lines: int) -> Path:
    """Give a log of so many lines, which is made if it is not there."""
    path = FOLDER / f"httplog-{lines}.log"
    if not path.exists():
        print(f"making a corpus of {lines:,} lines in {path}", flush=True)
        FOLDER.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("w") as file:
            file.writelines(_multiply(_real_lines(), lines))
        unfinished.rename(path)
    return path


def make_slice(corpus: Path, lines: int, folder: Path) -> Path:
    """Copy the first lines of a corpus."""
    path = folder / f"slice-{lines}.log"
    if not path.exists():
        with corpus.open("rb") as whole, path.open("wb") as part:
            part.writelines(line for _, line in zip(range(lines), whole, strict=False))
    return path


def read_lines(corpus: Path | str, lines: int) -> list[bytes]:
    """Read the first lines of a corpus, each with its newline."""
    with open(corpus, "rb") as file:
        return [line for _, line in zip(range(lines), file, strict=False)]


def _paths(random: Random) -> Iterator[str]:
    """Make up distinct paths of a shop and its interface; one in 25 is gone or broken."""
    departments = ("garden", "kitchen", "clothing", "toys", "books", "sports")
    for number in range(_PATHS):
        trouble = random.choices(("", "/gone", "/broken"), (96, 3, 1))[0]
        if random.random() < 0.3:
            yield f"/api{trouble}/{number:05d}/orders?page=2"
        else:
            yield f"/{random.choice(departments)}{trouble}/{number:05d}.html"


def _real_lines() -> list[str]:
    """Have HAProxy write a line for each path."""
    random = Random(_SEED)
    with tempfile.TemporaryFile() as log:
        web_port, server_port = free_port(), free_port()
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(HERE / "haproxy.cfg")],
            env={**os.environ, "WEB_PORT": str(web_port), "SERVER_PORT": str(server_port)},
            stdout=log,
        )
        try:
            wait_until(lambda: _answers(web_port), what="HAProxy's first answer")
            connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=10)
            for path in _paths(random):
                headers = {"Host": "shop.example", "User-Agent": random.choice(_AGENTS)}
                connection.request("GET", path, headers=headers)
                connection.getresponse().read()
            connection.close()
        finally:
            process.terminate()
            process.wait()
        log.seek(0)
        return [line for line in log.read().decode().splitlines() if "{shop.example|" in line]


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


def _multiply(real_lines: list[str], lines: int) -> Iterator[str]:
    random = Random(_SEED)
    random.shuffle(real_lines)
    rows = [row for rank, line in enumerate(real_lines, start=1) for row in _variants(line, rank)]
    templates = [row.template for row in rows]
    cumulated = [*accumulate(row.weight for row in rows)]
    for start in range(0, lines, _BATCH):
        drawn = random.choices(templates, cum_weights=cumulated, k=min(_BATCH, lines - start))
        yield "".join(_fill(random, template, start + index) for index, template in enumerate(drawn))


def _variants(line: str, rank: int) -> Iterator[Weighted]:
    """Make templates of a line: as it is, and for a popular path as others would have answered."""
    match = _LINE.fullmatch(line)
    assert match, line
    client, frontend, backend, server, status, rest = match.groups()

    def row(server: str, status: str, weight: float) -> Weighted:
        head = f"Nov 20 %s host haproxy[123]: {client}:%d [20/Nov/2026:%s.%03d] {frontend} {backend}/{server}"
        return Weighted(f"{head} 0/0/%d/%d/%d {status} %d {rest.replace('%', '%%')}\n", weight / rank)

    yield row(server, status, 1)
    if rank <= _POPULAR:
        yield row(server, "503", _STRAY)
        for other in _SERVERS[backend]:
            if other != server:
                yield row(other, status, _STRAY)


def _fill(random: Random, template: str, index: int) -> str:
    second, place = divmod(index, _LINES_A_SECOND)
    clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    response = int(_MEDIAN_MILLISECONDS * random.lognormvariate(0.0, 1.0))
    connect = place & 1
    port = 32768 + (index * 7919 & 0x6FFF)
    size = 200 + int(random.random() * 30_000)
    total = connect + response + int(random.random() * 4)
    return template % (clock, port, clock, place * 1000 // _LINES_A_SECOND, connect, response, total, size)
