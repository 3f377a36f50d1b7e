"""What rewriting a path costs: with few templates and with many, and with none."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from benchmarks.report import print_table, print_target
from haproxy_log_exporter.labels.paths import PathRewriter
from haproxy_log_exporter.labels.templates import Templates

_SEED = 20261120
_ROUNDS = 15
_TEMPLATES = 10_000
_PATHS = 20_000
_BATCH = 4_000  # about what a chunk has
_LENGTH = 30
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BASE62 = _LETTERS + _LETTERS.upper() + "0123456789"
_MOST_RATIO = 1.3
_MOST_PLAIN, _MOST_RANDOM = 0.4, 0.6  # microseconds a path


def rewrite_paths(_lines: int) -> None:
    """Print how much longer a path takes with many templates, and what it takes with none."""
    _match_templates()
    _rewrite_batches()


def _match_templates() -> None:
    random = Random(_SEED)
    wanted = "/api/users/{user}/orders/{order}"
    paths = [f"/api/users/{random.randrange(10**6)}/orders/{random.randrange(10**6)}" for _ in range(_PATHS)]
    others = [f"/api/{_word(random)}/{{id}}/{_word(random)}/{{of}}" for _ in range(_TEMPLATES - 1)]
    one, many = (Templates([wanted, *others[:number]]) for number in (0, _TEMPLATES))
    seconds = _measure([lambda: [*map(one.match, paths)], lambda: [*map(many.match, paths)]])
    rows = [
        (f"{number:,}", f"{1e6 * least / _PATHS:.3f}") for number, least in zip((1, _TEMPLATES), seconds, strict=True)
    ]
    print_table(f"paths: the same {_PATHS:,}, best of {_ROUNDS}, in turns", ("templates", "µs a path"), rows)
    print_target(f"{_TEMPLATES:,} templates to 1, times", seconds[1] / seconds[0], _MOST_RATIO, at_most=True)


def _rewrite_batches() -> None:
    random = Random(_SEED)
    batches = {
        "words, nothing to rewrite": [_words(random) for _ in range(_BATCH)],
        "random letters and digits in lower case": [_random(random, _LETTERS + "0123456789") for _ in range(_BATCH)],
        "the same, three segments": [_segments(random) for _ in range(_BATCH)],
        "random hex": [_random(random, "0123456789abcdef") for _ in range(_BATCH)],
        "a number between words": [
            f"/{_word(random)}/{random.randrange(10**6)}/{_word(random)}" for _ in range(_BATCH)
        ],
        "random base 62, as tokens": [_random(random, _BASE62) for _ in range(_BATCH)],
        "percent-encoded words": [_words(random).replace("/a", "/%61%C3%a9") for _ in range(_BATCH)],
    }
    rewriter = PathRewriter(Templates([]))
    raw = [[path.encode() for path in batch] for batch in batches.values()]
    seconds = _measure([partial(rewriter.rewrite, batch) for batch in raw])
    each = [1e6 * least / _BATCH for least in seconds]
    rows = [(name, f"{cost:.3f}") for name, cost in zip(batches, each, strict=True)]
    print_table(f"paths: batches of {_BATCH:,}, no template, best of {_ROUNDS}, in turns", ("paths", "µs a path"), rows)
    print_target("nothing to rewrite, µs a path", each[0], _MOST_PLAIN, at_most=True)
    print_target("random paths, µs a path", max(each[1:4]), _MOST_RANDOM, at_most=True)


def _measure(works: Sequence[Callable[[], object]]) -> list[float]:
    """Give the least seconds that each took, in turns."""
    least = [float("inf")] * len(works)
    for _ in range(_ROUNDS):
        for place, work in enumerate(works):
            began = time.process_time()
            work()
            least[place] = min(least[place], time.process_time() - began)
    return least


def _word(random: Random) -> str:
    return "".join(random.choices(_LETTERS, k=8))


def _words(random: Random) -> str:
    return "".join(f"/{_word(random)}" for _ in range(4))[:_LENGTH]


def _segments(random: Random) -> str:
    return "".join(_random(random, _LETTERS + "0123456789")[:10] for _ in range(3))


def _random(random: Random, letters: str) -> str:
    return "/" + "".join(random.choices(letters, k=_LENGTH - 1))
