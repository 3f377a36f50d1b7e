"""What cannot be read: told with its place and what would be right, and refused by the real HAProxy too."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import read_config
from haproxy_log_exporter.haproxy_cfg.reader import MOST_MISTAKES
from tests.haproxy_cfg import FIXTURES, check, complaints, read
from tests.support import need

# A text, and what is told of it.
MISTAKES = {
    'frontend f\n log-format "%ci\n': """\
        h.cfg:2: this " is not closed on its line
             log-format "%ci
                        ^""",
    "frontend f\n\tlog-format\t'%ci\r\n": """\
        h.cfg:2: this ' is not closed on its line
             log-format '%ci
                        ^""",
    r"defaults" + "\n" + r" error-log-format a\x4" + "\n": """\
        h.cfg:2: \\x needs two hexadecimal digits; a backslash itself is \\\\
             error-log-format a\\x4
                               ^""",
    'listen l\n log-format "${A"\n': """\
        h.cfg:2: this ${ is not closed; it is ${NAME} or ${NAME-DEFAULT}
             log-format "${A"
                          ^""",
    'frontend f\n option httplog "$5"\n': """\
        h.cfg:2: $ asks for a variable, and this is no name; a $ itself is \\$
             option httplog "$5"
                              ^""",
    'frontend "f\n': """\
        h.cfg:1: this " is not closed on its line
            frontend "f
                     ^""",
    'global\n setenv A "%ci\n': """\
        h.cfg:2: this " is not closed on its line
             setenv A "%ci
                      ^""",
    ".else\n": "h.cfg:1: there is no .if before this .else",
    ".elif 1\n": "h.cfg:1: there is no .if before this .elif",
    ".endif\n": "h.cfg:1: there is no .if before this .endif",
    ".if 1\n.if 1\n.endif\nfrontend f\n": "h.cfg:1: this .if has no .endif in its file",
    ".if 0\n.else\n.elif 1\n.endif\n": "h.cfg:3: no .elif may follow the .else of the .if at h.cfg:1",
    ".if 0\n.else\n.else\n.endif\n": "h.cfg:3: no .else may follow the .else of the .if at h.cfg:1",
    "frontend\n": "h.cfg:1: frontend needs a name, as frontend NAME",
    "listen # web\n": "h.cfg:1: listen needs a name, as listen NAME",
    'frontend "$NAME"\n': (
        "h.cfg:1: frontend needs a name, as frontend NAME; empty here, as it is not set for the exporter: NAME"
    ),
    "frontend f from d\n": "h.cfg:1: there is no defaults section d; none with a name stands before it",
    "defaults a\ndefaults b\ndefaults c from d\n": (
        "h.cfg:3: there is no defaults section d; those before it are a, b"
    ),
    "frontend f\n log-format\n": (
        "h.cfg:2: log-format has no format behind it; it is one word, in quotes if it holds blanks"
    ),
    'frontend f\n log-format "$FORMAT" # a\n': (
        "h.cfg:2: log-format has no format behind it; it is one word, in quotes if it holds blanks;"
        " empty here, as it is not set for the exporter: FORMAT"
    ),
    "frontend f\n log-format %ci %cp %ST\n": (
        "h.cfg:2: log-format has 3 words behind it, and must have one;"
        " a format with blanks needs quotes around it, or a backslash before each blank"
    ),
    'defaults\n error-log-format "%ci" "%cp"\n': (
        "h.cfg:2: error-log-format has 2 words behind it, and must have one;"
        " a format with blanks needs quotes around it, or a backslash before each blank"
    ),
    "frontend f\n option httplog json\n": (
        "h.cfg:2: option httplog may be followed by clf and by nothing else, not by json"
    ),
    "frontend f\n option httplog clf x\n": (
        "h.cfg:2: option httplog may be followed by clf and by nothing else, not by clf x"
    ),
    "frontend f\n capture request header A\n": (
        "h.cfg:2: capture is: capture request header NAME len LENGTH, or with response"
    ),
    "frontend f\n capture response A len 10\n": (
        "h.cfg:2: capture is: capture request header NAME len LENGTH, or with response"
    ),
    "frontend f\n declare capture header len 10\n": (
        "h.cfg:2: declare is: declare capture request len LENGTH, or with response"
    ),
    "frontend f\n http-request capture hdr(A) if { path / }\n": (
        "h.cfg:2: a capture rule is: capture SAMPLE len LENGTH or id SLOT, with the sample's blanks quoted"
    ),
    "frontend f\n http-request capture hdr(A) if { path -m len 5 }\n": (
        "h.cfg:2: a capture rule is: capture SAMPLE len LENGTH or id SLOT, with the sample's blanks quoted"
    ),
    "frontend f\n declare capture request len 9\n http-request capture hdr(A) id one\n": (
        "h.cfg:3: a capture rule is: capture SAMPLE len LENGTH or id SLOT, with the sample's blanks quoted"
    ),
    "frontend f\n http-response capture res.hdr(A) len 10\n": (
        "h.cfg:2: a capture rule is: capture SAMPLE id SLOT, with the sample's blanks quoted"
    ),
    "frontend f\n tcp-request content capture req.len id 0\n": (
        "h.cfg:2: a capture rule is: capture SAMPLE len LENGTH, with the sample's blanks quoted"
    ),
}


def _messages(*texts: str, **environment: str) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        read(*texts, **environment)
    return caught.value.messages


@pytest.mark.parametrize("text", MISTAKES)
def test_tells_the_place_and_what_would_be_right(text: str) -> None:
    """One mistake, one message."""
    assert _messages(text) == (textwrap.dedent(MISTAKES[text]),)


@pytest.mark.parametrize("text", MISTAKES)
def test_real_haproxy_refuses_it_too(text: str, tmp_path: Path) -> None:
    """Nothing is refused that works."""
    need("haproxy")
    file = tmp_path / "h.cfg"
    file.write_bytes(text.encode())
    status, said = check(file)
    assert status == 1, said
    place = int(MISTAKES[text].strip().split(":")[1])
    if "has no .endif" in MISTAKES[text]:
        assert "non-terminated '.if' block" in said  # at the end of the file, where it was seen
    else:
        assert place in complaints(said, file), said


def test_tells_every_mistake_at_once() -> None:
    """Of all files, in their order."""
    first = "frontend\n log-format a b\n.if 1\nfrontend f\n log-format a b\n.if 2\n"
    second = '.endif\nlisten l from d\n log-format "\n option tcplog x\n'
    places = [":".join(message.split(":")[:2]) for message in _messages(first, second)]
    assert places == ["1.cfg:1", "1.cfg:5", "1.cfg:3", "1.cfg:6", "2.cfg:1", "2.cfg:2", "2.cfg:3", "2.cfg:4"]


def test_tells_a_mistake_once() -> None:
    """Also where its line may belong to several sections."""
    text = """\
        .if b
        frontend b
        .else
        frontend c
        .endif
            log-format %ci "a b" %cp
        """
    (message,) = _messages(text)
    assert message.startswith("h.cfg:6: log-format has 3 words")


def test_tells_so_many_mistakes_and_no_more() -> None:
    """A file that is none fills no screens."""
    messages = _messages("frontend\n" * (MOST_MISTAKES + 7))
    assert len(messages) == MOST_MISTAKES + 1
    assert messages[-1] == "and 7 more mistakes"


def test_what_does_not_concern_logging_may_be_wrong() -> None:
    """Quotes that are not closed, words that nobody knows: HAProxy's matter."""
    text = """\
        global
            description "unclosed
        frontend f
            acl a path_reg \\x
            http-request set-header X "a
            http-request deny if { path "/capture }
            nonsense 'a
            mode
            default
            no
            log
            option
            option httpchk GET "/
            log-format "%ci"
        backend
            log-format "
        """
    assert [each.source for each in read(text).proxies[0].formats] == ["%ci"]


_PIECES = [
    *("frontend", "listen", "defaults", "global", "backend", "from", "f", "d", "log-format", "error-log-format"),
    *("mode", "http", "option", "httplog", "tcplog", "httpslog", "clf", "no", "default", "capture", "request"),
    *("response", "header", "len", "id", "0", "1", "declare", "http-request", "http-response", "tcp-request"),
    *("content", "req.hdr(A)", ".if", ".elif", ".else", ".endif", "setenv", "presetenv", "unsetenv", "resetenv"),
    *("backend", "default_backend", "use_backend", "server", "server-template", "1-3", "%[path]", '"s$B"'),
    *('"$A"', '"${A[*]}"', '"${B-%ci}"', "'", '"', "\\", "\\x4", "#", "[", "\r", "\x00", "\n", "\n", "\n", "\n"),
    *("log-profile", "log-format-sd", "%ci", "\ud800".encode("utf-8", "replace").decode(), "é", "\udcff"),
]


@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.lists(st.sampled_from(_PIECES)).map(" ".join) | st.text()),
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(["A", "B", "HAPROXY_TCP_LOG_FMT"]), st.text()),
)
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_told_of(files: list[tuple[str, str]], environment: dict[str, str]) -> None:
    """Never anything but a configuration or a message."""
    _assert_read_or_told_of(files, environment)


