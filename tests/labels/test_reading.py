import pytest

from haproxy_log_exporter.labels.catalogue import Fillable, Label, find_labels
from haproxy_log_exporter.labels.reading import LabelReader, Slots
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.reader import Reader

BLOCKS = "%ft %hr %hs %ST"
SAMPLES = "%f %[capture.req.hdr(0)];%[capture.req.hdr(1)];%[capture.res.hdr(0)] %ST"

# Of three frontends: `web` captures two headers, `api` the same in another order, and `old` another one.
SLOTS = Slots(
    {"web": (("host", "user_agent"),), "api": (("user_agent", "", "host"),), "old": (("referer",),)},
    {"web": (("content_type",),), "api": ((),), "old": (("age", "content_type"),)},
)


def find(name: str, reader: Reader, slots: Slots) -> Label:
    """Look up one label that a format can fill."""
    (label,) = find_labels([name], Fillable(reader.fields, reader.names, slots.headers()))
    return label


def read(source: str, name: str, line: str, slots: Slots | None = None) -> str:
    """Read a label from a line, by its fields alone."""
    reader = compile_format("x", "http", source)
    label_reader = LabelReader(find(name, reader, slots or Slots()), reader, slots or Slots())
    rows = reader.read(f"{line}\n".encode())
    assert rows.lines == 1, line
    values = dict(zip((group[0] for group in reader.groups), (column[0] for column in rows.columns), strict=True))
    return label_reader.read({field: values[field] for field in label_reader.fields})


def fields_of(source: str, name: str, slots: Slots) -> tuple[str, ...]:
    """Tell which fields of a format a label is read from."""
    reader = compile_format("x", "http", source)
    return LabelReader(find(name, reader, slots), reader, slots).fields


# --- Labels that are fields -------------------------------------------------------------------------------------------


def test_a_label_is_read_from_its_field_as_the_format_writes_it() -> None:
    """Quotes, escapes, JSON and hexadecimal numbers are undone, so that labels do not depend on flags."""
    for source, line in (
        ("%ci %b %ST", "127.0.0.1 a]b 200"),
        ("%ci %{+Q}b %ST", '127.0.0.1 "a]b" 200'),
        (r"%{+X}ci \"%{+E}b\" %ST", r'7F000001 "a\]b" 200'),
        ("%{+json}o %(a)ci %(c)b %(d)ST", '{"a": "127.0.0.1", "c": "a]b", "d": 200}'),
    ):
        assert read(source, "client_ip", line) == "127.0.0.1", source
        assert read(source, "backend_name", line) == "a]b", source
        assert read(source, "status_code", line) == "200", source
        assert read(source, "status_class", line) == "2xx", source


@pytest.mark.parametrize("source", ["%b %ST", "%{+Q}b %ST", "%{+json}o %(b)b %(s)ST"])
def test_an_empty_value_is_the_empty_string_however_it_is_written(source: str) -> None:
    """A dash, two quotes, null."""
    empty = {"%b %ST": "- 200", "%{+Q}b %ST": '"" 200'}.get(source, '{"b": null, "s": 200}')
    assert read(source, "backend_name", empty) == ""


def test_a_label_is_read_from_the_field_that_a_format_gives_its_name() -> None:
    """The same name may mean another field in another format, and in a third there is none."""
    one, two, three = (
        compile_format("x", "http", source)
        for source in ("%(client)ci %ST", "%(client)[src,ipmask(24)] %ST", "%(other)ci %ST")
    )
    label = find("client", two, Slots())
    assert LabelReader(label, one, Slots()).fields == ("client_ip",)
    assert LabelReader(label, two, Slots()).fields == ("client",)
    assert LabelReader(label, three, Slots()).fields == ()


@pytest.mark.parametrize("first", [0, 1])
def test_a_name_is_its_own_field_in_each_format(first: int) -> None:
    """What one format calls its field does not hide the field of that name in another one."""
    sources = ("%(client)ci %ST", "%(client)[src,ipmask(24)] %ST")
    readers = [compile_format("x", "http", sources[index]) for index in (first, 1 - first)]
    names = {name: field for reader in readers for name, field in reader.names.items()}
    fields = frozenset[str]().union(*(reader.fields for reader in readers))
    (label,) = find_labels(["client"], Fillable(fields, names, set()))
    found = {LabelReader(label, reader, Slots()).fields for reader in readers}
    assert found == {("client_ip",), ("client",)}


