"""From what is chosen to what is counted: labels, metrics and formats, and other formats later."""

import textwrap

import pytest

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import Assembly, build_pipeline
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.formats import Format, configured_formats
from haproxy_log_exporter.haproxy_cfg import read_config
from haproxy_log_exporter.planning import compile_all, find_mistakes
from tests.pipelines import ERROR, HTTP, TCP, exposition, results, samples_of, take
from tests.support import total

REQUESTS = "haproxy_log_requests_total"

CONFIG = """
    defaults
        mode http
        option httplog
    frontend web
        capture request header Host len 50
        capture request header User-Agent len 50
    frontend api
        capture request header User-Agent len 50
        capture request header Host len 50
    frontend own
        declare capture request len 50
        http-request capture req.hdr(X-Tenant) id 0
        log-format "%ci %ST %[capture.req.hdr(0)]"
    frontend tcp
        mode tcp
        option tcplog
"""


def configured(text: str) -> tuple[Format, ...]:
    """Read the formats of a haproxy.cfg."""
    return configured_formats(read_config([("h.cfg", textwrap.dedent(text))], {}))


def choose(
    *labels: str,
    metrics: tuple[str, ...] = ("requests_total",),
    formats: tuple[str, ...] = (),
    config: str = "",
    weight: int = 1,
) -> Choice:
    """Choose what is counted."""
    return Choice(labels, metrics, ("1",), formats, "compiled", configured(config) if config else (), weight)


def http(frontend: str, captured: str) -> bytes:
    """Write a line of httplog of a frontend, with what it captured."""
    return HTTP.replace(b" web ", f" {frontend} ".encode()).replace(b"{a} {b}", captured.encode())


# --- haproxy.cfg ------------------------------------------------------------------------------------------------------


def test_headers_are_labels_by_the_names_that_haproxy_cfg_gives_them() -> None:
    """Wherever a frontend captures them, in whatever format; a line of another frontend has none."""
    pipeline = build_pipeline(choose("request_header_host", "request_header_x_tenant", config=CONFIG))
    lines = [http("web", "{h|curl}"), http("api~", "{curl|h}"), http("other", "{h|curl}"), b"::1 200 acme"]
    assert results(take(pipeline, *lines)) == (4, 0, 0, 0)
    assert exposition(pipeline).splitlines()[2:] == [
        'haproxy_log_requests_total{request_header_host="h",request_header_x_tenant=""} 2',
        'haproxy_log_requests_total{request_header_host="",request_header_x_tenant=""} 1',
        'haproxy_log_requests_total{request_header_host="",request_header_x_tenant="acme"} 1',
    ]


def test_headers_that_no_frontend_captures_are_no_labels() -> None:
    """The message lists those that are, by name and by place."""
    (message,) = find_mistakes(choose("request_header_referer", config=CONFIG))
    assert message.startswith("--labels: no format in use can fill 'request_header_referer'; there are ")
    there = message.partition("there are ")[2].split(", ")
    assert {"request_header_host", "request_header_user_agent", "request_header_x_tenant"} <= {*there}
    assert {"request_header_1", "…", "status_code", "server_name"} <= {*there}


def test_formats_of_haproxy_cfg_take_the_place_of_the_presets() -> None:
    """What no proxy writes is not tried; what is named besides is."""
    only = "frontend web\n    mode http\n    option httplog\n"
    assert [reader.name for reader in compile_all(choose(config=only))] == ["httplog", "error"]
    names = [reader.name for reader in compile_all(choose(config=only, formats=("tcplog", "%ci %ST")))]
    assert names == ["tcplog", "2", "httplog", "error"]
    assert results(take(build_pipeline(choose(config=only)), HTTP, TCP)) == (1, 0, 0, 1)


def test_lines_of_an_error_log_format_are_connection_errors() -> None:
    """By frontend and reason, as those of the fixed message; without a message in it the reason is another one."""
    for source, line, reason in (
        ("%f failed: %[fc_err_str]", b"web failed: SSL handshake failure", "SSL handshake failure"),
        ("%f failed", b"web failed", "other"),
    ):
        config = f'frontend web\n    mode http\n    option httplog\n    error-log-format "{source}"\n'
        pipeline = build_pipeline(choose(metrics=("connection_errors_total", "requests_total"), config=config))
        assert results(take(pipeline, line, HTTP)) == (2, 0, 0, 0)
        samples = samples_of(pipeline)
        assert total(samples, "haproxy_log_connection_errors_total", frontend_name="web", reason=reason) == 1
        assert total(samples, REQUESTS) == 1


def test_connection_errors_are_read_whatever_is_configured() -> None:
    """HAProxy writes them for any frontend that does not say otherwise."""
    pipeline = build_pipeline(choose(metrics=("connection_errors_total",), config=CONFIG))
    take(pipeline, ERROR)
    assert total(samples_of(pipeline), "haproxy_log_connection_errors_total", frontend_name="tls") == 1


