"""Clients that ask a real `serve`'s HAProxy for whatever comes to mind: what is asked for in earnest stays in sight.

SCANNER_PATHS says how many paths they make up, each asked for once; a million where it is tried in earnest.
"""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.processes import resident_bytes
from tests.support import Exporter, Samples, serving, total, wait_until

PATHS = int(os.environ.get("SCANNER_PATHS", "300000"))
MOST_SECONDS = 20
MOST_GROWTH = 100 << 20

PLACES = 1_000
REAL = tuple(f"/shop/{name}" for name in ("", "cart", "login", "help", "terms", "news", "jobs", "about", "faq", "map"))

_LABEL = {"label": "http_request_path"}
_REQUEST = re.compile(r'(?m)^haproxy_log_requests_total\{http_request_path="([^"]*)",status_code="(\d+)"\} (\d+)')
_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # neither digits nor hex, and less than 20: no id

Counts = Counter[tuple[str, str]]


def _line(path: str, status: int) -> str:
    return (
        f"1.2.3.4:5 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/3/4 {status} 228 - - ---- 1/1/0/0/0 0/0 "
        f'"GET {path} HTTP/1.1"\n'
    )


def _made_up(begin: int) -> Iterator[str]:
    """Make up paths, no two the same: a product with an odd number, modulo a power of two, is a permutation."""
    for number in range(begin, 1 << 40):
        yield "/" + str(number * 0x9E3779B97F4A7C15 % (1 << 60)).translate(_LETTERS)


def _write(log: Path, count: int) -> Counts:
    """Write so many made-up paths, every other one a 404, and after each third a real one; give the real ones."""
    found = Counts()
    paths = _made_up(0)
    with log.open("a") as file:
        for begin in range(0, count, 9_000):
            lines = []
            for number, path in enumerate(islice(paths, min(9_000, count - begin)), start=begin):
                lines.append(_line(path, 200 if number % 2 else 404))
                if number % 3 == 2:
                    turn = number // 3
                    real, status = REAL[turn % len(REAL)], 200 if turn % 7 else 404
                    lines.append(_line(real, status))
                    found[real, str(status)] += 1
            file.writelines(lines)
    return found


@contextmanager
def _counting(log: Path, *options: str) -> Iterator[Exporter]:
    labels = ("-l", "http_request_path,status_code")
    with serving("-f", log, "--start", "beginning", *labels, *options) as exporter:
        yield exporter


def _requests(text: str) -> Counts:
    return Counts({(path, status): int(count) for path, status, count in _REQUEST.findall(text)})


def _number(text: str, name: str) -> float:
    """Read an own metric of the paths."""
    (found,) = re.findall(rf'(?m)^haproxy_log_exporter_{name}\{{label="http_request_path"\}} (\S+)', text)
    return float(found)


def _places(samples: Samples) -> tuple[float, float]:
    """Tell how many places are taken, and how many lines had none."""
    names = ("haproxy_log_exporter_label_values", "haproxy_log_exporter_label_values_capped_total")
    taken, capped = (total(samples, name, **_LABEL) for name in names)
    return taken, capped


