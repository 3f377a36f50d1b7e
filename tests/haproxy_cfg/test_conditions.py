"""`.if`: each arm may be the one that is in force."""

import pytest

from haproxy_log_exporter.haproxy_cfg.records import MOST_CAPTURES
from haproxy_log_exporter.haproxy_cfg.worlds import MOST_ENVIRONMENTS
from tests.haproxy_cfg import read, show, show_all


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (".if a|log-format A|.endif", ["0", "A"]),
        (".if a|log-format A|.else|log-format B|.endif", ["A", "B"]),
        (".if a|log-format A|.elif b|log-format B|.endif", ["0", "A", "B"]),
        (".if a|log-format A|.elif b|.else|log-format B|.endif", ["A", "0", "B"]),
        (".if a|.else|log-format B|.endif", ["0", "B"]),
        (".if a|.elif b|.else|.endif", ["0"]),
        (".if a|log-format A|.endif|log-format B", ["B"]),
        (".if a|log-format A|log-format B|.endif", ["0", "B"]),
        (".if a|log-format A|.if b|log-format B|.endif|.endif", ["0", "A", "B"]),
        (".if a|.if b|log-format A|.else|log-format B|.endif|log-format C|.endif", ["0", "C"]),
        (".if a|log-format A|.endif|.if b|log-format B|.endif", ["0", "A", "B"]),
        (".if a|log-format 0|.endif", ["0"]),
        ('.if "|log-format A|.elif \\x|log-format B|.endif', ["0", "A", "B"]),
    ],
)
def test_an_arm_is_an_alternative_to_what_may_hold_without_it(lines: str, found: list[str]) -> None:
    """What it sets replaces what stood before in the arm, and behind the `.endif` all of it."""
    text = "frontend f\n log-format 0\n" + "".join(f" {line}\n" for line in lines.split("|"))
    (proxy,) = read(text).proxies
    assert [each.source for each in proxy.formats] == found


def test_modes_and_formats_go_together_in_every_way() -> None:
    """Which arm goes with which is not known."""
    text = """\
        defaults
        .if a
            mode http
        .endif
        .if b
            option httplog
            error-log-format "e"
        .endif
        frontend f
        """
    (proxy,) = read(text).proxies
    assert show(proxy) == [
        "frontend f http",
        *("9: connect connect", "6: tcp tcplog", "6: http httplog", "7: error 'e'"),
    ]


def test_captures_are_told_apart_by_arm() -> None:
    """For a slot has another name in each."""
    text = """\
        frontend f
            capture request header A len 1
        .if a
            capture request header B len 1
        .else
            declare capture request len 1
            .if b
            http-request capture hdr(C) id 1
            .endif
        .endif
            capture request header D len 1
        """
    (proxy,) = read(text).proxies
    assert show(proxy)[2:] == ["{a|b|d} {}", "{a||d} {}", "{a|c|d} {}"]


@pytest.mark.parametrize(("blocks", "known"), [(4, True), (5, False)])
def test_too_many_combinations_of_captures_are_none(*, blocks: int, known: bool) -> None:
    """With a warning, and also for what follows and for the heirs."""
    arms = "".join(f".if a\n http-request capture hdr(H{number}) len 1\n.endif\n" for number in range(blocks))
    config = read(f"defaults d\n{arms}frontend f\n capture request header A len 1\nfrontend g from d\n")
    assert [len(proxy.captures) for proxy in config.proxies] == [known * MOST_CAPTURES] * 2
    assert [warning.partition(":")[0] for warning in config.warnings] == ([] if known else ["frontend f", "frontend g"])


def test_too_many_combinations_in_one_arm_are_too_many() -> None:
    """What is known of another arm is not all of it."""
    arms = "".join(f".if a\n http-request capture hdr(H{number}) len 1\n.endif\n" for number in range(5))
    text = f"frontend f\n.if b\n{arms}.else\n capture request header A len 1\n.endif\n"
    assert read(text).proxies[0].captures == ()


def test_sections_in_arms_are_read() -> None:
    """Of one name they are one proxy; what follows the `.endif` may belong to any of them, or to none."""
    text = """\
        frontend outside
            option tcplog
        .if a
        frontend same
            log-format A
        .elif b
        frontend same
            log-format B
        .elif c
        backend other
        .endif
            error-log-format E
        """
    assert show_all(read(text)) == [
        *("frontend outside tcp", "2: tcp tcplog", "12: error 'E'"),
        *("frontend same tcp", "5: tcp 'A'", "8: tcp 'B'", "12: error 'E'"),
    ]


def test_what_may_belong_to_a_section_is_an_alternative() -> None:
    """And does not replace what it has."""
    text = "frontend a\n log-format A\n.if x\nbackend b\nfrontend b\n log-format B\n.endif\n log-format C\n"
    assert show_all(read(text)) == [
        "frontend a tcp",
        "2: tcp 'A'",
        "8: tcp 'C'",
        *("frontend b tcp",),
        "6: tcp 'B'",
        "8: tcp 'C'",
    ]


def test_what_may_belong_to_a_backend_is_an_alternative_too() -> None:
    """Though nothing in a backend is logged."""
    text = "frontend a\n log-format A\n.if x\nbackend b\n.endif\n log-format C\n"
    assert show_all(read(text)) == ["frontend a tcp", "2: tcp 'A'", "6: tcp 'C'"]


def test_defaults_in_arms_are_inherited_from() -> None:
    """From any that may be the last, or have the name."""
    text = """\
        defaults
            log-format 0
        .if a
        defaults d
            log-format A
        .elif b
        defaults d
            log-format B
        .endif
        frontend last
        frontend named from d
        """
    assert [[each.source for each in proxy.formats] for proxy in read(text).proxies] == [["0", "A", "B"], ["A", "B"]]


def test_variables_in_arms_have_several_values() -> None:
    """Those that are set together stay together."""
    text = """\
        global
        .if a
            setenv ONE 1
            setenv TWO 2
        .elif b
            setenv ONE i
            setenv TWO ii
        .endif
        frontend f
            log-format "<$ONE,$TWO>"
        frontend "g$ONE"
        """
    assert show_all(read(text, TWO="tcp")) == [
        *("frontend f tcp", "10: tcp '<,tcp>'", "10: tcp '<1,2>'", "10: tcp '<i,ii>'"),
        *("frontend g tcp", "11: connect connect"),
        *("frontend g1 tcp", "11: connect connect"),
        *("frontend gi tcp", "11: connect connect"),
    ]


def test_too_many_combinations_of_variables_are_cut() -> None:
    """With a warning."""
    arms = "".join(f".if a\n setenv V{number} x\n.endif\n" for number in range(5))
    config = read(f'global\n{arms}frontend f\n log-format "a$V0$V1$V2$V3$V4"\n')
    assert "h.cfg:16: only 16 of 32 combinations of variables are read" in config.warnings
    assert len(config.proxies[0].formats) <= MOST_ENVIRONMENTS


def test_equal_formats_are_one() -> None:
    """Told with the first of their places."""
    text = "frontend f\n mode http\n.if a\n option httplog\n.else\n option httplog\n.endif\n"
    assert show_all(read(text)) == ["frontend f http", "4: http httplog"]


def test_macros_stand_anywhere() -> None:
    """In sections that are skipped, and outside of all."""
    text = '.if a\nfrontend f\n.notice "x"\nbackend b\n.else\nfrontend g\n.alert\n.endif\n.diag \'a\n'
    assert show_all(read(text)) == ["frontend f tcp", "2: connect connect", "frontend g tcp", "6: connect connect"]
