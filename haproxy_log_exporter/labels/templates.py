"""Templates of paths, as `/users/{id}/orders`, and which of them fits a path.

Strategy: a tree by segment. Each node finds what is below it by dictionary, so that the time a path takes depends on
its own segments and not on how many templates there are.
"""

import re
from collections.abc import Iterator, Sequence

from haproxy_log_exporter.labels.normalisation import normalise_one

# The literal parts of a segment: ("users",), ("", "") of {id}, ("", ".json") of {id}.json; none of the rest.
Parts = tuple[str, ...]

_PARAMETER = re.compile(r"\{([^{}]*+)\}")
# Parameters as other frameworks write them: /:id, /<id>, /<int:id>.
_FOREIGN = re.compile(r"^:([A-Za-z0-9_]*+)|<(?:[^<>{}:]*+:)?([A-Za-z0-9_]*+)|>")
# The type or the expression of a name, as in {id:int} and {id:[0-9]+}.
_TYPED = re.compile(r"[^A-Za-z0-9_.-].*+")
_REST_PARAMETER = re.compile(r"\{[^{}:]+\+\}")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*+")
_REST: Parts = ()
_WHOLE: Parts = ("", "")


class Templates:
    """The templates that paths are matched with.

    A `{param}` takes one segment that is not empty, or within a segment, as in `{id}.json`, one character or more. A
    last segment `*` or `{name+}` takes all that is left, which may be nothing behind the slash: `/files/*` fits
    `/files/`, and not `/files`. Of several that fit, the more specific wins at the first segment where they differ:
    literal before partly literal (the more of it at the ends the earlier) before `{param}` before the rest. Of two that
    fit the same paths, the first wins.
    """

    def __init__(self, templates: Sequence[str]) -> None:
        """Take templates that `read_template` takes.

        Raises:
            ValueError: for one that it does not.
        """
        self._root = _Node()
        self._own: dict[str, str] = {}
        self._most = 0
        for template in templates:
            segments = _divide(normalise_one(read_template(template, any_name=True)))
            node = self._root
            for segment in segments:
                node = node.grow(segment)
            if not node.template:
                node.template = template
                self._own[normalise_one(template)] = template
            self._most = max(self._most, len(segments))
        self._texts = frozenset(self._own.values())

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._texts)

    def __contains__(self, text: object) -> bool:
        """Tell whether a text is a template that `match` can give."""
        return text in self._texts

    def match(self, path: str) -> str | None:
        """Find the template that fits a normal path, as it was written; a template's own text is fitted by itself."""
        if path in self._own:
            return self._own[path]
        segments = path.split("/", self._most + 1)
        end = len(segments)
        open_nodes = [(self._root, 1)]  # the most specific at the end
        while open_nodes:
            node, place = open_nodes.pop()
            if place == end:
                if node.template:
                    return node.template
                continue
            segment = segments[place]
            place += 1
            if node.rest:
                open_nodes.append((node.rest, end))
            if segment and node.whole:
                open_nodes.append((node.whole, place))
            if node.ends:
                open_nodes += [(below, place) for below in reversed([*node.partly(segment)])]
            if below := node.literal.get(segment):
                open_nodes.append((below, place))
        return None


class _Node:
    """A place in the tree, and what may come next; `template` where one ends."""

    __slots__ = ("ends", "literal", "partial", "rest", "template", "whole")

    def __init__(self) -> None:
        self.template = ""
        self.literal: dict[str, _Node] = {}
        self.whole: _Node | None = None
        self.rest: _Node | None = None
        # By what a partly literal segment begins and ends with, and how long these are, the longest first.
        self.partial: dict[tuple[str, str], list[tuple[Parts, _Node]]] = {}
        self.ends: list[tuple[int, int]] = []

    def grow(self, parts: Parts) -> "_Node":
        """Give the node behind a segment."""
        if parts == _REST:
            self.rest = self.rest or _Node()
            return self.rest
        if parts == _WHOLE:
            self.whole = self.whole or _Node()
            return self.whole
        if len(parts) == 1:
            return self.literal.setdefault(parts[0], _Node())
        return self._grow_partial(*parts)

    def _grow_partial(self, first: str, *middle_and_last: str) -> "_Node":
        *middle, last = middle_and_last
        ends = {*self.ends, (len(first), len(last))}
        self.ends = sorted(ends, key=lambda lengths: (-sum(lengths), -lengths[0]))
        alike = self.partial.setdefault((first, last), [])
        for parts, node in alike:
            if parts == tuple(middle):
                return node
        alike.append((tuple(middle), _Node()))
        grown = alike[-1][1]
        alike.sort(key=lambda row: (-len("".join(row[0])), row[0]))
        return grown

    def partly(self, segment: str) -> Iterator["_Node"]:
        """Give the nodes of partly literal segments that fit, the more specific first."""
        for before, behind in self.ends:
            stop = len(segment) - behind
            if stop <= before:
                continue
            for middle, node in self.partial.get((segment[:before], segment[stop:]), ()):
                if _holds(segment[before:stop], middle):
                    yield node


