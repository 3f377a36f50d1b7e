"""`check --suggest-templates`: templates that fit a log, which `count` takes as they are."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support import Samples, read_samples, run

START = "127.0.0.1:59616 [20/Nov/2026:04:30:27.864] web bk/s1"
TCP = f"{START} 1/0/0 229 -- 1/1/0/0/0 0/0\n"
BAD = '127.0.0.1:5 [20/Nov/2026:04:30:29.229] web web/<NOSRV> -1/-1/-1/-1/300 400 0 - - CR-- 2/2/0/0/0 0/0 "<BADREQ>"\n'

LINE = re.compile(r"(\S+) +# ([0-9.]+)% \(([0-9,]+) requests\)")

Templates = dict[str, int]


def lines(paths: Iterable[str], status: int = 200, method: str = "GET") -> str:
    """Write lines of requests."""
    rest = "- - ---- 1/1/0/0/0 0/0"
    return "".join(f'{START} 0/0/0/1/1 {status} 5 {rest} "{method} {path} HTTP/1.1"\n' for path in paths)


FOUND = lines(
    [
        *(f"/users/{number}?x={number}" for number in range(300)),
        *(f"/users/{number}/orders/{number * 7919}" for number in range(1, 120)),
        *(f"/users/{number}/orders" for number in range(1, 40)),
        *(f"/products/{name}/{page}" for name in map("article-{}".format, range(150)) for page in ("", "reviews")),
        *("/", "/about", "/about", "//./about", "/%61bout", "/login", "/login"),
        *(f"/assets/app.{number:08x}.js" for number in range(3_000_000_000, 3_000_000_050)),
        *(f"/days/2026-11-{day:02}/report.pdf" for day in range(1, 31)),
        *("/a%20b/c", "/na%C3%AFve", "/{x}/y", "/a*b", "/x%23y"),
    ]
)
SCANNED = lines((f"/wp-{number}/admin-{number}.php" for number in range(500)), 404) + lines(
    ["/.git/config", "/cgi-bin/"], 405
)
ODD = lines(["*"], method="OPTIONS") + lines(["h:443"], method="CONNECT") + BAD


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log of found paths, paths at which nothing is, and what has none."""
    path = tmp_path / "a.log"
    path.write_text(SCANNED + FOUND + TCP * 5 + ODD)
    return path


def suggestions(*arguments: str | Path, stdin: bytes = b"") -> tuple[Templates, int]:
    """Give the suggestions as JSON has them, and the number of requests."""
    told = run("check", "--suggest-templates", "--json", *arguments, stdin=stdin)
    assert (told.returncode, told.stderr) == (0, b"")
    found = json.loads(told.stdout)
    assert {*found} == {"requests", "templates"}
    for row in found["templates"]:
        assert {*row} == {"template", "requests", "share"}
        assert row["share"] == row["requests"] / found["requests"]
    return {row["template"]: row["requests"] for row in found["templates"]}, found["requests"]


def by_path(samples: Samples) -> Templates:
    """Give the requests of each path."""
    return {
        dict(labels)["http_request_path"]: int(value)
        for (name, labels), value in samples.items()
        if name == "haproxy_log_requests_total"
    }


# --- What is printed is what comes of it ------------------------------------------------------------------------------


def test_count_takes_what_is_printed_and_says_the_same(log: Path, tmp_path: Path) -> None:
    """Each template has the requests and the share that it was printed with, and nothing else has a path of its own."""
    told = run("check", "--suggest-templates", log)
    assert (told.returncode, told.stderr) == (0, b"")
    (tmp_path / "t.txt").write_bytes(told.stdout)
    options = ("--path-templates", tmp_path / "t.txt", "-l", "http_request_path", "--metrics", "requests_total")
    count = run("count", *options, log)
    assert (count.returncode, count.stderr) == (0, b"")
    counted = by_path(read_samples(count.stdout.decode()))
    requests = sum(counted.values())
    head, *rows = told.stdout.decode().splitlines()
    shares = {}
    for row in rows:
        found = LINE.fullmatch(row)
        assert found, row
        assert f"{100 * counted[found[1]] / requests:.2f}" == found[2]
        shares[found[1]] = int(found[3].replace(",", ""))
    others = {path: counted.pop(path) for path in ("other", "", "*", "h:443")}
    assert shares == counted
    assert others == {"other": 502, "": 1, "*": 1, "h:443": 1}
    assert head == f"# {requests:,} requests; 503 of them to paths at which nothing was found, or to none"
    assert [*shares.values()] == sorted(shares.values(), reverse=True)


