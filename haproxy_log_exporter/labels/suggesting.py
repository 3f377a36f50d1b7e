"""Which templates describe the paths of a log.

Strategy: from the left, segment by segment, the paths that are alike so far are divided by their next segment. Those
segments are put together that are identifiers, and those that vary: many of them, seldom seen or with the same below
them. Where that leaves too many templates, those with the fewest requests are put under the rest of what is above.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import median_low
from typing import NamedTuple

from haproxy_log_exporter.labels.identifiers import write_classes
from haproxy_log_exporter.labels.naming import name_parameter, name_within
from haproxy_log_exporter.labels.templates import Templates

_MOST = 200
_DEEPEST = 12  # segments; what is deeper is a rest
_FEW = 10  # values at one place that are no more may well be different pages
_MANY = 100  # collections, as /users and /orders, that are more are values
_MOST_PAGES = 1000  # no site has more at one place
_SELDOM = 5  # requests
_LARGE = 0.1  # of the requests at one place: a value that has so many is a page of its own
_STANDS_OUT = 10  # times the requests of its siblings: a page of its own, where no collection's name stands before
_NOTED = 0.002  # of all requests: what has fewer is not looked at for itself
_ROOT, _BELOW = 50, 25  # pages that there may be, at the top and where no collection's name stands before

_WHOLE = "{}"
_CLASS = re.compile(r"\{(\w*)\}")
# Segments that cannot stand in a template.
_UNWRITABLE = re.compile(r"/(?::|[^/\n{}*?#<>]*+[{}*?#<>])[^/\n]*+")
# 1900 to 2199, and a month and a day behind it; a year that stands alone is one only beside others.
_YEAR = re.compile(
    r"/(?:19|2[01])[0-9]{2}(?:(?P<month>/(?:0?[1-9]|1[0-2])(?=[/\n]))(?P<day>/(?:0?[1-9]|[12][0-9]|3[01])(?=[/\n]))?"
    r"|(?=/?\n))"
)
_PERHAPS_YEAR = "year0"
_OF_TIME = {"year", "month", "day", "date"}
_MARKS = "@~"  # what names of things begin with, as /@alice


class Suggestion(NamedTuple):
    """A template, and how many requests it takes."""

    template: str
    requests: int


class _Path(NamedTuple):
    segments: list[str]
    requests: int
    variants: int


_Group = list[_Path]


def suggest(counts: Mapping[str, int], *, most: int = _MOST) -> list[Suggestion]:
    """Suggest templates for normal paths, by how many requests each had; those with the most requests come first.

    Each path that begins with "/" is counted with that which `Templates` finds for it among all of them. There are at
    most `most`, which is 1 at least.
    """
    counted = {path: requests for path, requests in counts.items() if path.startswith("/")}
    if not counted:
        return []
    found = Counter[tuple[str, ...]]()
    noted = _NOTED * sum(counted.values())
    for template, requests in _describe(_divide(counted), (), noted):
        found[template] += requests
    _put_together(found, most)
    _fold(found)
    templates = Templates(["/" + "/".join(template) for template in found])
    taken = Counter[str]()
    for path, requests in counted.items():
        taken[templates.match(path) or "/*"] += requests
    return [Suggestion(*row) for row in sorted(taken.items(), key=lambda row: (-row[1], row[0]))]


def _divide(counted: Mapping[str, int]) -> _Group:
    """Divide paths into segments, those that are identifiers written as classes."""
    text = write_classes(_YEAR.sub(_write_year, _UNWRITABLE.sub("/{value}", "\n".join([*counted, ""]))))
    paths = Counter[str]()
    variants = Counter[str]()
    for path, requests in zip(text.split("\n"), counted.values(), strict=False):
        paths[path] += requests
        variants[path] += 1
    return [
        _Path(_cut(path.split("/", _DEEPEST + 1)[1:]), requests, variants[path]) for path, requests in paths.items()
    ]


def _write_year(found: re.Match[str]) -> str:
    if not found["month"]:
        return f"/{{{_PERHAPS_YEAR}}}"
    return "/{year}/{month}/{day}" if found["day"] else "/{year}/{month}"


def _cut(segments: list[str]) -> list[str]:
    return [*segments[:_DEEPEST], "*"] if len(segments) > _DEEPEST else segments


def _describe(group: _Group, before: tuple[str, ...], noted: float) -> Iterator[tuple[tuple[str, ...], int]]:
    """Give the templates of paths that are alike in the segments before, and the requests of each.

    `noted` requests are so many that what has fewer is of no interest for itself.
    """
    depth = len(before)
    noun = before[-1] if before else ""
    by_value: defaultdict[str, _Group] = defaultdict(list)
    for path in group:
        by_value[path.segments[depth]].append(path)
    varying = _find_varying(by_value, depth, noted=None if name_parameter(noun, ()) else noted)
    varying |= _find_seldom(by_value)
    alike: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for value in by_value:
        shape = _shape(value) if value in varying else _CLASS.sub(_WHOLE, value)
        alike[shape, value == "{date}" and "{year}" in by_value].append(value)
    for (shape, _), values in alike.items():
        segment = _name(shape, values, before)
        deeper = []
        ending = []
        for path in chain.from_iterable(map(by_value.__getitem__, values)):
            if len(path.segments) > depth + 1:
                deeper.append(path)
            else:
                ending.append(path.requests)
        if ending:
            yield (*before, segment), sum(ending)
        if deeper:
            yield from _describe(deeper, (*before, segment), noted)


def _shape(value: str) -> str:
    return value[0] + _WHOLE if value[0] in _MARKS and value[1:] else _WHOLE


def _name(shape: str, values: Sequence[str], before: Sequence[str]) -> str:
    """Write a segment with names for its parameters that none before has."""
    if _WHOLE not in shape:
        return shape
    used = {name for segment in before for name in _CLASS.findall(segment)}
    if shape == _WHOLE:
        names = {found[1] for value in values if (found := _CLASS.fullmatch(value))} or {"name"}
        if _PERHAPS_YEAR in names:
            names = names - {_PERHAPS_YEAR} | (set() if "year" in names else {"id"})
        only = names.pop() if len(names) == 1 else "id"
        if (only == "month" and before[-1] != "{year}") or (only == "day" and before[-1] != "{month}"):
            only = "id"
        noun = before[-1] if before and only not in _OF_TIME else ""
        return f"{{{name_parameter(noun, used) or name_within(only, used)}}}"
    if shape[1:] == _WHOLE and shape[0] in _MARKS:
        return f"{shape[0]}{{{name_within('name', used)}}}"
    written = values[0]
    for name in _CLASS.findall(written):
        unused = name_within(name, used)
        used.add(unused)
        written = written.replace(f"{{{name}}}", f"{{={unused}}}", 1)
    return written.replace("{=", "{")


def _find_varying(by_value: Mapping[str, _Group], depth: int, *, noted: float | None) -> set[str]:
    """Find the values at one place that are names of things, not of pages; `noted`: None in a collection."""
    literal = [value for value in by_value if value not in ("", "*") and "{" not in value]
    if len(literal) <= _FEW or (len(literal) <= _MANY and _are_collections(literal)):
        return set()
    requests = {value: sum(path.requests for path in by_value[value]) for value in literal}
    large = _LARGE * sum(path.requests for group in by_value.values() for path in group)
    if noted is not None:
        large = min(large, max(noted, _STANDS_OUT * median_low(requests.values())))
    small = {value for value in literal if requests[value] < large}
    if len(literal) > _MOST_PAGES:
        return small
    if similar := _find_similar({value: by_value[value] for value in literal}, depth):
        return similar | small
    leaves = [value for value in literal if all(len(path.segments) == depth + 1 for path in by_value[value])]
    pages = _FEW if noted is None else _BELOW if depth else _ROOT
    if leaves and median_low([requests[value] for value in leaves]) > _SELDOM:
        pages *= 4
    return small.intersection(leaves) if len(leaves) > pages else set()


def _find_seldom(by_value: Mapping[str, _Group]) -> set[str]:
    """Find the values that are seldom seen beside many identifiers: these are identifiers that look like none."""
    identifiers = [path for value, group in by_value.items() if _CLASS.fullmatch(value) for path in group]
    variants = sum(path.variants for path in identifiers)
    if variants < _MANY:
        return set()
    few = max(_SELDOM / 2, sum(path.requests for path in identifiers) / variants)
    return {
        value
        for value, group in by_value.items()
        if value not in ("", "*") and "{" not in value and not name_parameter(value, ())
        if sum(path.requests for path in group) <= few
    }


def _are_collections(values: Sequence[str]) -> bool:
    return 2 * sum(name_parameter(value, ()) != "" for value in values) > len(values)


def _find_similar(by_value: Mapping[str, _Group], depth: int) -> set[str]:
    """Find the values that have the same below them as many others have; none, where they are few or the minority."""
    below = {
        value: {path.segments[depth + 1] for path in group if len(path.segments) > depth + 1}
        for value, group in by_value.items()
    }
    named = {value: {segment for segment in below[value] if segment and "{" not in segment} for value in below}
    times = Counter(segment for segments in named.values() for segment in segments)
    having = sum(map(bool, named.values()))
    shared = {segment for segment, number in times.items() if number >= max(3, having / 4)}
    similar = {value for value, segments in named.items() if segments & shared}
    return similar if len(similar) > _FEW and len(similar) >= having / 2 else set()


def _fold(found: Counter[tuple[str, ...]]) -> None:
    """Leave out paths that are seldom asked for beside the many that a template takes, where it takes them, too."""
    written = {"/" + "/".join(template): template for template in found}
    tree = Templates([text for text in written if "{" in text])
    for text, template in written.items():
        general = written.get(tree.match(text) or "")
        if "{" in text or general is None or found[general] < _MANY or name_parameter(template[-1], ()):
            continue
        is_part = "{" in general[-1] and not _CLASS.fullmatch(general[-1])
        few = found[general] * _LARGE if is_part else _SELDOM
        if found[template] <= few:
            found[general] += found.pop(template)


def _put_together(found: Counter[tuple[str, ...]], most: int) -> None:
    """Put all but the templates with the most requests under the rest of what is above, until there are few enough."""
    while len(found) > most:
        for template, _ in found.most_common()[3 * most // 4 :]:
            requests = found.pop(template)
            found[(*template[: -2 if template[-1] == "*" else -1], "*")] += requests