def test_real_paths_stay_in_sight(tmp_path: Path) -> None:
    """Among hundreds of thousands that somebody makes up, with exact counts at the end, in little memory and time."""
    source, log = tmp_path / "source.log", tmp_path / "haproxy.log"
    log.write_text("".join(_line(path, 200) for path in REAL))
    expected = _write(source, PATHS) + Counts({(path, "200"): 1 for path in REAL})
    lines = expected.total() + PATHS
    with _counting(log) as exporter:
        exporter.wait_for_lines(len(REAL))
        exporter.get("/metrics")
        resident = resident_bytes(exporter.process.pid)
        texts = [exporter.get("/metrics")[0].decode()]
        began = time.monotonic()
        with log.open("ab") as file, source.open("rb") as made:
            shutil.copyfileobj(made, file, 1 << 20)
        wait_until(lambda: _watch(exporter, texts, lines), 60, "all lines")
        took = time.monotonic() - began
        growth = resident_bytes(exporter.process.pid) - resident
    found = _requests(texts[-1])
    others = Counts({key: count for key, count in found.items() if key[0] == "other"})
    admitted = {path for path, _ in found if path not in REAL and path != "other"}
    assert {key: count for key, count in found.items() if key[0] in REAL} == expected
    assert found.total() == lines
    assert len(admitted) == PLACES - len(REAL)
    assert all(found[path, "200"] == 1 for path in admitted)
    # Half of what is made up is found, and has a place or is counted as too much; the other half is never asked.
    assert others == {("other", "404"): PATHS - PATHS // 2, ("other", "200"): PATHS // 2 - len(admitted)}
    assert _number(texts[-1], "label_values") == PLACES
    assert _number(texts[-1], "label_values_capped_total") == others["other", "200"]
    print(f"{lines} lines in {took:.1f} s, {growth / (1 << 20):.0f} MiB more, {len(texts)} scrapes")
    assert took < MOST_SECONDS
    assert growth < MOST_GROWTH


def _watch(exporter: Exporter, texts: list[str], lines: int) -> bool:
    """Scrape: all real paths are there, no count has gone back, and no place too many is taken."""
    before, text = texts[-1], exporter.get("/metrics")[0].decode()
    was, found = _requests(before), _requests(text)
    assert {path for path, _ in found} >= {*REAL}
    assert was <= found
    assert _number(text, "label_values") <= PLACES
    assert _number(text, "label_values_capped_total") >= _number(before, "label_values_capped_total")
    texts.append(text)
    return found.total() >= lines


def test_what_is_not_there_takes_no_place(tmp_path: Path) -> None:
    """Who scans before anybody else comes, with whatever is answered, does not keep the real paths from a place."""
    log = tmp_path / "haproxy.log"
    statuses = (404, 400, 405, 414)
    made_up = 20_000
    log.write_text(
        "".join(_line(path, statuses[number % 4]) for number, path in enumerate(islice(_made_up(0), made_up)))
    )
    with _counting(log, "--max-label-values", f"http_request_path={len(REAL)}") as exporter:
        samples = exporter.wait_for_lines(made_up)
        assert _places(samples) == (0, 0)
        assert {dict(labels)["http_request_path"] for name, labels in samples if name.endswith("requests_total")} == {
            "other"
        }
        with log.open("a") as file:
            file.writelines(_line(path, status) for status in (200, 404, 503) for path in REAL)
            file.writelines(_line(path, 200) for path in islice(_made_up(made_up), 100))
        samples = exporter.wait_for_lines(made_up + 3 * len(REAL) + 100)
        found = _requests(exporter.get("/metrics")[0].decode())
    assert {key: count for key, count in found.items() if key[0] != "other"} == {
        (path, status): 1 for path in REAL for status in ("200", "404", "503")
    }
    assert found["other", "200"] == 100
    assert found.total() == made_up + 3 * len(REAL) + 100
    assert _places(samples) == (len(REAL), 100)


def test_capped_lines_are_those_that_found_something(tmp_path: Path) -> None:
    """With all places taken, a line of another path counts as capped for what it found, not for what it looked for."""
    log = tmp_path / "haproxy.log"
    extra = [*islice(_made_up(0), 40)]
    known = "".join(_line(path, 200) for path in REAL)
    found, missed = (
        "".join(_line(path, status) for path in paths) for paths, status in ((extra[:30], 500), (extra[30:], 404))
    )
    log.write_text(known + missed * 3 + found * 2)
    with _counting(log, "--max-label-values", f"http_request_path={len(REAL)}") as exporter:
        samples = exporter.wait_for_lines(len(REAL) + 30 + 60)
    assert _places(samples) == (len(REAL), 60)