@given(st.sampled_from(sorted(FIXTURES.glob("*.cfg"))), st.data())
@settings(deadline=None, max_examples=100)
def test_a_damaged_fixture_is_read_or_told_of(file: Path, data: st.DataObject) -> None:
    """Real files with something cut out and something put in."""
    text = file.read_bytes().decode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    damaged = text[:start] + data.draw(st.sampled_from(_PIECES) | st.text(max_size=5)) + text[end:]
    _assert_read_or_told_of([("h.cfg", damaged)], {})


def _assert_read_or_told_of(files: list[tuple[str, str]], environment: dict[str, str]) -> None:
    """Each proxy has a format, each format is either a preset or a string, and each route has its names."""
    try:
        config = read_config(files, environment)
    except UsageError:
        return
    for proxy in config.proxies:
        assert proxy.section in {"frontend", "listen"}
        assert proxy.name
        assert proxy.formats
        assert all(bool(each.preset) != bool(each.source) for each in proxy.formats)
        assert len({(each.kind, each.preset, each.source) for each in proxy.formats}) == len(proxy.formats)
        assert len(set(proxy.captures)) == len(proxy.captures)
    names = {proxy.name for proxy in config.proxies}
    assert len(set(config.routes)) == len(config.routes)
    for route in config.routes:
        assert route.frontend in names
        assert route.kind in {"http", "tcp"}
        assert route.backend
        assert route.server
