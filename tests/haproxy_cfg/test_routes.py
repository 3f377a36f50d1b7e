"""Which frontends, backends and servers the lines of a configuration can name."""

from pathlib import Path

import pytest

from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, Route
from haproxy_log_exporter.haproxy_cfg.routes import MOST_ROUTES
from tests.haproxy_cfg import FIXTURES, check, read, read_fixture, show_servers
from tests.support import need

# Two backends and a listen section, for the frontends of the tables below.
_BEHIND = "backend app|server a1 :1|server a2 :2|backend api|server i1 :1|listen own|option httplog|server o1 :1"
_OWN = ["own own/o1"]


def _lines(config: HAProxyConfig) -> list[str]:
    """Write the routes down."""
    return [f"{route.frontend} {route.kind} {route.backend}/{route.server}" for route in config.routes]


def _read(lines: str) -> HAProxyConfig:
    return read(lines.replace("|", "\n"))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("default_backend app", ["app/a1", "app/a2"]),
        ("use_backend api", ["api/i1"]),
        ("use_backend api if { path /api }", ["api/i1"]),
        ("use_backend api unless x", ["api/i1"]),
        ("use_backend own if x", ["own/o1"]),
        ("default_backend own", ["own/o1"]),
        ("default_backend app|use_backend api if x", ["api/i1", "app/a1", "app/a2"]),
        ("use_backend app if x|use_backend api if y|use_backend app if z", ["app/a1", "app/a2", "api/i1"]),
        ("default_backend api|use_backend api if x", ["api/i1"]),
        ("default_backend app|default_backend api", ["api/i1"]),
        ("use_backend nowhere if x|default_backend nowhere", []),
        ("use_backend %[req.hdr(x)]", []),
        ('use_backend "%[path,field(2,/)]" if x|default_backend api', ["api/i1"]),
        ("use_backend app%[nbsrv(app)]", []),
        ("use_backend|default_backend", []),
        ('use_backend "app', []),
        ('use_backend app if "|default_backend api', ["api/i1"]),
        ("server f1 :1", []),
        ("use-server a1 if x", []),
        ("use_backend web", []),
        ("", []),
    ],
)
def test_a_frontend_goes_to_the_backends_that_it_names(lines: str, found: list[str]) -> None:
    """To each server of theirs, in the order in which HAProxy asks: use_backend by use_backend, then the default."""
    config = _read(f"frontend web|option httplog|{lines}|{_BEHIND}")
    assert show_servers(config) == [*(f"web {each}" for each in found), *_OWN]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("server s1 127.0.0.1:80", ["s1"]),
        ("server s1 :1 backup|server s2 :2 disabled|server s3 :3 check weight 0", ["s1", "s2", "s3"]),
        ("server s2 :1|server s1 :1|server s2 :1", ["s2", "s1"]),
        ("default-server check inter 1s|server s1 :1", ["s1"]),
        ("""'server' "s1" :1|s\\x65rver s\\x32 :1""", ["s1", "s2"]),
        ("server s1 :1 # server s2|# server s3 :1", ["s1"]),
        ("server-template t 3 app.example:80 check", ["t1", "t2", "t3"]),
        ("server-template t 1 :1", ["t1"]),
        ("server-template t 2-4 :1", ["t2", "t3", "t4"]),
        ("server-template t- 0-1 :1", ["t-0", "t-1"]),
        ("server-template t 09-010 :1", ["t9", "t10"]),
        ("server-template t 2 :1|server s :1|server-template t 1-3 :1", ["t1", "t2", "s", "t3"]),
        ("server-template t 0 :1|server-template t 3-2 :1|server-template t -1 :1", []),
        ("server-template t many :1|server-template t|server-template", []),
        ("server-template t 99999999999999999999 :1", []),
        ("server|server s%1 :1|server 's1", []),
        ("no server s1 :1|dispatch 127.0.0.1:80|option transparent", []),
        ("stick-table type ip size 1|use-server s1 if x|use_backend other", []),
    ],
)
@pytest.mark.parametrize("keyword", ["backend", "listen"])
def test_a_backend_has_the_servers_that_it_names(keyword: str, lines: str, found: list[str]) -> None:
    """In their order, whether or not they take part now; those of a template by their numbers."""
    config = _read(f"backend other|server o1 :1|{keyword} b|{lines}|frontend web|option tcplog|default_backend b")
    assert [each for each in show_servers(config) if "web" in each] == [f"web b/{name}" for name in found]


def test_what_reaches_no_server_is_a_route() -> None:
    """Of the frontend itself, and of each of its backends; also of those without servers."""
    text = """\
        frontend web
            option tcplog
            use_backend empty if x
            default_backend app
        frontend alone
            option tcplog
        backend app
            server a1 :1
        backend empty
            dispatch :1
        backend unused
            server u1 :1
        listen own
            option tcplog
            server o1 :1
        """
    assert _lines(read(text)) == [
        *("web tcp web/<NOSRV>", "web tcp empty/<NOSRV>", "web tcp app/a1", "web tcp app/<NOSRV>"),
        *("alone tcp alone/<NOSRV>", "own tcp own/<NOSRV>", "own tcp own/o1"),
    ]