def test_a_format_without_the_field_has_the_label_empty() -> None:
    """Nothing is taken from such a format's lines."""
    reader = compile_format("x", "http", "%ci %ST")
    (label,) = find_labels(["backend_name"], Fillable({"backend_name"}, {}, set()))
    label_reader = LabelReader(label, reader, Slots())
    assert label_reader.fields == ()
    assert label_reader.read({}) == ""


# --- Headers by their place -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (BLOCKS, "web {a|b c} {d} 200"),
        (SAMPLES, "web a;b c;d 200"),
        ("%f %{+Q}hrl | %{+Q}hsl %ST", 'web "a" "b c" | "d" 200'),
        ("%{+json}o %(f)f %(q)hrl %(s)hsl", '{"f": "web", "q": ["a", "b c"], "s": ["d"]}'),
        ("%(host)[capture.req.hdr(0)] %ST %hr %hs", "a 200 {a|b c} {d}"),
    ],
)
def test_a_header_is_had_by_its_place_in_every_way_that_headers_are_written(source: str, line: str) -> None:
    """Blocks, lists and samples number the same slots."""
    expected = {"request_header_1": "a", "request_header_2": "b c", "response_header_1": "d"}
    assert {name: read(source, name, line) for name in expected} == expected


def test_a_sample_of_a_slot_is_enough_for_its_label() -> None:
    """Only the columns that are needed are asked for; a list has the headers of all places."""
    slots = Slots()
    assert fields_of(SAMPLES, "request_header_2", slots) == ("request_header_2",)
    assert fields_of(BLOCKS, "request_header_2", slots) == ("request_headers",)
    for place in (1, 2):
        assert fields_of("%hr %[capture.req.hdr(0)] %ST", f"request_header_{place}", slots) == ("request_headers",)


# --- Headers by their name, as haproxy.cfg gives it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frontend", "label", "expected"),
    [
        ("web", "request_header_host", "1"),
        ("web~", "request_header_host", "1"),
        ("web", "request_header_user_agent", "2"),
        ("api", "request_header_host", "3"),
        ("api~", "request_header_user_agent", "1"),
        ("old", "request_header_host", ""),
        ("old", "request_header_referer", "1"),
        ("web", "request_header_referer", ""),
        ("unknown", "request_header_host", ""),
        ("web", "response_header_content_type", "4"),
        ("api", "response_header_content_type", ""),
        ("old", "response_header_content_type", "5"),
        ("old", "response_header_age", "4"),
    ],
)
def test_a_header_is_read_where_the_lines_frontend_captures_it(frontend: str, label: str, expected: str) -> None:
    """Each frontend numbers its slots itself; where it does not capture the header, the label is empty."""
    assert read(BLOCKS, label, f"{frontend} {{1|2|3}} {{4|5}} 200", SLOTS) == expected


@pytest.mark.parametrize(
    ("frontend", "label", "expected"),
    [
        ("web", "request_header_host", "1"),
        ("web", "request_header_user_agent", "2"),
        ("api", "request_header_user_agent", "1"),
        ("api", "request_header_host", ""),
        ("web", "response_header_content_type", "4"),
        ("old", "response_header_content_type", ""),
        ("old", "response_header_age", "4"),
    ],
)
def test_a_header_that_a_sample_prints_is_read_by_name(frontend: str, label: str, expected: str) -> None:
    """capture.req.hdr(N) prints the slot, whatever the frontend calls it; a slot that is not printed is empty."""
    assert read(SAMPLES, label, f"{frontend} 1;2;4 200", SLOTS) == expected


def test_a_header_by_name_needs_the_frontend() -> None:
    """The frontend's column is asked for beside the headers', and only by such labels."""
    assert fields_of(BLOCKS, "request_header_host", SLOTS) == ("frontend_name", "request_headers")
    assert fields_of(SAMPLES, "request_header_user_agent", SLOTS) == (
        *("frontend_name", "request_header_1", "request_header_2"),
    )
    assert fields_of(BLOCKS, "request_header_1", SLOTS) == ("request_headers",)
    assert fields_of("%f %ST", "request_header_host", SLOTS) == (), "which prints no header"