def test_what_is_suggested(log: Path) -> None:
    """Identifiers, and collections of many values, become parameters; pages stay."""
    found, requests = suggestions(log)
    assert requests == (SCANNED + FOUND + ODD).count("\n")
    assert found["/users/{user}"] == 300
    assert found["/users/{user}/orders/{order}"] == 119
    assert found["/users/{user}/orders"] == 39
    assert found["/products/{product}/reviews"] == found["/products/{product}/"] == 150
    assert found["/about"] == 4
    assert found["/login"] == 2
    assert found["/"] == 1
    assert found["/days/{date}/report.pdf"] == 30
    assert [requests for template, requests in found.items() if template.startswith("/assets/")] == [50]


def test_json_is_what_people_are_told(log: Path) -> None:
    """The same templates in the same order."""
    told = run("check", "--suggest-templates", log).stdout.decode().splitlines()[1:]
    found, _ = suggestions(log)
    assert [row.split(" ", 1)[0] for row in told] == [*found]


def test_paths_at_which_nothing_was_found_are_left_out(log: Path) -> None:
    """But for those at which something was found as well."""
    found, _ = suggestions(log)
    assert not any(part in template for template in found for part in ("wp-", "php", ".git", "cgi"))
    found, requests = suggestions("-", stdin=(lines(["/a"]) + lines(["/a", "/b"], 404) + lines(["/c"], 500)).encode())
    assert (found, requests) == ({"/a": 2, "/c": 1}, 4)
    assert suggestions("-", stdin=SCANNED.encode()) == ({}, 502)


# --- Logs -------------------------------------------------------------------------------------------------------------


def test_several_logs_count_together_compressed_or_not(log: Path, tmp_path: Path) -> None:
    """As everywhere."""
    packed = tmp_path / "a.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    once, requests = suggestions(log)
    assert suggestions(packed) == (once, requests)
    assert suggestions("-", stdin=packed.read_bytes()) == (once, requests)
    twice, both = suggestions(log, packed)
    assert both == 2 * requests
    assert {template: twice[template] for template in ("/about", "/login", "/users/{user}")} == {
        "/about": 8,
        "/login": 4,
        "/users/{user}": 600,
    }


def test_a_log_that_cannot_be_read_is_told_and_the_others_are_read(log: Path, tmp_path: Path) -> None:
    """With the exit status of what went wrong outside."""
    told = run("check", "--suggest-templates", tmp_path / "none.log", log, tmp_path)
    assert told.returncode == 1
    assert told.stderr.decode() == (
        f"haproxy-log-exporter: cannot read {tmp_path}/none.log: No such file or directory; "
        f"cannot read {tmp_path}: Is a directory\n"
    )
    assert told.stdout == run("check", "--suggest-templates", log).stdout


def test_it_takes_a_log() -> None:
    """One at least; without it nothing is printed."""
    for options in ((), ("--json",)):
        told = run("check", "--suggest-templates", *options)
        assert (told.returncode, told.stdout) == (2, b"")
        assert told.stderr.decode() == "haproxy-log-exporter: --suggest-templates: it takes one or more logs\n"


@pytest.mark.parametrize("text", ["", TCP * 3, "garbage\n", BAD])
def test_a_log_without_a_path_suggests_nothing(text: str) -> None:
    """Neither does it divide by nothing."""
    requests = Counter(text.split("\n"))[BAD.strip()]
    assert suggestions("-", stdin=text.encode()) == ({}, requests)
    told = run("check", "--suggest-templates", "-", stdin=text.encode())
    rest = f"{requests} of them to paths at which nothing was found, or to none"
    assert told.stdout.decode() == f"# {requests} requests; {rest}\n"
    assert told.returncode == 0


