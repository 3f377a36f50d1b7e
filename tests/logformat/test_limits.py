"""Formats and lines that would be too much for Python's regular expressions, were they not written with care."""

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.reader import Extent

JSON = "{" + ",".join(f'"field_of_a_long_name_{number}":"%[var(txn.v{number})]"' for number in range(30)) + "}"


@pytest.mark.parametrize(
    "source",
    ["%B " + "k" * 5_000, "%ci:%cp %HU " * 200, "%HU " + "%ci:%cp " * 500, "%ST %[var(txn.a)] " + "%b/%s " * 400, JSON],
)
def test_no_format_is_too_deep_when_a_line_comes(source: str) -> None:
    """Each expression is compiled, also those for what nothing else takes, with as many columns; garbage is left."""
    compiled = compile_format("x", "http", source)
    compiled.prepare()
    assert compiled.whole.groups == compiled.cut.groups == len(compiled.groups) + 1
    assert [compiled.read(b"garbage\n", extent).lines for extent in Extent] == [0, 0, 0]


def test_an_expression_that_python_cannot_compile_is_a_mistake_of_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told when the format is given, not when a line comes."""

    def refuse(_pattern: bytes) -> None:
        raise RecursionError

    compiled = compile_format("x", "http", "%ci %ST")
    with monkeypatch.context() as patch:
        patch.setattr("haproxy_log_exporter.logformat.compiler.re.compile", refuse)
        with pytest.raises(UsageError) as raised:
            compiled.prepare()
    assert "too long to be read" in str(raised.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("%r", "GET /a HTTP/1.1"),
        ("%ci:%cp", "192.0.2.7:1"),
        ("%HP", "<BADREQ>"),
        ("%HU", "a://b/c"),
        ("%HQ", "?a"),
        ("%hr", "{a}"),
        ("%[var(txn.a)] %b %ci:%cp", "- 0 192.0.2.7:1"),
        ("%[var(txn.a)] %b-%s-%f-%H- %ST", "- a-a-a-a- 1"),
    ],
)
def test_values_that_can_be_read_in_two_ways_do_not_multiply(item: str, value: str) -> None:
    """A line that fails behind forty of them is left at once."""
    compiled = compile_format("x", "http", f"{' '.join([item] * 40)} %ST")
    assert compiled.read(f"{' '.join([value] * 40)} 200\n".encode()).lines == 1
    for extent in Extent:
        assert compiled.read(f"{' '.join([value] * 40)} x\n".encode(), extent).lines == 0


@pytest.mark.timeout(60)
def test_lists_that_may_be_divided_anywhere_do_not_multiply() -> None:
    """Two of them may leave headers to what follows, no more."""
    compiled = compile_format("x", "http", f"{'%{+Q}hrl %{+Q}b ' * 2}%ST")
    assert compiled.read(b'"a" "b" "c" "d" "e" 200\n').lines == 1
    compiled = compile_format("x", "http", f"{'%{+Q}hrl %{+Q}b ' * 10}%ST")
    for extent in Extent:
        assert compiled.read(b'"" ' * 600 + b"x\n", extent).lines == 0
