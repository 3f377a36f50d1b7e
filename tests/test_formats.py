import textwrap

import pytest

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.formats import Format, configured_formats, find_formats, with_former
from haproxy_log_exporter.haproxy_cfg import read_config
from haproxy_log_exporter.labels.reading import Slots
from haproxy_log_exporter.logformat.compiler import compile_format
from haproxy_log_exporter.logformat.presets import PRESETS

SOURCES = {preset.name: preset.source for preset in PRESETS}


def configured(text: str) -> tuple[Format, ...]:
    """Read the formats of a haproxy.cfg."""
    return configured_formats(read_config([("h.cfg", textwrap.dedent(text))], {}))


def told(formats: tuple[Format, ...] | list[Format]) -> list[tuple[str, str, str]]:
    """Tell formats by name, kind and string."""
    return [(each.name, each.kind, each.source) for each in formats]


# --- What is named ----------------------------------------------------------------------------------------------------


def test_without_any_all_presets_are_tried() -> None:
    """In the order in which they stand."""
    assert told(find_formats((), ())) == [(preset.name, preset.kind, preset.source) for preset in PRESETS]


def test_presets_have_names_and_strings_their_position() -> None:
    """The position is that among all, so that it tells the option's place."""
    assert told(find_formats(("%ci %ST", "tcplog", "%ci %ts"), ())) == [
        ("1", "http", "%ci %ST"),
        ("tcplog", "tcp", SOURCES["tcplog"]),
        ("3", "tcp", "%ci %ts"),
    ]


def test_every_mistake_is_told() -> None:
    """Names that are no preset are answered with those that are; strings are shown with a caret."""
    with pytest.raises(UsageError) as caught:
        find_formats(("nonesuch", "%ci %zz", "httplog", "%[src"), ())
    unknown, item, expression = caught.value.messages
    assert unknown == f"--format: no preset is named 'nonesuch'; there are {', '.join(SOURCES)}"
    assert item.startswith("--format: log-format: unknown item %zz; ")
    assert expression.startswith("--format: log-format: this expression has no closing ']'")


# --- What haproxy.cfg sets --------------------------------------------------------------------------------------------

CONFIG = """
    defaults
        mode http
        option httplog
    frontend web
        capture request header Host len 50
        capture request header User-Agent len 50
    frontend api
        capture request header Host len 50
        capture response header Content-Type len 50
        log-format "%ci %ST \\"%[req.hdr(a)]\\\\\\""
    frontend ssh
        mode tcp
        option tcplog
"""


def test_the_formats_are_those_that_the_proxies_write() -> None:
    """Each once, with the kind of the proxy's lines, and that of connection errors, which all proxies write."""
    found = configured(CONFIG)
    assert told(found) == [
        ("httplog", "http", SOURCES["httplog"]),
        ("", "http", r'%ci %ST "%[req.hdr(a)]\\"'),
        ("tcplog", "tcp", SOURCES["tcplog"]),
        ("error", "error", SOURCES["error"]),
    ]


def test_each_format_knows_what_its_frontends_capture() -> None:
    """Those alone that write it; the connection errors' format knows all."""
    httplog, own, tcplog, error = configured(CONFIG)
    assert httplog.slots == Slots({"web": (("host", "user_agent"),)}, {"web": ((),)})
    assert own.slots == Slots({"api": (("host",),)}, {"api": (("content_type",),)})
    assert tcplog.slots == Slots({"ssh": ((),)}, {"ssh": ((),)})
    assert {*error.slots.request} == {"web", "api", "ssh"}


def test_a_string_of_haproxy_cfg_means_what_it_means_there() -> None:
    """Its quoting is undone once: a backslash that HAProxy writes is read as one."""
    own = configured(CONFIG)[1]
    rows = compile_format("x", own.kind, own.source).read(b'::1 200 "a b\\"\n')
    assert rows.lines == 1
    assert rows.columns[2] == [b"a b"]


