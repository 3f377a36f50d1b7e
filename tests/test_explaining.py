"""What `explain` says of a log-format is what the log-format says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.explaining import explain, explain_formats
from haproxy_log_exporter.formats import Format
from haproxy_log_exporter.labels.catalogue import find_labels
from haproxy_log_exporter.logformat.compiler import compile_format, format_kind
from haproxy_log_exporter.logformat.presets import PRESETS
from haproxy_log_exporter.planning import fillable
from haproxy_log_exporter.records import Parser
from tests.support import run

KEYS = ["text", "alias", "field", "kind", "meaning", "label"]

# Of HAProxy 1.5 to 3.x, `logformat_keywords` and later `logformat_aliases` in src/log.c; but for %o, which prints
# nothing.
_CURRENT = (
    "B CC CS H HM HP HPO HQ HU HV ID OG ST T TR Ta Tc Td Th Ti Tl Tq Tr Ts Tt Tu Tw U ac b bc bi bp bq ci cp f fc fi fp"
    " ft hr hrl hs hsl lc ms pid r rc rt s sc si sp sq sslc sslv t tr trg trl ts tsc"
)
ALIASES = _CURRENT.split()
# In 1.5 to 1.8 alone, where they stood for these.
FORMER_ALIASES = {
    "Bi": "bi", "Bp": "bp", "Ci": "ci", "Cp": "cp", "Fi": "fi", "Fp": "fp", "Si": "si", "Sp": "sp",
    "cc": "CC", "cs": "CS", "st": "ST",
}  # fmt: skip

SAMPLES = (
    "%[src]",
    "%[txn.timer.total]",
    "%[capture.req.hdr(0)]",
    "%[capture.res.hdr(11),json]",
    "%[var(txn.host),lower]",
    "%[str('x]y')]",
    '%[req.hdr("a b"),json(utf8s)]',
    "%[src,ipmask(24,64)]",
)


def test_the_command_prints_the_contracts_object() -> None:
    """One object for each format, of these keys in this order, and a literal has no more than its text."""
    told = run("explain", "--json", "%ci:%{+Q}ST", "%Tt")
    assert (told.returncode, told.stderr) == (0, b"")
    first, second = map(json.loads, told.stdout.splitlines())
    assert [[*first], first["format"]] == [["format", "items"], "%ci:%{+Q}ST"]
    client, colon, status = first["items"]
    assert [[*item][: len(KEYS)] for item in first["items"]] == [KEYS] * 3
    assert [client[key] for key in KEYS] == [
        *("%ci", "ci", "client_ip", "address", "address of the client", "client_ip")
    ]  # fmt: skip
    assert colon == {"text": ":"} | dict.fromkeys(KEYS[1:])
    assert [status[key] for key in KEYS] == [
        *("%{+Q}ST", "ST", "status_code", "number", "HTTP status sent to the client", "status_code")
    ]  # fmt: skip
    assert second == explain("%Tt")


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_is_explained(alias: str) -> None:
    """Its field, kind and label, what it means, and an example."""
    [item] = explain(f"%{alias}")["items"]
    assert [item["text"], item["alias"]] == [f"%{alias}", alias]
    assert all(isinstance(item[key], str) and item[key] for key in (*KEYS, "example")), item


@pytest.mark.parametrize("alias", FORMER_ALIASES)
def test_what_an_alias_was_called_is_explained(alias: str) -> None:
    """HAProxy 1.5 to 1.8 have other names for some, and say that these are deprecated."""
    [item] = explain(f"%{alias}")["items"]
    [same] = explain(f"%{FORMER_ALIASES[alias]}")["items"]
    assert item["text"] == f"%{alias}"
    assert [item[key] for key in KEYS[2:]] == [same[key] for key in KEYS[2:]]


@pytest.mark.parametrize("text", [*(f"%{alias}" for alias in ALIASES), *SAMPLES[:2]])
def test_an_example_is_what_the_item_may_print(text: str) -> None:
    """A line with the example in its place is read, and the field that is named is in it."""
    [item] = explain(text)["items"]
    parser = Parser([compile_format("1", "http", f"{text} ;")])
    record = parser.parse(f"{item['example']} ;".encode())
    assert (record.kind, record.truncated) == ("http", False), item
    assert item["field"] in record.fields


@pytest.mark.parametrize("text", [*(f"%{alias}" for alias in ALIASES), "%(my-name)ci", "%(x)[var(txn.a)]", *SAMPLES])
def test_a_label_can_be_had(text: str) -> None:
    """What is named as the label is one that --labels takes with this format."""
    [item] = explain(text)["items"]
    name = item["label"].removesuffix(", …")
    [label] = find_labels([name], fillable([Format("1", format_kind(text), text)]))
    assert label.name == name


@pytest.mark.parametrize(
    ("text", "alias", "field", "label"),
    [
        ("%(host)[var(txn.host)]", "[var(txn.host)]", "host", "host"),
        ("%(my-host:str)ci", "ci", "client_ip", "my_host"),
        ("%(2nd)ST", "ST", "status_code", "_2nd"),
        ("%(ua){+Q}[req.hdr(User-Agent)]", "[req.hdr(User-Agent)]", "ua", "ua"),
        ("%[capture.req.hdr(0)]", "[capture.req.hdr(0)]", "request_header_1", "request_header_1"),
        ("%[capture.res.hdr(1),json]", "[capture.res.hdr(1),json]", "response_header_2", "response_header_2"),
        ("%[req.hdr(Host)]", "[req.hdr(Host)]", "req_hdr_host", "req_hdr_host"),
        ("%[src,ipmask(24)]", "[src,ipmask(24)]", "src_ipmask_24", "src_ipmask_24"),
    ],
)
def test_names_and_samples_are_labels(text: str, alias: str, field: str, label: str) -> None:
    """A name that is given is the label; a sample's is made of it, without a converter that only writes it."""
    [item] = explain(text)["items"]
    assert [item["text"], item["alias"], item["field"], item["label"]] == [text, alias, field, label]


