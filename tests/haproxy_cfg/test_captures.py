"""The names of the captured headers, by slot."""

import pytest

from haproxy_log_exporter.haproxy_cfg import Captures
from tests.haproxy_cfg import read


def _captures(*lines: str) -> Captures:
    (proxy,) = read("frontend f\n" + "".join(f" {line}\n" for line in lines)).proxies
    (captures,) = proxy.captures
    return captures


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Host", "host"),
        ("X-Forwarded-For", "x_forwarded_for"),
        ("x--a..b", "x_a_b"),
        ("-X-1-", "x_1"),
        ("Überschrift", "berschrift"),
        ("***", ""),
    ],
)
def test_a_header_becomes_a_part_of_a_label(name: str, part: str) -> None:
    """Letters and digits in lower case, anything between them one underscore, none at the ends."""
    assert _captures(f"capture request header {name} len 10").request == (part,)
    assert _captures(f"capture response header {name} len 10").response == (part,)


@pytest.mark.parametrize(
    ("sample", "part"),
    [
        ("req.hdr(User-Agent)", "user_agent"),
        ("req.fhdr(User-Agent)", "user_agent"),
        ("hdr(host)", "host"),
        ("fhdr(host)", "host"),
        ("req.hdr(host,-1),lower,field(1,:)", "host"),
        ("req.hdr(host) lower", "host"),
        ('req.hdr("host")', "host"),
        ("'req.hdr( host)'", "host"),
        ("req.hdr", "req_hdr"),
        ("req.hdr_cnt(host)", "req_hdr_cnt_host"),
        ("req.cook(SESSION)", "req_cook_session"),
        ("src,ipmask(24)", "src_ipmask_24"),
        ("'path,regsub(a b,c)'", "path_regsub_a_b_c"),
        ("method", "method"),
    ],
)
def test_a_sample_gives_the_name_of_its_header_or_its_own(sample: str, part: str) -> None:
    """Converters change the value, not which header it is."""
    assert _captures(f"http-request capture {sample} len 10").request == (part,)
    assert _captures(f"http-request capture {sample} len 10 if {{ src 127.0.0.1 }}").request == (part,)
    assert _captures(f"tcp-request content capture {sample} len 10").request == (part,)
    assert _captures("declare capture request len 10", f"http-request capture {sample} id 0").request == (part,)


@pytest.mark.parametrize("sample", ["res.hdr(Server)", "res.fhdr(Server)", "shdr(Server)", "hdr(server),lower"])
@pytest.mark.parametrize("rule", ["http-response", "http-after-response"])
def test_a_response_slot_has_the_name_of_what_fills_it(rule: str, sample: str) -> None:
    """No rule makes a slot of a response."""
    assert _captures(f"{rule} capture {sample} id 0").response == ()
    assert _captures("declare capture response len 10", f"{rule} capture {sample} id 0").response == ("server",)


def test_slots_stand_in_the_order_of_their_lines() -> None:
    """Whatever makes them; and a rule may come before the slot that it fills."""
    captures = _captures(
        "http-request capture hdr(Filled) id 1",
        "http-request capture hdr(Rule) len 10",
        "declare capture request len 10",
        "capture cookie SESSION len 10",
        "capture response header One len 10",
        "capture request header Header len 10",
        "declare capture response len 10",
        "tcp-request content capture req.len len 10",
    )
    assert captures == Captures(("rule", "filled", "header", "req_len"), ("one", ""))


def test_a_slot_keeps_its_name() -> None:
    """A header's own, or else that of the first rule; a slot that is not there has none."""
    captures = _captures(
        "capture request header Host len 10",
        "declare capture request len 10",
        "http-request capture hdr(A) id 0",
        "http-request capture hdr(B) id 1 if { path /b }",
        "http-request capture hdr(C) id 1 unless { path /b }",
        "http-request capture hdr(D) id 2",
        "http-response capture res.hdr(E) id 0",
    )
    assert captures == Captures(("host", "b"), ())


def test_other_rules_capture_nothing() -> None:
    """They may even have the word in them."""
    captures = _captures(
        "http-request set-header capture len",
        "http-request deny if { hdr(capture) len }",
        "tcp-request content accept",
        "tcp-request connection capture",
        "filter capture",
    )
    assert captures == Captures()
