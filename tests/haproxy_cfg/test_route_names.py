"""Names of frontends, backends and servers that hold variables."""

import pytest

from tests.haproxy_cfg import read, show_servers


def test_names_hold_variables() -> None:
    """Of the environment, of global, and their defaults."""
    text = """\
        global
            setenv ZONE west
        frontend "web-$ZONE"
            option tcplog
            default_backend "${APP-app}-$ZONE"
        backend "$OTHER-$ZONE"
            server "s-${ZONE}" "$ADDRESS"
            server "${.SECTION}-1" "$ADDRESS"
            server-template "${PREFIX}" "$COUNT" "$ADDRESS:80"
        """
    config = read(text, OTHER="app", PREFIX="t", COUNT="1-2")
    assert show_servers(config) == [f"web-west app-west/{name}" for name in ("s-west", "app-west-1", "t1", "t2")]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ('frontend f|use_backend "app$NOPE"|default_backend api', ["f api/i1"]),
        ('frontend f|default_backend "app$NOPE"', []),
        ('defaults|option tcplog|default_backend "app$NOPE"|frontend f|use_backend api if x', ["f api/i1"]),
        ('listen f|server f1 :1|default_backend "app$NOPE"', []),
        ('listen f|server "f1$NOPE" :1|server f2 "$NOPE"|server f3 "$NOPE:1" check', ["f f/f2", "f f/f3"]),
        ('listen f|server-template "t$NOPE" 3 :1', []),
        ('listen f|server-template t "$NOPE" :1|server-template u "1$NOPE" :1', []),
        ('listen f|server-template t 1 "$NOPE" check', ["f f/t1"]),
        ('frontend "f$NOPE"|default_backend app', []),
        ('frontend f|default_backend b|backend "b$NOPE"|server b1 :1', []),
        ('frontend f|use_backend app if { var(txn.x) "$NOPE" }', ["f app/a1", "f app/a2"]),
        ('frontend f|use_backend "${NOPE[*]}" app', []),
        ('frontend f|use_backend "app${NOPE-}"', ["f app/a1", "f app/a2"]),
    ],
)
def test_names_that_only_haproxy_knows_are_left_out(lines: str, found: list[str]) -> None:
    """Those of a variable that is not set here; elsewhere in a line it does not matter."""
    behind = "backend app|server a1 :1|server a2 :1|backend api|server i1 :1"
    config = read(f"defaults|option tcplog|{lines}|{behind}".replace("|", "\n"))
    assert show_servers(config) == found


def test_a_name_may_differ_by_arm() -> None:
    """With a variable that an `.if` sets."""
    text = """\
        global
            setenv ZONE east
        .if a
            setenv ZONE west
        .endif
        frontend web
            option tcplog
            default_backend "app-$ZONE"
        backend "app-$ZONE"
            server s1 :1
        frontend api
            option tcplog
            use_backend "$ZONE" if x
        backend east
            server "e-$ZONE" :1
        """
    names = ["web app-east/s1", "web app-west/s1", "api east/e-east", "api east/e-west"]
    assert show_servers(read(text)) == names
