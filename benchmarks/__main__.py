"""Runs the benchmarks: all, or those that are named."""

import argparse
import os

from benchmarks.counting import count_corpus
from benchmarks.datagrams import receive_datagrams, receive_for_long
from benchmarks.following import follow_busy_file, follow_quiet_file
from benchmarks.formats import read_formats
from benchmarks.keeping import keep_state
from benchmarks.paths import rewrite_paths
from benchmarks.scanners import count_scanners
from benchmarks.scrape import render_series
from benchmarks.streams import receive_streams

_PARTS = {
    "counting": count_corpus,
    "formats": read_formats,
    "datagrams": receive_datagrams,
    "long": receive_for_long,
    "streams": receive_streams,
    "scrape": render_series,
    "idle": follow_quiet_file,
    "tail": follow_busy_file,
    "state": keep_state,
    "paths": rewrite_paths,
    "scanners": count_scanners,
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(_PARTS)}; all without any")
    parser.add_argument("--lines", type=int, default=5_000_000, help="how many lines the corpus has (%(default)s)")
    given = parser.parse_args()
    if unknown := [part for part in given.parts if part not in _PARTS]:
        parser.error(f"no part is named {unknown[0]!r}; there are {', '.join(_PARTS)}")
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian has haproxy and halog
    for part in given.parts or _PARTS:
        _PARTS[part](given.lines)


if __name__ == "__main__":
    main()
