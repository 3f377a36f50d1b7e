"""Which settings a proxy has, which it inherits, and which of several counts."""

from collections.abc import Mapping

import pytest

from haproxy_log_exporter.haproxy_cfg import Proxy, ProxyFormat, read_config
from haproxy_log_exporter.logformat.presets import PRESETS
from tests.haproxy_cfg import read, show, show_all

_SOURCES = {preset.name: preset.source for preset in PRESETS}


def _only(*texts: str) -> Proxy:
    (proxy,) = read(*texts).proxies
    return proxy


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("option httplog", "http httplog"),
        ("option httplog clf", "http httplog-clf"),
        ("option httpslog", "http httpslog"),
        ("option httpslog whatever", "http httpslog"),
        ("option tcplog", "tcp tcplog"),
        ("option tcplog clf", "tcp tcplog-clf"),
        ('log-format "%ci %ST"', "http '%ci %ST'"),
        ("log-format httplog", "http 'httplog'"),
        ("option logasap", "connect connect"),
        ("unique-id-format %ci", "connect connect"),
    ],
)
def test_reads_each_way_to_set_a_format(line: str, found: str) -> None:
    """In mode http, where all of them are what they say."""
    number = 1 if "connect" in found else 3
    assert show(_only(f"frontend f\n mode http\n {line}\n")) == ["frontend f http", f"{number}: {found}"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("option httplog", ["tcp tcplog"]),
        ("option httpslog", ["tcp tcplog"]),
        ("option httplog clf", ["tcp tcplog", "tcp tcplog-clf"]),  # up to version 3.0, and from then on
        ("option tcplog", ["tcp tcplog"]),
        ('log-format "%ci %ST"', ["tcp '%ci %ST'"]),
    ],
)
def test_falls_back_outside_of_mode_http(line: str, found: list[str]) -> None:
    """The options for HTTP mean those for TCP there; strings stay as they are."""
    assert show(_only(f"frontend f\n {line}\n")) == ["frontend f tcp", *(f"2: {each}" for each in found)]


@pytest.mark.parametrize("mode", ["http", "tcp"])
@pytest.mark.parametrize("name", ["httplog", "httpslog", "httplog-clf", "tcplog", "tcplog-clf"])
def test_knows_a_string_that_is_a_preset(name: str, mode: str) -> None:
    """Whatever the mode: a string is written as it is."""
    quoted = _SOURCES[name].replace("\\", "\\\\").replace('"', '\\"')
    (found,) = _only(f'frontend f\n mode {mode}\n log-format "{quoted}"\n').formats
    assert found == ProxyFormat(name.partition("log")[0].removesuffix("s"), name, "", "h.cfg:3")


def test_the_last_of_several_counts() -> None:
    """Of one section as of the defaults and the section."""
    text = """\
        defaults
            mode http
            option httplog
            log-format "%ci"
            error-log-format "e1"
            error-log-format "e2"
        frontend a
        frontend b
            option tcplog
            option httplog clf
            error-log-format "e3"
        frontend c
            mode tcp
            mode http
        """
    assert show_all(read(text)) == [
        *("frontend a http", "4: http '%ci'", "6: error 'e2'"),
        *("frontend b http", "10: http httplog-clf", "11: error 'e3'"),
        *("frontend c http", "4: http '%ci'", "6: error 'e2'"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '"frontend" f\n "option" \'httplog\' clf\n',
        "'frontend' \"f\"\n o'ption' ht\"tplog\" c\\x6cf\n",
        '\\x66rontend f\n "no" log\n ".if" 1\n \\x6fption httplog clf\n \'.else\'\n option httplog clf\n .endif\n',
    ],
)
def test_keywords_may_be_quoted(text: str) -> None:
    """For HAProxy they are words as all others."""
    assert [found.preset for found in _only(f"defaults\n mode http\n{text}").formats] == ["httplog-clf"]


def test_the_mode_counts_wherever_it_stands() -> None:
    """Also where it follows the format."""
    assert show(_only("frontend f\n option httplog\n mode http\n"))[1] == "2: http httplog"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("no option httplog", "connect connect"),
        ("default option httplog", "connect connect"),
        ("no option tcplog", "http httplog"),
        ("no log-format", "http httplog"),
        ("no option dontlognull", "http httplog"),
        ("no log", "http httplog"),
        ("log-format %ci\n no option httplog", "http '%ci'"),
        ("log-format %ci\n no log-format", "connect connect"),
        ("option httplog clf\n no option httplog", "connect connect"),
        ("error-log-format e\n no error-log-format", "http httplog"),
    ],
)
def test_no_unsets_what_it_names(lines: str, found: str) -> None:
    """HAProxy refuses most of these; there is only one thing that they can mean."""
    proxy = _only(f"defaults\n mode http\n option httplog\nfrontend f\n {lines}\n")
    assert [line.partition(": ")[2] for line in show(proxy)[1:]] == [found]


def test_a_proxy_inherits_from_the_last_defaults_or_the_named_ones() -> None:
    """Named or not, the last defaults section before it; with `from`, that one, wherever it stands before."""
    text = """\
        frontend before
        defaults one
            mode http
            option httplog
            http-request capture req.hdr(A) len 3
        frontend last-is-named
            capture request header B len 3
        defaults two from one
            option httpslog
        defaults from two
            error-log-format "e"
        frontend last-is-from
        frontend from-one from one
            capture response header C len 3
        listen anew-below
        defaults
        frontend anew
        """
    assert show_all(read(text)) == [
        *("frontend before tcp", "1: connect connect"),
        *("frontend last-is-named http", "4: http httplog", "{a|b} {}"),
        *("frontend last-is-from http", "9: http httpslog", "11: error 'e'", "{a} {}"),
        *("frontend from-one http", "4: http httplog", "{a} {c}"),
        *("listen anew-below http", "9: http httpslog", "11: error 'e'", "{a} {}"),
        *("frontend anew tcp", "17: connect connect"),
    ]


