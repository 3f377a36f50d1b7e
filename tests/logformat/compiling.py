"""Compiling formats for some of their fields, and reading lines by them."""

from haproxy_log_exporter.logformat.compiler import CompiledFormat, Wanted, compile_format
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.logformat.reader import Extent

HTTPLOG = PRESETS[0].source
LINE = (
    "127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 1/2/3/-1/+5 200 +228 - - ---- 1/1/0/0/+3 0/0 "
    '{a|b} "GET /a HTTP/1.1"'
)


def build(source: str, labels: str = "", numbers: str = "") -> CompiledFormat:
    """Compile a format for labels and numbers, given as words."""
    return compile_format("x", "http", source, Wanted(frozenset(labels.split()), frozenset(numbers.split())))


def read(compiled: CompiledFormat, *lines: str, extent: Extent = Extent.WHOLE) -> list[dict[str, str | None]]:
    """Read lines that must all match: the texts of each by the fields of their column."""
    chunk = "".join(line + "\n" for line in lines).encode("latin-1")
    rows = compiled.read(chunk, extent)
    assert (rows.lines, rows.rest) == (len(lines), b"")
    assert [len(column) for column in rows.columns] == [len(lines)] * len(compiled.groups)
    return [
        {
            "/".join(group): None if text is None else text.decode("latin-1")
            for group, text in zip(compiled.groups, row, strict=True)
        }
        for row in zip(*rows.columns, strict=True)
    ]