def test_a_listen_section_is_both() -> None:
    """Its own servers are its default; they are never used where it has a default_backend, says HAProxy."""
    text = """\
        listen one
            option tcplog
            server o1 :1
            use_backend two if x
        listen two
            option tcplog
            server t1 :1
            default_backend one
        listen three
            option tcplog
            server h1 :1
        .if a
            default_backend one
        .endif
        """
    assert show_servers(read(text)) == ["one two/t1", "one one/o1", "two one/o1", "three three/h1", "three one/o1"]
    assert "two tcp two/<NOSRV>" in _lines(read(text))


def test_a_frontend_and_a_backend_may_share_a_name() -> None:
    """What each says is its own."""
    text = """\
        frontend app
            option tcplog
            server never :1
            default_backend app
        backend app
            default_backend other
            use_backend other
            server a1 :1
        backend other
            server o1 :1
        frontend other
            option tcplog
        """
    assert _lines(read(text)) == ["app tcp app/<NOSRV>", "app tcp app/a1", "other tcp other/<NOSRV>"]


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        ("mode http|option httplog", ["http"]),
        ("mode http|option httplog|error-log-format e", ["http"]),
        ("option tcplog", ["tcp"]),
        ("mode http|option tcplog", ["tcp"]),
        ("mode tcp|option httplog clf|tcp-request content switch-mode http", ["tcp"]),
        ("mode http|log-format %ST", ["http"]),
        (".if a|mode http|.endif|log-format %ST", ["tcp", "http"]),
        (".if a|option tcplog|.else|option tcplog clf|.endif", ["tcp"]),
        ("mode http|.if a|option httplog|.endif", ["http"]),
        ("mode http", []),
        ("mode tcp|error-log-format e", []),
        ("mode http|option httplog|no log", ["http"]),
    ],
)
def test_the_kind_is_that_of_the_formats(lines: str, kinds: list[str]) -> None:
    """A frontend without a format writes only who connected, and errors have no server."""
    config = _read(f"frontend web|{lines}|default_backend app|backend app|mode http|server a1 :1")
    ends = ["web/<NOSRV>", "app/a1", "app/<NOSRV>"]
    assert _lines(config) == [f"web {kind} {end}" for kind in kinds for end in ends]


def test_default_backends_are_inherited() -> None:
    """From the last defaults section or the one that is named, until a section has its own; servers are not."""
    text = """\
        defaults one
            option tcplog
            default_backend b1
            server never :1
            use_backend b3
        frontend f1
        listen l1
            server never :1
        defaults two from one
            default_backend b2
        frontend f2
        frontend f3 from one
        frontend f4 from two
            default_backend b3
        defaults
            option tcplog
        frontend f5
        backend b1
            server s1 :1
        backend b2 from one
            server s2 :1
        backend b3
            server s3 :1
        """
    assert show_servers(read(text)) == ["f1 b1/s1", "l1 b1/s1", "f2 b2/s2", "f3 b1/s1", "f4 b3/s3"]


@pytest.mark.parametrize("section", ["peers p", "ring r", "resolvers x", "log-forward l", "fcgi-app a", "global"])
def test_servers_of_other_sections_are_none(section: str) -> None:
    """They are reached by other ways."""
    config = _read(f"frontend web|option tcplog|default_backend b|backend b|server s1 :1|{section}|server x :1")
    assert show_servers(config) == ["web b/s1"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (".if x|use_backend app|.else|use_backend api|.endif", ["app/a1", "app/a2", "api/i1"]),
        (".if x|.elif y|use_backend api|.endif", ["api/i1"]),
        (".if x|default_backend app|.elif y|default_backend api|.endif", ["app/a1", "app/a2", "api/i1"]),
        ("default_backend app|.if x|default_backend api|.endif", ["app/a1", "app/a2", "api/i1"]),
        (".if x|default_backend app|.endif|default_backend api", ["api/i1"]),
    ],
)
def test_every_arm_counts(lines: str, found: list[str]) -> None:
    """Of an `.if`; what a line replaces does not."""
    config = _read(f"frontend web|option tcplog|{lines}|{_BEHIND}")
    assert show_servers(config) == [*(f"web {each}" for each in found), *_OWN]


def test_a_server_may_belong_to_several_backends() -> None:
    """Behind an `.if` in whose arms they begin."""
    lines = ".if x|backend b1|server s1 :1|.else|backend b2|server s2 :1|.endif|server both :1"
    config = _read(f"frontend web|option tcplog|default_backend b1|use_backend b2 if x|{lines}")
    assert show_servers(config) == ["web b2/s2", "web b2/both", "web b1/s1", "web b1/both"]


def test_sections_of_one_name_in_arms_are_one() -> None:
    """Whatever stands in any of them counts."""
    text = """\
        .if a
        frontend web
            option tcplog
            use_backend app if x
        backend app
            server a1 :1
        .else
        frontend web
            option tcplog
            use_backend last if x
        backend app
            server a2 :1
        .endif
        backend last
        .if b
            server l1 :1
        .endif
        frontend more
            option tcplog
            default_backend last
        """
    assert show_servers(read(text)) == ["web app/a1", "web app/a2", "web last/l1", "more last/l1"]