def _holds(text: str, literals: Parts) -> bool:
    """Tell whether a text has the literals in it, in order, with something before, between and behind."""
    place = 1
    for literal in literals:
        found = text.find(literal, place)
        if found < 0:
            return False
        place = found + len(literal) + 1
    return place <= len(text)


def read_template(text: str, *, any_name: bool = False) -> str:
    """Give back a template; `any_name` where names may hold ":", as in a description of an API.

    Raises:
        ValueError: with what is wrong with it, and what would be right.
    """
    if not text.startswith("/"):
        message = f"a template begins with '/', as /{text or 'users/{id}'}"
        raise ValueError(message)
    for char, of in (("?", "query"), ("#", "fragment")):
        if char in text:
            message = f"a template has no {of}: leave out {text[text.index(char) :]!r}"
            raise ValueError(message)
    if found := _BLANK.search(text):
        message = f"a template has no blank in it: write {'%20' if found[0] == ' ' else f'%{ord(found[0]):02X}'}"
        raise ValueError(message)
    if not text.isprintable():
        message = "a template is printable text"
        raise ValueError(message)
    *before, last = text[1:].split("/")
    for segment in before:
        if _is_rest(segment):
            message = f"{segment!r} takes the rest of a path: nothing comes behind it"
            raise ValueError(message)
        _check_segment(segment, any_name=any_name)
    if not _is_rest(last):
        _check_segment(last, any_name=any_name)
    return text


def _check_segment(segment: str, *, any_name: bool) -> None:
    literal = _PARAMETER.sub("", segment)
    names = _PARAMETER.findall(segment)
    wrong = ""
    if found := _FOREIGN.search(segment):
        wrong = f"a parameter is written {{{found[1] or found[2] or 'id'}}}"
    elif "{" in literal or "}" in literal:
        wrong = "a parameter is a name in braces within one segment, as {id}"
    elif typed := [name for name in names if not any_name and ":" in name]:
        name = _TYPED.sub("", typed[0]) or "id"
        wrong = f"a parameter has a name of letters, digits, '_', '-' and '.' alone, as {{{name}}}"
    elif "" in names:
        wrong = "a parameter has a name, as {id}"
    elif star := [name for name in names if "*" in name or name.endswith("+")]:
        name = star[0].strip("*+") or "rest"
        wrong = f"what takes the rest of a path is the whole last segment, as {{{name}+}} or *"
    elif "*" in literal:
        wrong = "'*' is the whole last segment; write a parameter for a part, as {name}"
    elif "}{" in segment:
        wrong = "two parameters have something between them, as {from}-{to}"
    if wrong:
        message = f"{segment!r}: {wrong}"
        raise ValueError(message)


def read_template_lines(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """Read a file of templates, one a line: the templates, and the mistakes with the numbers of their lines.

    Empty lines are left out, and comments, which "#" begins at a line's start or behind a blank.
    """
    templates = []
    mistakes = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        written = _COMMENT.sub("", line).strip()
        if not written:
            continue
        try:
            templates.append(read_template(written))
        except ValueError as error:
            mistakes.append((number, str(error)))
    return templates, mistakes


def _is_rest(segment: str) -> bool:
    return segment == "*" or bool(_REST_PARAMETER.fullmatch(segment))


def _divide(template: str) -> list[Parts]:
    """Divide a normal template into the literal parts of its segments."""
    return [
        _REST if _is_rest(segment) else tuple(_PARAMETER.split(segment)[::2]) for segment in template[1:].split("/")
    ]