# --- Options ----------------------------------------------------------------------------------------------------------


def test_what_is_counted_otherwise_does_not_matter(log: Path, tmp_path: Path) -> None:
    """Labels, metrics, limits, rules and static labels are of no account; the weight of lines is."""
    (tmp_path / "c.yml").write_text(
        "metrics: {sessions_total: {labels: http_request_path}, total_duration_seconds: {labels: ssl, buckets: 1}}\n"
        "labels: http_request_path\nmax-label-values: {http_request_path: 1}\nmax-series: 1\npath-depth: 1\n"
        "static-labels: {http_request_method: x}\n"
        "rules: {http_request_path: [{match: /users.*, action: drop}]}\n"
    )
    found, requests = suggestions(log)
    assert suggestions("--config", tmp_path / "c.yml", log) == (found, requests)
    tenfold = {template: 10 * count for template, count in found.items()}
    assert suggestions("--sample-weight", "10", log) == (tenfold, 10 * requests)


def test_templates_that_are_given_stay(log: Path) -> None:
    """With what they take; the others are for the rest."""
    found, requests = suggestions(log)
    with_users, same = suggestions("--path-template", "/users/*", log)
    users = {template for template in found if template.startswith("/users/")}
    assert users
    assert same == requests
    assert with_users == {template: count for template, count in found.items() if template not in users} | {
        "/users/*": sum(found[template] for template in users)
    }


def test_a_format_without_paths_is_told() -> None:
    """In the words of what was asked for."""
    told = run("check", "--suggest-templates", "--format", "tcplog", "-")
    assert (told.returncode, told.stdout) == (2, b"")
    message = "--suggest-templates: no format in use has http_request_path"
    assert told.stderr.decode() == f"haproxy-log-exporter: {message}\n"


def test_mistakes_in_options_are_told_first(log: Path) -> None:
    """As with every command."""
    told = run("check", "--suggest-templates", "-l", "nope", "--path-depth", "0", log)
    messages = told.stderr.decode().splitlines()
    assert (told.returncode, told.stdout, len(messages)) == (2, b"", 2)
    assert messages[0] == "haproxy-log-exporter: --path-depth: '0' is not a whole number from 1 to 1000"
    assert messages[1].startswith("haproxy-log-exporter: --labels: no format in use can fill 'nope'; there are ")


def test_what_is_given_and_takes_nothing_is_not_printed(log: Path) -> None:
    """One that stays has its requests, those that found nothing as well; without any it is no suggestion."""
    given = ("--path-template", "/users/{id}", "--path-template", "/nobody/{id}", "--path-template", "/users/{id}")
    found, requests = suggestions(*given, log)
    assert found["/users/{id}"] == 300
    assert "/nobody/{id}" not in found
    everything = suggestions("--path-template", "/*", log)
    assert everything == ({"/*": FOUND.count("\n") + SCANNED.count("\n")}, requests)


def test_given_templates_stand_among_the_others_by_their_requests(log: Path) -> None:
    """Not all of them first."""
    found, _ = suggestions("--path-template", "/about", "--path-template", "/users/*", log)
    assert [*found.values()] == sorted(found.values(), reverse=True)
    first, second = [*found][:2]
    assert first == "/users/*"
    assert second != "/about"


def test_templates_that_would_be_cut_are_whole(log: Path) -> None:
    """A depth, ids and rules are for what is counted, not for what is suggested; given templates come before rules."""
    rules = log.with_suffix(".yml")
    rules.write_text('rules:\n  http_request_path: [{match: "/users/.*", action: drop}]\n')
    options = ("--path-template", "/users/{id}/orders", "--max-label-values", "1", "--max-series", "1")
    found, requests = suggestions("--path-template", "/users/{id}/orders", log)
    assert suggestions(*options, "--path-depth", "1", "--config", rules, log) == (found, requests)
    assert found["/users/{id}/orders"] == 39
