import gzip
import http.client
import logging
import re
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics

from haproxy_log_exporter import __version__
from haproxy_log_exporter.metrics.shown import Shown
from tests.support import read_samples
from tests.web import (
    PROMETHEUS_ACCEPTS,
    SMALL,
    ask,
    ask_on,
    connect,
    is_healthy,
    large,
    listening,
    make_shown,
    own_metrics,
    send_raw,
)

# As a Prometheus that knows newer forms may ask.
NEWER_ACCEPTS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/html,*/*;q=0.8",
        "application/openmetrics-text;version=1.0.0;q=0,text/plain",
    ],
)
def test_metrics_are_text_0_0_4_by_default(port: int, accept: str | None) -> None:
    """Whoever asks for nothing in particular gets the text format, log metrics and own ones."""
    status, headers, body = ask(port, **({"Accept": accept} if accept else {}))
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert read_samples(body.decode()) == {
        **{("haproxy_log_requests_total", frozenset({("path", f"/{count}")})): count for count in (1, 2, 3)},
        ("own", frozenset()): 1,
    }
    assert b"# EOF" not in body


@pytest.mark.parametrize(
    "accept", [PROMETHEUS_ACCEPTS, NEWER_ACCEPTS, "application/openmetrics-text; version=1.0.0; charset=utf-8"]
)
def test_metrics_are_open_metrics_where_asked_for(port: int, accept: str) -> None:
    """OpenMetrics ends in # EOF, once, and is what a strict parser reads."""
    status, headers, body = ask(port, Accept=accept)
    assert status == 200
    # prometheus_client 0.16 calls the same format by its version before the first.
    assert re.match(r"application/openmetrics-text; version=(1\.0\.0|0\.0\.1); charset=utf-8", headers["Content-Type"])
    assert body.endswith(b"\n# EOF\n")
    assert body.count(b"# EOF") == 1
    families = {family.name: family for family in read_open_metrics(body.decode())}
    assert set(families) == {"haproxy_log_requests", "own"}
    assert [sample.value for sample in families["haproxy_log_requests"].samples] == [1, 2, 3]


@pytest.mark.parametrize(
    "accept",
    [
        "",
        ";;;",
        ",",
        "=",
        "text/plain;version",
        "text/plain;version=",
        "text/plain;version=latest",
        "text/plain;version=1.0.0;escaping=nothing",
        "application/openmetrics-text",
        "application/openmetrics-text;version=latest",
        "application/openmetrics-text;version=9.9.9",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=1.0.0\r\n folded",
        "application/openmetrics-text;version=2.0\r\n folded",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "\xff\xfe",
    ],
)
def test_accept_of_any_kind_is_answered(port: int, accept: str) -> None:
    """Whatever the header holds there is an answer, in a version that there is, and the body is what it says."""
    request = f"GET /metrics HTTP/1.0\r\nAccept: {accept}\r\n\r\n".encode("latin-1")
    head, _, body = send_raw(port, request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    content_type = re.search(rb"(?m)^Content-Type: (\S+); version=([0-9.]+);", head)
    assert content_type, head
    if content_type[1] == b"application/openmetrics-text":
        assert content_type[2] in (b"0.0.1", b"1.0.0")
        assert [*read_open_metrics(body.decode())]
    else:
        assert content_type[1] == b"text/plain"
        assert content_type[2] in (b"0.0.4", b"1.0.0")
        assert b"# EOF" not in body
        assert read_samples(body.decode())
    assert b"folded" not in head


@pytest.mark.parametrize(
    "accept_encoding",
    ["gzip", "GZIP", "deflate, gzip;q=1.0", "*", "gzip;q=0.001", "br , gzip ; q=0.5", "*;q=0, gzip", "identity, gzip"],
)
@pytest.mark.parametrize("accept", ["text/plain", PROMETHEUS_ACCEPTS], ids=["text", "OpenMetrics"])
def test_compresses_where_that_is_accepted(port: int, accept: str, accept_encoding: str) -> None:
    """RFC 9110, section 12.5.3: a coding that is named goes before "*"."""
    _, plain_headers, plain = ask(port, Accept=accept)
    status, headers, body = ask(port, Accept=accept, Accept_Encoding=accept_encoding)
    assert status == 200
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain
    assert "Content-Encoding" not in plain_headers
    assert {"accept", "accept-encoding"} <= {name.strip().lower() for name in headers["Vary"].split(",")}


@pytest.mark.parametrize(
    "accept_encoding",
    ["", "identity", "gzip;q=0", "gzip; q=0.000", "deflate, br", "gzip;q=0, *", "*;q=0", "notgzip", "gzip2"],
)
def test_does_not_compress_where_that_is_not_accepted(port: int, accept_encoding: str) -> None:
    """A weight of 0 means no."""
    status, headers, body = ask(port, Accept_Encoding=accept_encoding)
    assert status == 200
    assert "Content-Encoding" not in headers
    assert read_samples(body.decode())


def test_large_answer_is_whole_plain_and_compressed() -> None:
    """An answer of many parts arrives as one."""
    with listening(large()) as port:
        _, _, plain = ask(port)
        _, _, packed = ask(port, Accept_Encoding="gzip")
    assert len(plain) > 20_000_000
    assert len(packed) > 10_000_000
    assert gzip.decompress(packed) == plain
    assert len(read_samples(plain.decode())) == 1_001


@pytest.mark.parametrize("path", ["/metrics", "/", "/-/healthy", "/-/ready", "/nothing"])
def test_head_is_get_without_a_body(port: int, path: str) -> None:
    """The headers are the same, no body follows, and the connection is good for more."""
    status, headers, body = ask(port, path)
    head_status, head_headers, _ = ask(port, path, "HEAD")
    assert head_status == status
    del headers["Date"], head_headers["Date"]
    assert head_headers.items() == headers.items()
    answer = send_raw(port, f"HEAD {path} HTTP/1.1\r\n\r\nGET {path} HTTP/1.0\r\n\r\n".encode())
    first, second, *bodies = answer.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 ")
    assert second.startswith(b"HTTP/1.1 ")
    assert b"".join(bodies) == body != b""


@pytest.mark.parametrize("connection", ["", "Connection: keep-alive\r\n"])
@pytest.mark.parametrize("encoding", ["", "Accept-Encoding: gzip\r\n"])
def test_http_1_0_gets_no_chunks(port: int, connection: str, encoding: str) -> None:
    """HTTP/1.0 knows no chunks: the answer ends where the connection does."""
    answer = send_raw(port, f"GET /metrics HTTP/1.0\r\n{connection}{encoding}\r\n".encode(), end=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    text = (gzip.decompress(body) if encoding else body).decode()
    assert len(read_samples(text)) == 4


def test_http_0_9_gets_the_body_alone_or_nothing(port: int) -> None:
    """A request without a version is answered without headers and chunks, or refused."""
    answer = send_raw(port, b"GET /metrics\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 4"):
        assert len(read_samples(answer.decode())) == 4


def test_connection_is_kept_for_several_requests(port: int) -> None:
    """One connection serves whatever is asked for on it, one after the other."""
    connection = connect(port)
    connection.connect()
    first = connection.sock
    statuses = []
    for path in ("/metrics", "/-/healthy", "/nothing", "/", "/metrics"):
        statuses.append(ask_on(connection, path, Accept_Encoding="gzip")[0])
        assert connection.sock is first
    connection.close()
    assert statuses == [200, 200, 404, 200, 200]


def test_requests_that_come_together_are_answered_in_turn(port: int) -> None:
    """Several requests in one packet are several answers, and the last may ask for the end."""
    requests = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\nGET /-/ready HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = send_raw(port, requests)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200"]
    assert answer.index(b"\r\n\r\nhealthy\n") < answer.index(b"\r\n\r\nready\n")


@pytest.mark.parametrize("framing", ["Content-Length: 36", "Transfer-Encoding: chunked"])
def test_body_of_a_request_is_no_request(port: int, framing: str) -> None:
    """RFC 9112, section 6: what a request announces as its body is never read as the next request."""
    smuggled = "GET /nothing HTTP/1.1\r\nHost: abc\r\n\r\n"
    assert len(smuggled) == 36
    answer = send_raw(port, f"GET /-/healthy HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{smuggled}".encode())
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) in ([b"200"], [b"400"], [b"413"], [b"501"])


def test_absolute_form_is_answered(port: int) -> None:
    """RFC 9112, section 3.2.2: a server must accept the absolute form, as a proxy may send it."""
    status, _, body = ask(port, f"http://127.0.0.1:{port}/-/healthy")
    assert (status, body) == (200, b"healthy\n")


@pytest.mark.parametrize("path", ["/metrics?collect=all&x=/", "/metrics?", "/-/healthy?x"])
def test_query_is_left_aside(port: int, path: str) -> None:
    """Prometheus may add parameters to a scrape."""
    assert ask(port, path)[0] == 200


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/metricsx", "/-/", "/-/nothing", "/../metrics", "/%00"])
def test_anything_else_is_not_found(port: int, path: str) -> None:
    """404 says what there is."""
    status, headers, body = ask(port, path)
    assert status == 404
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"/metrics" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X"])
def test_only_get_and_head(port: int, method: str) -> None:
    """Nothing can be changed; what is asked for in another way is refused."""
    assert ask(port, "/metrics", method)[0] in (405, 501)


def test_index_tells_what_this_is() -> None:
    """The page names the version, links the metrics and shows the sources, all of it escaped; it runs no script."""
    with listening(replace(SMALL, telemetry_path='/m"<')) as port:
        status, headers, body = ask(port, "/")
        assert ask(port, '/m"<')[0] == 200
        assert ask(port, "/metrics")[0] == 404
    text = body.decode()
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "<code>/var/log/&lt;haproxy&gt;.log</code>" in text
    assert "<code>udp://:514</code>" in text
    assert 'href="/m&quot;&lt;"' in text
    assert __version__ in text
    assert "<script" not in text


def test_index_shows_what_was_rejected() -> None:
    """The last lines of all sources, escaped: they are whatever anybody sent. Without any there is no such list."""
    rejects = {"a": (b"<script>alert(1)</script>", b"\xff&amp;"), "b": (b'"><b>',), "c": ()}
    shown = make_shown("/")._replace(rejects=rejects)
    with listening(replace(SMALL, shown=lambda: shown)) as port:
        page = ask(port, "/")[2].decode()
    for escaped in ("&lt;script&gt;alert(1)&lt;/script&gt;", r"\xff&amp;amp;", "&quot;&gt;&lt;b&gt;"):
        assert f"<code>{escaped}</code>" in page
    assert "<script" not in page
    assert "rejected" in page
    with listening() as port:
        assert "rejected" not in ask(port, "/")[2].decode()


def test_ready_only_once_all_is_open() -> None:
    """Healthy from the first moment, ready when the service says so."""
    state = {"ready": False}
    with listening(replace(SMALL, problem=lambda: "" if state["ready"] else "the disk is full")) as port:
        assert ask(port, "/-/healthy")[::2] == (200, b"healthy\n")
        assert ask(port, "/-/ready")[::2] == (503, b"not ready: the disk is full\n")
        state["ready"] = True
        assert ask(port, "/-/ready")[::2] == (200, b"ready\n")


def test_each_scrape_is_of_one_moment() -> None:
    """What is shown is asked for once a scrape or a page, and a scrape's own metrics are of the same moment."""
    asked: list[Shown] = []
    given: list[Shown] = []

    def shown() -> Shown:
        asked.append(make_shown("/"))
        return asked[-1]

    def own(of: Shown) -> CollectorRegistry:
        given.append(of)
        return own_metrics(of)

    with listening(replace(SMALL, shown=shown, own=own)) as port:
        for path in ("/metrics", "/", "/-/healthy", "/-/ready", "/metrics"):
            ask(port, path)
    scraped = [asked[0], asked[2]]
    assert len(asked) == 3
    assert all(one is other for one, other in zip(scraped, given, strict=True))


def test_bug_in_a_metric_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What is nobody's fault but the program's keeps its traceback, and the answer does not look whole."""

    def broken(_shown: Shown) -> CollectorRegistry:
        message = "a bug"
        raise RuntimeError(message)

    with listening(replace(SMALL, own=broken)) as port:
        with pytest.raises(http.client.IncompleteRead):
            ask(port)
        assert is_healthy(port)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Traceback" in caplog.text
    assert "RuntimeError: a bug" in caplog.text
