"""Pipelines for tests, lines of each kind for them, and what they show then."""

from collections.abc import Sequence

from haproxy_log_exporter.choice import Choice, PathChoice
from haproxy_log_exporter.engine import build_pipeline
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.logformat.wrappers import Unwrapper
from haproxy_log_exporter.metrics.exposition import render
from haproxy_log_exporter.metrics.shown import Tally
from haproxy_log_exporter.pipeline import Intake, Pipeline
from haproxy_log_exporter.sources.framing import LONGEST_LINE
from tests.support import Samples, read_samples

LABELS = ("status_code", "backend_name", "server_name", "http_request_method", "http_request_path", "ssl")
LINE_COUNTERS = ("requests_total", "sessions_total", "connection_errors_total", "notices_total")

HTTP = (
    b"127.0.0.1:1 [20/Nov/2026:04:30:27.864] web bk/s1 0/0/0/5/6 200 228 - - ---- 1/1/0/0/0 0/0 "
    b'{a} {b} "GET /a HTTP/1.1"'
)
HTTPS = HTTP + b" 0/0000000000000000/0/0/0 -/TLSv1.3/TLS_AES_256_GCM_SHA384"
TCP = b"127.0.0.1:1 [20/Nov/2026:04:30:33.379] tcp tcp/s1 1/0/0 229 -- 1/1/0/0/0 0/0"
ERROR = b"127.0.0.1:1 [20/Nov/2026:04:30:32.456] tls/1: SSL handshake failure"
CONNECT = b"Connect from 127.0.0.1:37132 to 127.0.0.1:28084 (deflog/HTTP)"
HTTP_CLF = (
    b'127.0.0.1 - - [20/Nov/2026:04:30:33 +0000] "GET /clf HTTP/1.1" 200 228 "" "" 36172 068 "clf" "bk" "s1" '
    b'0 0 0 0 0 ---- 1 1 0 0 0 0 0 "" "" "127.0.0.1:28081" '
)
TCP_CLF = (
    b'127.0.0.1 - - [20/Nov/2026:04:30:58 +0000] "TCP " 000 229 "" "" 52148 612 "tcpclf" "tcpclf" "s1" '
    b'0 1 0 0 81 ---- 1 1 0 0 0 0 0 "" "" '
)
NOTICE = b"Proxy fmt2 stopped (cumulated conns: FE: 1, BE: 0)."
CUT = HTTP[:-8]
NOISE = b"not a line of HAProxy's"


# As many values and label sets as there are.
UNLIMITED = Limits(10**9, (), 10**9)
AS_THEY_ARE = PathChoice(ids=False)


def build(
    *formats: str,
    labels: Sequence[str] = LABELS,
    metrics: Sequence[str] = LINE_COUNTERS,
    limits: Limits | None = None,
    paths: PathChoice | None = None,
) -> Pipeline:
    """Build a pipeline that counts lines."""
    return build_pipeline(
        Choice(tuple(labels), tuple(metrics), ("1",), formats, limits=limits or Limits(), paths=paths or PathChoice())
    )


def take(pipeline: Pipeline, *lines: bytes, intake: Intake | None = None) -> Tally:
    """Let a pipeline take lines at once, and flush."""
    intake = intake or pipeline.intake("test")
    pipeline.take(b"".join(line + b"\n" for line in lines), intake)
    pipeline.flush()
    return intake.tally


def exposition(pipeline: Pipeline) -> str:
    """Write what is shown."""
    return b"".join(render(pipeline.shown().tables, open_metrics=False)).decode()


def samples_of(pipeline: Pipeline) -> Samples:
    """Read what is shown, by name and labels."""
    return read_samples(exposition(pipeline))


def results(tally: Tally) -> tuple[int, int, int, int]:
    """Tell what became of the lines: counted, noticed, filtered, rejected."""
    return tally.counted, tally.notices, tally.filtered, tally.rejected


def is_bare(line: bytes) -> bool:
    """Whether a line neither is in a wrapper nor begins one: what a wrapper holds beside its payload is no line."""
    return Unwrapper(LONGEST_LINE).unwrap(line + b"\n").rest == line + b"\n"