def test_a_sample_that_equals_an_alias_is_the_same_field() -> None:
    """As HAProxy's manual has them."""
    for sample, alias in (("[txn.timer.total]", "Ta"), ("[res.timer.hdr]", "Tr"), ("[src]", "ci"), ("[be_name]", "b")):
        [of_sample], [of_alias] = (explain(f"%{name}")["items"] for name in (sample, alias))
        assert [of_sample[key] for key in ("field", "kind", "meaning")] == [
            of_alias[key] for key in ("field", "kind", "meaning")
        ]


def test_items_of_several_fields_name_all() -> None:
    """The first of them that is no mark is the item's own."""
    [name, _, retries, _, request] = explain("%ft %rc %{+Q}r")["items"]
    assert [name["field"], name["fields"]] == ["frontend_name", ["frontend_name", "ssl"]]
    assert [retries["field"], {*retries["fields"]}] == ["retries", {"redispatched", "retries"}]
    assert {"http_request_method", "http_request_uri", "http_request_path", "http_version"} == {*request["fields"]}


PLAIN = (
    "%ci",
    "%ci:%cp [%tr] %ft",
    '{"status":%ST,"path":"%HP","ua":"%[capture.req.hdr(0),json]"}',
    "begin %(a)ci %{+Q,-E}ID %[str('a b')] end",
    "é%ci…%ST",
    *(preset.source for preset in PRESETS if "%{+Q}o" not in preset.source and preset.name != "connect"),
)
# What HAProxy writes otherwise than it stands there, or not at all.
REWRITTEN = (
    "100%% %ci %%",
    "%ci  and   %ST",
    " %ci ",
    r"%ci\ \ %ST\\\#\x41",
    "%ci %&%ST",
    "%{+Q}o %{-Q}ci",
    "%ci %{+Q}o %ID %{-Q}o %ST",
    "%{+json}o %(a)ci %ST %(b)[src]",
    *(preset.source for preset in PRESETS if "%{+Q}o" in preset.source),
)


@pytest.mark.parametrize("source", [*PLAIN, *REWRITTEN])
def test_the_texts_give_the_format_back(source: str) -> None:
    """Whoever reads the object has the whole string, as it stands in haproxy.cfg."""
    told = explain(source)
    assert told["format"] == source
    assert "".join(item["text"] for item in told["items"]) == source


def test_flags_for_all_that_follows_are_an_item() -> None:
    """It says so, and gives no label."""
    [flags, *_] = explain("%{+Q}o %ci")["items"]
    assert [flags["text"], flags["alias"], flags["field"], flags["label"]] == ["%{+Q}o", "o", None, None]
    assert flags["meaning"]


_WRITTEN_VALUES = st.sampled_from(
    [
        *(f"%{alias}" for alias in ALIASES),
        *SAMPLES,
        *("%{+Q}r", "%{+X}ci", "%{+E,+Q}ID", "%(a)ci", "%(b:str){+Q}[src]", "%{}ST"),
    ]
)
_WRITTEN_TEXT = st.lists(
    st.sampled_from([*"[]{}()/:,;=-é\"'|", "a", " ", "%%", "  ", "\\ ", "\\#", "\\\\"]), max_size=4
)