def test_files_are_read_as_one_whatever_their_order() -> None:
    """A backend may stand before its frontend, and in another file."""
    backend = "backend app\n server a1 :1\n"
    frontend = "frontend web\n option tcplog\n default_backend app\n"
    for files in ([backend, frontend], [frontend, backend], [backend + frontend]):
        assert show_servers(read(*files)) == ["web app/a1"]
    assert show_servers(read(backend, " server a2 :1\n" + frontend)) == ["web app/a1"]


def test_what_is_wrong_with_a_route_is_haproxys_matter() -> None:
    """Backends, servers and rules that nobody can read stop nothing and warn of nothing."""
    text = """\
        frontend web
            option tcplog
            default_backend
            use_backend "
            use_backend $
            default_backend "app
        backend
            server lost :1
        backend "app
            server lost :1
        backend app from nowhere
            server "a1
            server \\x
            log-format
            option httplog json
            capture
        """
    config = read(text)
    assert _lines(config) == ["web tcp web/<NOSRV>"]
    assert config.warnings == ()


FIXTURE_SERVERS = {
    "compose": ["http api/api1", "http api/api2", "http web/web1", "http web/web2", "http web/web3"],
    "conditions": ["upgraded web/one", "replaced web/one", "nested web/one", "nested sessions/one", "admin web/one"],
    "databases": [
        *("postgres-write postgres-write/pg1", "postgres-write postgres-write/pg2"),
        *("postgres-read postgres-read/pg1", "postgres-read postgres-read/pg2"),
        *("mysql mysql/my1", "redis redis/r1", "clf clf/my1"),
    ],
    "environment": [f"{name} web/one" for name in ("example", "fallback", "verbatim", "several", "unset", "cleared")],
    "ingress": [
        "http haproxy-controller_default_http/SRV_1",
        "http haproxy-controller_default_http/SRV_2",
        "tcp-5432 databases_postgres_5432/SRV_1",
    ],
    "sections": ["first first/one", "second second/one"],
}


@pytest.mark.parametrize("name", FIXTURE_SERVERS)
def test_finds_the_servers_of_a_fixture(name: str) -> None:
    """Files as people write them."""
    assert list(dict.fromkeys(show_servers(read_fixture(f"{name}.cfg")))) == FIXTURE_SERVERS[name]


def test_a_fixture_goes_where_its_environment_says() -> None:
    """As HAProxy in its container, so the exporter beside it."""
    config = read_fixture("compose.cfg", DEFAULT_BACKEND="api")
    assert show_servers(config) == ["http api/api1", "http api/api2"]


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.cfg")), ids=lambda file: file.stem)
def test_routes_of_a_fixture_are_its_frontends_and_are_told_once(file: Path) -> None:
    """In the order of the proxies."""
    config = read_fixture(file.name)
    assert len(set(config.routes)) == len(config.routes)
    names = [proxy.name for proxy in config.proxies]
    found = list(dict.fromkeys(route.frontend for route in config.routes))
    assert [name for name in names if name in found] == found
    assert config.routes


def test_many_servers_are_found() -> None:
    """Thousands of backends with some servers, as of one backend with thousands."""
    rules = "".join(f" use_backend b{number} if x\n" for number in range(2000))
    backends = "".join(f"backend b{number}\n server s1 :1\n server s2 :1\n" for number in range(2000))
    servers = "".join(f" server s{number} :1\n" for number in range(5000))
    config = read(f"frontend f\n option tcplog\n{rules}{backends}listen l\n option tcplog\n{servers}")
    assert len(config.routes) == 1 + 2000 * 3 + 1 + 5000
    assert config.warnings == ()


@pytest.mark.parametrize(("servers", "known"), [(MOST_ROUTES - 1, True), (MOST_ROUTES, False), (999_999_999, False)])
def test_too_many_routes_are_cut(*, servers: int, known: bool) -> None:
    """With a warning."""
    config = read(f"listen l\n option tcplog\n server-template s {servers} :1\n")
    assert len(config.routes) == MOST_ROUTES
    assert config.routes[-1] == Route("l", "tcp", "l", f"s{MOST_ROUTES - 1}")
    assert len(config.warnings) == (0 if known else 1)


_RANGES = ["3", "1", "2-4", "0-1", "09-010", "7-7", "0", "3-2", "-1", "many"]


@pytest.mark.parametrize("numbers", _RANGES)
def test_templates_that_haproxy_takes_are_read(numbers: str, tmp_path: Path) -> None:
    """Those that it refuses make no servers."""
    need("haproxy")
    file = tmp_path / "h.cfg"
    times = " timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
    file.write_text(f"listen l\n{times} option tcplog\n bind :1\n server-template t {numbers} 127.0.0.1:1\n")
    status, said = check(file)
    assert (status == 0) == bool(show_servers(read(file.read_text()))), said