@pytest.mark.parametrize("source", ["%ci %f %Tt", "%ci %ft %Tt", "%{+Q}f %ci %Tt", "%{+json}o %(f)f %(c)ci %(t)Tt"])
def test_lines_that_are_written_alike_are_counted_by_their_frontends_kind(source: str) -> None:
    """And those of a frontend that nobody knows are not guessed at; a name that begins alike is another one."""
    sections = "".join(
        f'frontend {name}\n    mode {mode}\n    log-format "{source.replace(chr(34), "")}"\n'
        for name, mode in (("web", "http"), ("web2", "tcp"), ("w.b", "http"))
    )
    pipeline = build_pipeline(choose("client_ip", metrics=("requests_total", "sessions_total"), config=sections))

    def line(frontend: str) -> bytes:
        values = {"%ft": frontend, "%{+Q}f": f'"{frontend}"', "%f": frontend, "%ci": "::1", "%Tt": "5"}
        text = source if "json" not in source else '{"f": "%f", "c": "%ci", "t": %Tt}'
        for item, value in values.items():
            text = text.replace(item, value)
        return text.encode()

    assert results(take(pipeline, *map(line, ("web", "web2", "w.b", "wxb", "web3", "we")))) == (3, 0, 0, 3)
    samples = samples_of(pipeline)
    assert total(samples, REQUESTS) == 2
    assert total(samples, "haproxy_log_sessions_total") == 1


# --- Formats with names of their own ----------------------------------------------------------------------------------


def test_a_label_may_be_another_field_in_each_format() -> None:
    """A name that formats give is a label, and so is a sample's."""
    formats = ("A %(client)ci %ST", "B %(client)[src,ipmask(24)] %ST", "C %ci %ST")
    pipeline = build_pipeline(choose("client", formats=formats))
    take(pipeline, b"A ::1 200", b"B 10.0.0.0 200", b"C ::1 200")
    samples = samples_of(pipeline)
    assert {client: total(samples, REQUESTS, client=client) for client in ("::1", "10.0.0.0", "")} == {
        "::1": 1,
        "10.0.0.0": 1,
        "": 1,
    }


def test_labels_are_the_same_whatever_the_flags() -> None:
    """So a change of notation leaves no mark on a graph."""
    formats = (
        r"A %{+X}ci %b %{+Q}[req.hdr(h)] %ST",
        r"B %ci %{+Q}b %{+E}[req.hdr(h)] %ST",
        "%{+json}o %(a)ci %(b)b %(req_hdr_h)[req.hdr(h)] %(c)ST",
    )
    lines = (
        rb'A 7F000001 bk "x]" 200',
        rb'B 127.0.0.1 "bk" x\] 200',
        b'{"a": "127.0.0.1", "b": "bk", "req_hdr_h": "x]", "c": 200}',
    )
    pipeline = build_pipeline(choose("client_ip", "backend_name", "req_hdr_h", "status_code", formats=formats))
    assert results(take(pipeline, *lines)) == (3, 0, 0, 0)
    assert exposition(pipeline).splitlines()[2:] == [
        'haproxy_log_requests_total{client_ip="127.0.0.1",backend_name="bk",req_hdr_h="x]",status_code="200"} 3'
    ]


def test_default_labels_are_those_that_the_formats_can_fill() -> None:
    """Nobody has to choose labels because a format lacks one."""
    pipeline = build_pipeline(choose(formats=("%ci %ST",)))
    take(pipeline, b"::1 200")
    assert exposition(pipeline).splitlines()[2:] == ['haproxy_log_requests_total{status_code="200"} 1']


def test_numbers_of_samples_are_added_up() -> None:
    """As those of the aliases that they are the equals of; without a value they add nothing."""
    metrics = ("requests_total", "retries_total", "total_duration_seconds")
    pipeline = build_pipeline(
        choose(metrics=metrics, formats=("%[txn.conn_retries] %{+Q}[txn.timer.total] %[status]",))
    )
    assert results(take(pipeline, b'2 "500" 200', b'- "" -')) == (2, 0, 0, 0)
    samples = samples_of(pipeline)
    assert total(samples, REQUESTS) == 2
    assert total(samples, "haproxy_log_retries_total") == 2
    assert total(samples, "haproxy_log_total_duration_seconds_count") == 1
    assert total(samples, "haproxy_log_total_duration_seconds_sum") == 0.5


# --- Mistakes ---------------------------------------------------------------------------------------------------------


def test_mistakes_of_labels_and_metrics_are_told_together() -> None:
    """And none where all is well."""
    found = find_mistakes(choose("colour", "status_code", "taste", metrics=("speed", "requests_total")))
    assert [message.partition(";")[0] for message in found] == [
        "--labels: no format in use can fill 'colour'",
        "--labels: no format in use can fill 'taste'",
        "--metrics: no format in use can fill 'speed'",
    ]
    assert find_mistakes(choose("status_code")) == []