def test_a_frontend_whose_orders_agree_on_a_header_has_it() -> None:
    """The arms of an `.if` may put other headers elsewhere."""
    slots = Slots({"web": (("host", "referer"), ("host", "accept", "referer"))})
    line = "web {1|2|3} 200"
    assert read(BLOCKS, "request_header_host", line, slots) == "1"
    assert read(BLOCKS, "request_header_referer", line, slots) == "", "at one of two places: nobody knows which"
    assert read(BLOCKS, "request_header_accept", line, slots) == "", "at a place in one arm alone"


def test_a_frontend_without_any_known_order_has_no_header_by_name() -> None:
    """There are none where the arms of its `.if` make too many combinations."""
    slots = Slots({"web": (), "api": (("host",),)})
    assert read(BLOCKS, "request_header_host", "web {1} 200", slots) == ""
    assert read(BLOCKS, "request_header_host", "api {1} 200", slots) == "1"
    assert read(BLOCKS, "request_header_1", "web {1} 200", slots) == "1"


def test_a_slot_without_a_name_has_its_place_all_the_same() -> None:
    """`declare capture` makes a slot that no header names."""
    slots = Slots({"web": (("", "host"),)})
    assert slots.headers() == {"request_header_host"}
    assert read(BLOCKS, "request_header_host", "web {1|2} 200", slots) == "2"


def test_a_format_that_names_no_frontend_has_the_headers_that_all_capture_at_one_place() -> None:
    """Of others nobody can tell where they stand."""
    slots = Slots({"web": (("host", "referer"),), "api": (("host", "accept", "referer"),)})
    assert read("%hr %ST", "request_header_host", "{1|2|3} 200", slots) == "1"
    assert read("%hr %ST", "request_header_referer", "{1|2|3} 200", slots) == ""
    assert read("%hr %ST", "request_header_accept", "{1|2|3} 200", slots) == ""
    assert read("%[capture.req.hdr(0)] %ST", "request_header_host", "1 200", slots) == "1"


def test_a_line_without_a_frontend_is_as_one_of_a_format_without_it() -> None:
    """An empty name is none."""
    slots = Slots({"web": (("host",),), "api": (("host",),)})
    assert read("%{+Q}f %hr %ST", "request_header_host", '"" {1} 200', slots) == "1"
    assert read("%f %hr %ST", "request_header_host", "- {1} 200", slots) == "1"


def test_headers_are_missing_from_a_line_without_them() -> None:
    """<BADREQ> lines have no block, whatever the frontend captures."""
    assert read(BLOCKS, "request_header_host", "web 400", SLOTS) == ""
    assert read(SAMPLES, "request_header_host", "web -;-;- 400", SLOTS) == ""


def test_a_frontends_name_may_be_any_text() -> None:
    """It is compared as it was read: quotes undone, TLS's sign cut off, bytes that are no UTF-8 replaced."""
    slots = Slots({"a b": (("host",),), "w]b": (("", "host"),), "caf\ufffd": (("", "", "host"),)})
    assert read("%{+Q}f %hr %ST", "request_header_host", '"a b" {1|2|3} 200', slots) == "1"
    assert read('"%{+E}f" %hr %ST', "request_header_host", r'"w\]b" {1|2|3} 200', slots) == "2"
    assert read("%f %hr %ST", "request_header_host", "café {1|2|3} 200".replace("é", "\ufffd"), slots) == "3"


# --- Slots ------------------------------------------------------------------------------------------------------------


def test_slots_list_the_labels_of_all_headers() -> None:
    """Requests' and responses', of every frontend and every order, each once."""
    assert SLOTS.headers() == {
        "request_header_host",
        "request_header_user_agent",
        "request_header_referer",
        "response_header_content_type",
        "response_header_age",
    }
    assert Slots().headers() == set()


def test_slots_tell_the_place_in_each_frontend() -> None:
    """Counted from 1; 0 where the frontend has no such header, or at more than one place."""
    two = Slots({"web": (("a", "b"), ("b", "a")), "api": (("a",), ("a", "b"))})
    reader = compile_format("x", "http", BLOCKS)
    assert SLOTS.places(find("request_header_host", reader, SLOTS)) == {"web": 1, "api": 3, "old": 0}
    assert SLOTS.places(find("response_header_content_type", reader, SLOTS)) == {"web": 1, "api": 0, "old": 2}
    assert two.places(find("request_header_a", reader, two)) == {"web": 0, "api": 1}
    assert two.places(find("request_header_b", reader, two)) == {"web": 0, "api": 0}
