"""What other formats than httplog cost, on one core: the same requests, written in other words."""

import os
import re
import tempfile
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpus import make_corpus, read_lines
from benchmarks.processes import run_pinned
from benchmarks.report import print_table, print_target
from tests.support import command

_LABELS = "status_code,server_name,http_request_path"
_MOST_LINES = 400_000
_ROUNDS = 5

_LINE = re.compile(
    rb"(?P<head>.*?: )(?P<ip>\S+):(?P<port>\d+) \[(?P<date>[^]]+)\] (?P<frontend>\S+) "
    rb"(?P<backend>[^/]+)/(?P<server>\S+) "
    rb"(?P<TR>\d+)/(?P<Tw>\d+)/(?P<Tc>\d+)/(?P<Tr>\d+)/(?P<Ta>\d+) (?P<status>\d+) (?P<bytes>\d+) - - (?P<state>\S+) "
    rb"(?P<connections>\S+) (?P<queues>\S+) \{[^|]*\|(?P<agent>[^}]*)\}.* \"(?P<request>.*)\"\n"
)


class Written(NamedTuple):
    """A format, and how its lines are made of those of httplog."""

    name: str
    format: str
    line: bytes


# Twelve fields: with free text, and as JSON by hand; and the sessions of TCP that the requests were.
_TEXT = Written(
    "a log-format of twelve fields",
    "%ci [%tr] %ft %b/%s %Tr %Ta %ST %B %tsc %{+Q}r %[capture.req.hdr(1)]",
    rb"\g<head>\g<ip> [\g<date>] \g<frontend> \g<backend>/\g<server> \g<Tr> \g<Ta> \g<status> \g<bytes> \g<state> "
    rb'"\g<request>" \g<agent>'
    b"\n",
)
_JSON = Written(
    "the same as JSON",
    '{"ip":"%ci","time":"%tr","fe":"%ft","be":"%b","srv":"%s","tr":%Tr,"ta":%Ta,"status":%ST,"bytes":%B,"ts":"%tsc",'
    '"req":"%r","ua":"%[capture.req.hdr(1)]"}',
    rb'\g<head>{"ip":"\g<ip>","time":"\g<date>","fe":"\g<frontend>","be":"\g<backend>","srv":"\g<server>","tr":\g<Tr>,'
    rb'"ta":\g<Ta>,"status":\g<status>,"bytes":\g<bytes>,"ts":"\g<state>","req":"\g<request>","ua":"\g<agent>"}'
    b"\n",
)
_TCP = Written(
    "tcplog",
    "tcplog",
    rb"\g<head>\g<ip>:\g<port> [\g<date>] \g<frontend> \g<backend>/\g<server> \g<Tw>/\g<Tc>/\g<Ta> \g<bytes> -- "
    rb"\g<connections> \g<queues>"
    b"\n",
)
_HTTPLOG = Written("httplog", "httplog", rb"\g<0>")
_MIXED = "the four mixed, with tcplog"


def read_formats(lines: int) -> None:
    """Count the same requests in several formats, in turns, and print what each takes of httplog's time."""
    corpus = read_lines(make_corpus(lines), min(lines, _MOST_LINES))
    with tempfile.TemporaryDirectory() as name:
        runs = _logs(corpus, Path(name))
        seconds: dict[str, list[float]] = {title: [] for title in runs}
        for _ in range(_ROUNDS):
            for title, arguments in runs.items():
                log = Path(arguments[-1])
                seconds[title].append(
                    run_pinned(command("count", "-l", _LABELS, *arguments), log, Path(os.devnull)).cpu_seconds
                )
    best = {title: min(found) for title, found in seconds.items()}
    httplog = best["httplog"]
    rows = [(title, f"{len(corpus) / took:,.0f}", f"{took / httplog:.2f}") for title, took in best.items()]
    title = f"formats: {len(corpus):,} lines each on one core, best of {_ROUNDS}, in turns"
    print_table(title, ("format", "lines/s of CPU time", "of httplog's time"), rows)
    for written in (_TEXT, _JSON):
        print_target(f"{written.name}, of httplog's time", best[written.name] / httplog, 1.5, at_most=True)
    print_target(f"{_MIXED}, of httplog's time", best[_MIXED] / httplog, 2, at_most=True)


def _logs(corpus: list[bytes], folder: Path) -> dict[str, list[str]]:
    """Write a log in each format, and one of all in turns, of as many lines each; give the arguments for each."""
    formats = (_HTTPLOG, _TEXT, _JSON, _TCP)
    matches = [match for match in map(_LINE.fullmatch, corpus) if match]
    assert len(matches) == len(corpus)
    lines = {written.name: [match.expand(written.line) for match in matches] for written in formats}
    quarter = len(corpus) // len(formats)
    lines[_MIXED] = [*chain.from_iterable(zip(*(found[:quarter] for found in lines.values()), strict=True))]
    options = {written.name: ["--format", written.format] for written in formats}
    options[_MIXED] = [*chain.from_iterable(options.values())]
    del lines[_TCP.name], options[_TCP.name]  # which has no status: only part of the mixture
    arguments = {}
    for number, (name, found) in enumerate(lines.items()):
        path = folder / f"{number}.log"
        path.write_bytes(b"".join(found))
        arguments[name] = [*options[name], str(path)]
    return arguments
