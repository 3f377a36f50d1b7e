"""The label http_request_path: from a path as HAProxy wrote it to one of few.

Strategy: those that came new with a chunk are rewritten together, by passes over their joined text (normalisation,
identifiers), so that a path costs less than a call does. Only templates are looked up one by one.
"""

import re
from collections.abc import Sequence

from haproxy_log_exporter.labels.identifiers import write_classes
from haproxy_log_exporter.labels.normalisation import FRAGMENT, normalise
from haproxy_log_exporter.labels.templates import Templates


class PathRewriter:
    """Rewrites paths: normalised, then as the template that fits, or else with classes of identifiers, cut at a depth.

    `ids`: whether segments such as numbers become classes such as `{id}`. `depth`: how many segments stay, 0 for all;
    what stands behind a last "/" is a segment, too, so `/a/` is two.
    """

    def __init__(self, templates: Templates, *, ids: bool = True, depth: int = 0) -> None:
        self._templates = templates
        self._ids = ids
        self._first = re.compile(rf"((?:/[^/\n]*+){{1,{depth}}}+)[^\n]*+\n") if depth else None

    def rewrite(self, paths: Sequence[bytes]) -> list[str]:
        """Give the label's value for each path; an empty path is "/", and what begins otherwise stays as it is."""
        text = b"\n".join([*paths, b""])
        if text.count(b"\n") == len(paths) == (text[:1] == b"/") + text.count(b"\n/"):
            return self._rewrite_lines(text)
        return self._rewrite_odd([path.replace(b"\n", b"%0A") for path in paths])

    def _rewrite_odd(self, paths: Sequence[bytes]) -> list[str]:
        """Rewrite where some do not begin with "/"."""
        values = self._rewrite_lines(b"\n".join([*(path if path[:1] == b"/" else b"/" for path in paths), b""]))
        for place, path in enumerate(paths):
            if path[:1] != b"/":
                values[place] = FRAGMENT.sub(b"", path).decode("utf-8", "replace") or "/"
        return values

    def _rewrite_lines(self, paths: bytes) -> list[str]:
        """Rewrite paths that begin with "/", each with a newline behind it."""
        text = normalise(paths)
        if not self._templates:
            return self._shorten(text)
        normal = text.split("\n")[:-1]
        fitting = [*map(self._templates.match, normal)]
        left = [path for path, template in zip(normal, fitting, strict=True) if template is None]
        shortened = iter(self._shorten("\n".join([*left, ""])))
        return [next(shortened) if template is None else template for template in fitting]

    def _shorten(self, text: str) -> list[str]:
        """Rewrite those that no template fits."""
        if self._ids:
            text = write_classes(text)
        return self._first.findall(text) if self._first else text.split("\n")[:-1]
