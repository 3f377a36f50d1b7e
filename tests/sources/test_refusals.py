"""What was refused: counted, and told."""

import pytest

from haproxy_log_exporter.sources.refusals import Refusals


def test_each_counts_and_few_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """The first of each reason, then one a minute, with the last sender; what nobody can mend is not told."""
    now = [0.0]
    refusals = Refusals("tcp://:1", "sender", "handshake", "idle", now=lambda: now[0])
    for second in range(100):
        now[0] = second
        refusals.add("sender", f"::{second}")
        refusals.add("idle", "::1")
    refusals.add("handshake", "::1", OSError("no TLS"))
    assert refusals.counts == {"sender": 100, "handshake": 1, "idle": 100}
    assert [record.getMessage() for record in caplog.records] == [
        "tcp://:1: 1 refused, for --syslog-allow does not name the sender; the last: ::0",
        "tcp://:1: 61 refused, for --syslog-allow does not name the sender; the last: ::60",
        "tcp://:1: 1 refused, for TLS's handshake failed (no TLS); the last: ::1",
    ]