def test_an_error_log_format_takes_the_place_of_the_fixed_one() -> None:
    """Where any proxy sets one; where it is that of the traffic, nothing tells the two apart."""
    text = """
        frontend web
            mode http
            log-format "%ci %ST"
            error-log-format "{}"
    """
    assert told(configured(text.format("%ci failed: %[fc_err_str]"))) == [
        ("", "http", "%ci %ST"),
        ("", "error", "%ci failed: %[fc_err_str]"),
    ]
    assert told(configured(text.format("%ci %ST"))) == [("", "http", "%ci %ST"), ("error", "error", SOURCES["error"])]


ALIKE = """
    defaults
        log-format "{}"
    frontend web
        mode http
    frontend api
        mode http
    frontend ssh
        mode tcp
"""


def test_formats_that_are_written_alike_are_told_apart_by_the_frontend() -> None:
    """The same string is of HTTP in one frontend and of TCP in another; each has its own frontends' captures."""
    http, tcp, error = configured(ALIKE.format("%ci %f %Tt"))
    assert told((http, tcp)) == [("", "http", "%ci %f %Tt"), ("", "tcp", "%ci %f %Tt")]
    assert (http.frontends, tcp.frontends, error.frontends) == (("web", "api"), ("ssh",), ())
    assert ({*http.slots.request}, {*tcp.slots.request}) == ({"web", "api"}, {"ssh"})
    names = [each.name for each in find_formats((), (http, tcp, error))]
    assert names == ["1", "1", "error"], "it is one string"


def test_formats_that_are_written_alike_and_name_no_frontend_are_one() -> None:
    """What it prints tells the kind then."""
    for source, kind in (("%ci %Tt", "tcp"), ("%ci %[status] %Tt", "http")):
        one, error = configured(ALIKE.format(source))
        assert (one.kind, one.frontends, error.kind) == (kind, (), "error")
        assert {*one.slots.request} == {"web", "api", "ssh"}


def test_without_a_proxy_nothing_is_logged() -> None:
    """A file of global and backends alone is the wrong one."""
    with pytest.raises(UsageError, match="--haproxy-config: there is no frontend and no listen"):
        configured("global\n    log /dev/log local0\nbackend bk\n    server s1 127.0.0.1:80\n")


def test_a_proxy_without_a_format_writes_connects() -> None:
    """As HAProxy does by default."""
    assert told(configured("frontend web\n    mode http\n")) == [
        ("connect", "connect", SOURCES["connect"]),
        ("error", "error", SOURCES["error"]),
    ]


def test_each_log_format_that_cannot_be_read_is_told_with_its_place() -> None:
    """All of them, each once, however many proxies inherit it."""
    with pytest.raises(UsageError) as caught:
        configured("""
            defaults
                mode http
                log-format "%ci%cp"
            frontend a
            frontend b
            frontend c
                log-format "%{+cbor}o %(a)ci"
        """)
    first, second = caught.value.messages
    assert first.startswith("h.cfg:4: log-format: nothing tells where %ci ends and %cp begins")
    assert second.startswith("h.cfg:8: log-format: +cbor writes bytes that are no lines")


def test_formats_of_haproxy_cfg_are_numbered_with_the_others() -> None:
    """What is named as well has what the frontends capture."""
    found = find_formats(("%ci %ts", "httplog"), configured(CONFIG))
    assert [each.name for each in found] == ["1", "httplog", "3", "tcplog", "error"]
    assert {*found[1].slots.request} == {"web"}


# --- What was in use before -------------------------------------------------------------------------------------------


def test_former_formats_are_added_behind() -> None:
    """What is the same is there once, with what the frontends capture now."""
    now = (Format("", "http", "%ci %ST", Slots({"web": (("host",),)})), Format("tcplog", "tcp", SOURCES["tcplog"]))
    before = (Format("", "http", "%ci %ST"), Format("", "http", "%cp %ST"), Format("error", "error", SOURCES["error"]))
    assert with_former(now, before) == (*now, *before[1:])
    assert with_former(now, now) == now
    assert with_former(now, ()) == now


def test_a_format_that_is_of_another_kind_now_is_what_it_is_now() -> None:
    """Nothing tells the old lines from the new ones, and there will be no more old ones soon."""
    now, before = (Format("", "tcp", "%ci %Tt"),), (Format("", "http", "%ci %Tt"),)
    assert told(find_formats((), with_former(now, before))) == [("1", "tcp", "%ci %Tt")]