def test_the_library_reads_httplog_alone() -> None:
    """A format for an engine that has its own is a mistake, told as the others are."""
    wrong = Choice((), (), ("1",), ("%ci %ST",), "haproxy-log-analysis")
    assert find_mistakes(wrong) == ["--format: the engine haproxy-log-analysis reads httplog alone"]
    with pytest.raises(UsageError):
        build_pipeline(wrong)


# --- Other formats ----------------------------------------------------------------------------------------------------


def test_labels_and_metrics_stay_when_formats_are_exchanged() -> None:
    """Also the default ones, and a header that now stands elsewhere is read there."""
    assembly = Assembly(choose("request_header_host", "status_code", config=CONFIG))
    take(assembly.pipeline, http("web", "{h|curl}"))
    turned = (
        CONFIG.replace("Host len", "X len").replace("User-Agent len", "Host len").replace("X len", "User-Agent len")
    )
    choice = assembly.exchange(configured(turned))
    assert (choice.labels, choice.metrics) == (("request_header_host", "status_code"), ("requests_total",))
    assert choice.configured == configured(turned)
    take(assembly.pipeline, http("web", "{curl|h}"), http("api", "{h|curl}"))
    assert total(samples_of(assembly.pipeline), REQUESTS, request_header_host="h", status_code="200") == 3
    assert len(samples_of(assembly.pipeline)) == 1


@pytest.mark.parametrize(
    ("config", "line", "unfilled"),
    [
        ("frontend web\n    mode http\n    option httplog\n", HTTP, ["request_header_host"]),
        ("frontend ssh\n    mode tcp\n    option tcplog\n", TCP, ["request_header_host", "status_code"]),
    ],
)
def test_labels_that_no_format_fills_any_more_are_empty(config: str, line: bytes, unfilled: list[str]) -> None:
    """They stay, so that the series stay, and it can be told which they are; filled again they are as before."""
    assembly = Assembly(choose("request_header_host", "status_code", config=CONFIG))
    pipeline = assembly.pipeline
    assert assembly.unfilled == []
    pipeline.take(http("web", "{h|curl}") + b"\n", pipeline.intake("test"))
    assembly.exchange(configured(config))
    assert assembly.unfilled == unfilled
    assert results(take(pipeline, line)) == (2, 0, 0, 0)
    assert total(samples_of(pipeline), REQUESTS, request_header_host="h") == 1
    assembly.exchange(configured(CONFIG))
    assert assembly.unfilled == []
    take(pipeline, http("api", "{curl|h}"))
    assert total(samples_of(pipeline), REQUESTS, request_header_host="h") == 2


def test_formats_that_cannot_be_read_are_not_taken() -> None:
    """All stays as it was: lines, totals, and what waits for the flush."""
    assembly = Assembly(choose("status_code", config=CONFIG))
    pipeline = assembly.pipeline
    pipeline.take(http("web", "{h|curl}") + b"\n", pipeline.intake("test"))
    before = [*pipeline.stages], assembly.formats
    with pytest.raises(UsageError, match="unknown item %nonesuch"):
        assembly.exchange((Format("", "http", "%nonesuch"),))
    assert ([*pipeline.stages], assembly.formats) == before
    assert pipeline.pending == 1
    take(pipeline, http("api", "{curl|h}"))
    assert total(samples_of(pipeline), REQUESTS) == 2


def test_a_string_keeps_its_number_when_formats_are_exchanged() -> None:
    """So that `parsed_total` goes on; a new string has a new one."""
    assembly = Assembly(choose("status_code", formats=("own %ST", "httplog"), config=CONFIG))
    assert [each.name for each in assembly.formats] == ["1", "httplog", "3", "tcplog", "error"]
    more = CONFIG.replace("frontend web", 'frontend first\n        log-format "first %ST"\n    frontend web', 1)
    assembly.exchange(configured(more))
    names = {each.source: each.name for each in assembly.formats if each.name.isdigit()}
    assert len({*names.values()}) == 3
    assert (names["own %ST"], names["%ci %ST %[capture.req.hdr(0)]"]) == ("1", "3")
    assembly.exchange(configured(CONFIG))
    assert [each.name for each in assembly.formats if each.name.isdigit()] == ["1", "3"]


def test_weight_stays_when_formats_are_exchanged() -> None:
    """A line stands for as many as before."""
    assembly = Assembly(choose("status_code", metrics=("requests_total", "notices_total"), config=CONFIG, weight=5))
    take(assembly.pipeline, http("web", "{a|b}"), b"Proxy web started.")
    assembly.exchange(configured(CONFIG))
    take(assembly.pipeline, http("web", "{a|b}"), b"Proxy web started.")
    samples = samples_of(assembly.pipeline)
    assert total(samples, REQUESTS) == 10
    assert total(samples, "haproxy_log_notices_total") == 10