def test_sections_that_do_not_log_are_skipped() -> None:
    """Each line of theirs, whatever is wrong with it."""
    skipped = ["backend b", "peers p", "userlist u", "ring r", "log-forward l", "cache c", "fcgi-app a", "program p"]
    text = "defaults\n mode http\nlisten l\n option httplog\n" + "".join(
        f'{section}\n log-format\n log-format a b\n option httplog x\n mode tcp\n log-format "a\n capture x\n'
        for section in (*skipped, "backend", "backend b from nowhere", "global")
    )
    assert show_all(read(text)) == ["listen l http", "4: http httplog"]


def test_files_are_read_as_one() -> None:
    """Defaults hold on in the next file, a section does not."""
    first = 'global\n setenv MARK "m"\ndefaults named\n mode http\n log-format "$MARK %ci"\nfrontend a\n'
    second = " option httplog\nfrontend b from named\nfrontend c\n option httplog\n"
    config = read(first, second)
    assert show_all(config) == [
        *("frontend a http", "5: http 'm %ci'"),
        *("frontend b http", "5: http 'm %ci'"),
        *("frontend c http", "4: http httplog"),
    ]
    assert [proxy.formats[0].place for proxy in config.proxies] == ["1.cfg:5", "1.cfg:5", "2.cfg:4"]


def test_nothing_gives_nothing() -> None:
    """No file, an empty file, only comments and scopes."""
    assert read_config([], {}).proxies == ()
    assert read("").proxies == ()
    assert read("# frontend a\n[scope]\n\n \t\r\n").proxies == ()


def test_old_ways_to_begin_a_section_are_read() -> None:
    """An address behind the name, as up to version 1.6."""
    assert show(_only("listen web 0.0.0.0:80\n option tcplog\n")) == ["listen web tcp", "2: tcp tcplog"]


@pytest.mark.parametrize(
    ("text", "environment", "source"),
    [
        ('log-format "$A"', {"A": "%ci"}, "%ci"),
        ('log-format "${A-%cp}"', {}, "%cp"),
        ('log-format "${A}%ST"', {"A": ""}, "%ST"),
        ("log-format '$A'", {"A": "%ci"}, "$A"),
        ("log-format $A", {"A": "%ci"}, "$A"),
        ('log-format "${.FILE} ${.LINE} ${.SECTION}"', {}, "h.cfg 12 f"),
    ],
)
def test_variables_come_from_the_environment(text: str, environment: Mapping[str, str], source: str) -> None:
    """In double quotes only."""
    (proxy,) = read("\n" * 10 + f"frontend f\n {text}\n", **environment).proxies
    assert proxy.formats[0].source == source


def test_variables_are_set_in_global_from_there_on() -> None:
    """Nowhere else, and presetenv only where there is none."""
    text = """\
        frontend a
            log-format "[$OUTER][$INNER][$GIVEN]"
        global
            setenv OUTER outer
            setenv INNER "<$OUTER>"
            presetenv INNER never
            presetenv GIVEN never
            setenv ONLY
        frontend b
            log-format "[$OUTER][$INNER][$GIVEN]"
            setenv GIVEN never
        global
            unsetenv OUTER NONE
        frontend c
            log-format "[$OUTER][$INNER][$GIVEN]"
        global
            resetenv GIVEN
        frontend d
            log-format "[$OUTER][$INNER][$GIVEN][${HAPROXY_TCP_LOG_FMT}]"
        """
    assert [proxy.formats[0].source for proxy in read(text, GIVEN="given").proxies] == [
        "[][][given]",
        "[outer][<outer>][given]",
        "[][<outer>][given]",
        "[][][given][]",
    ]


@pytest.mark.parametrize("name", ["httplog", "httplog-clf", "httpslog", "tcplog", "tcplog-clf"])
def test_haproxys_own_variables_hold_the_presets(name: str) -> None:
    """But the environment's come first: they are there for a HAProxy that sets none."""
    variable = f"HAPROXY_{name.upper().replace('LOG-CLF', '_CLF').replace('LOG', '')}_LOG_FMT"
    text = f'frontend f\n mode http\n log-format "${variable}"\nfrontend g\n log-format "${variable} %ci"\n'
    first, second = (proxy.formats[0] for proxy in read(text).proxies)
    assert first.preset == name
    assert second.source == f"{_SOURCES[name]} %ci"
    first, second = (proxy.formats[0] for proxy in read(text, **{variable: "%ST"}).proxies)
    assert (first.source, second.source) == ("%ST", "%ST %ci")


def test_tells_of_variables_that_only_haproxy_has() -> None:
    """In the lines that matter."""
    text = 'frontend f\n bind "$ADDRESS"\n log-format "%ci $A ${B} $A ${C-c}"\n'
    assert read(text).warnings == ("h.cfg:3: empty here, as it is not set for the exporter: A, B",)


def test_tells_what_is_not_read() -> None:
    """It may stand beside a format that is."""
    text = 'frontend f\n log-format-sd "[a b=\\"%ci\\"]"\n option tcplog\nlog-profile p\n on any format "%ci"\n'
    config = read(text)
    assert [": ".join(warning.split(": ")[:2]) for warning in config.warnings] == [
        "h.cfg:2: log-format-sd is not read",
        "h.cfg:4: log-profile is not read",
    ]
    assert show_all(config) == ["frontend f tcp", "3: tcp tcplog"]