@settings(deadline=None)
@given(st.lists(st.tuples(_WRITTEN_VALUES, st.sampled_from(" /:|]-%"), _WRITTEN_TEXT), min_size=1, max_size=8))
def test_every_value_and_literal_is_told_in_order(pieces: list[tuple[str, str, list[str]]]) -> None:
    """Values and what is between them, each as it is written, and nothing else."""
    written = [text for value, sign, more in pieces for text in (value, sign.replace("%", "%%") + "".join(more))]
    items = explain("".join(written))["items"]
    assert [item["text"] for item in items] == written
    assert [item["alias"] is None for item in items] == [False, True] * len(pieces)


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS])
@pytest.mark.parametrize("as_json", [True, False])
def test_presets_are_explained_by_name(name: str, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001 -- pytest gives it
    """The same as their strings."""
    [preset] = [preset for preset in PRESETS if preset.name == name]
    explain_formats([name], as_json=as_json)
    told = capsys.readouterr().out
    if as_json:
        assert json.loads(told) == explain(preset.source)
    else:
        assert told.splitlines()[0] == preset.source


def _table(told: str) -> list[dict[str, str]]:
    """Read the table for people by the places of its columns."""
    source, empty, header, *rows = told.splitlines()
    assert (source.count("%") > 0, empty) == (True, "")
    columns = header.split()
    starts = [header.index(column) for column in columns]
    ends = [*starts[1:], None]
    cells = [*zip(columns, starts, ends, strict=True)]
    return [{name: row[start:end].strip() for name, start, end in cells} for row in rows[: rows.index("")]]


@pytest.mark.parametrize("source", ["%ci:%cp x %(host)[var(txn.host)] %hr %ft", *PLAIN[6:]])
def test_people_get_a_row_for_each_value(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In the format's order, with all that the object says of it."""
    explain_formats([source], as_json=False)
    table = _table(capsys.readouterr().out)
    items = [item for item in explain(source)["items"] if item["alias"]]
    assert len(table) == len(items) > 0
    for row, item in zip(table, items, strict=True):
        assert [*row] == ["text", "field", "kind", "label", "example", "meaning"]
        assert row == {key: item[key] or "" for key in row}


def test_people_are_told_of_all_fields_and_of_free_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the table: what else an item fills, and where its end is not plain."""
    explain_formats(["%ft %[var(txn.a)] %ST"], as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert "%ft: fields frontend_name, ssl" in told
    assert any(line.startswith("%[var(txn.a)]: may hold ' '") for line in told)


REFUSED = (
    ("%ci %zz", 4),
    ("%ci %cip", 4),
    ("%ci %", 4),
    ("% ci", 0),
    ("%ci %{+Q", 5),
    ("%ci %{+Q} x", 4),
    ("%ci %[src", 5),
    ("%ci %[]", 6),
    ("%ci %[str(a]", 9),
    ("%ci %[str('a)]", 9),
    ("%ci %(a b)ST", 5),
    ("%ci %(a:float)ST", 8),
    ("%ci %(a)", 4),
    ("%[var(txn.a)]%[var(txn.b)]", 13),
    ("%ST%B", 3),
    ("%{+cbor}o %(a)ci", 10),
    ("%ci %{+cbor}ST", 4),
    ("100 %%", 0),
    ("é %zz", 2),
    ("\t%zz", 1),
)


@pytest.mark.parametrize(("source", "place"), REFUSED)
def test_what_is_refused_shows_where(source: str, place: int) -> None:
    """The string stands there with a caret under the place."""
    with pytest.raises(UsageError) as refused:
        explain_formats([source], as_json=True)
    [message] = refused.value.messages
    _, shown, under = message.split("\n")
    assert shown == f"    {source}"
    assert under == f"    {''.join(char if char == chr(9) else ' ' for char in source[:place])}^"


def test_the_command_refuses_with_2() -> None:
    """Every mistake is told at once, nothing is explained, and an unknown name lists those there are."""
    told = run("explain", "--json", "%ci", "%ci %zz", "nonesuch", "%[src")
    problems = told.stderr.decode()
    assert (told.returncode, told.stdout) == (2, b"")
    assert "\n    %ci %zz\n        ^\n" in problems
    assert "\n    %[src\n     ^\n" in problems
    assert "no preset is named 'nonesuch'; there are httplog, " in problems
    assert run("explain").returncode == 2
