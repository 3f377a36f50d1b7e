"""The demo, as a user runs it."""

import re
import signal
import subprocess
import urllib.request

from tests.support import Samples, command, read_samples, total, wait_until


def test_the_demo_fills_all_it_promises_and_ends() -> None:
    """Lines arrive through the file and through UDP, none is rejected, and the queries that it prints have data."""
    process = subprocess.Popen(
        command("demo", "--web.listen-address", "127.0.0.1:0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    with process.stdout as output:
        told = "".join(line for line in iter(output.readline, "Ctrl-C ends it.\n"))
        base = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert base
        seen: list[Samples] = []

        def enough() -> bool:
            with urllib.request.urlopen(f"{base[0]}/metrics", timeout=30) as answer:
                seen[:] = [read_samples(answer.read().decode())]
            return total(seen[0], "haproxy_log_exporter_lines_total", result="counted") > 600

        wait_until(enough, what="lines of the demo")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    samples = seen[0]
    by_source = {
        dict(labels)["source"]: value
        for (name, labels), value in samples.items()
        if name == "haproxy_log_exporter_lines_total" and ("result", "counted") in labels
    }
    assert len(by_source) == 2
    assert min(by_source.values()) > 200
    assert total(samples, "haproxy_log_exporter_lines_total", result="rejected") == 0
    assert {"httplog", "httpslog", "tcplog"} == {
        dict(labels)["format"] for name, labels in samples if name == "haproxy_log_exporter_parsed_total"
    }
    queried = set(re.findall(r"haproxy_log_\w+", told)) - {"haproxy_log"}
    assert queried <= {name for name, _ in samples}
    assert total(samples, "haproxy_log_response_duration_seconds_bucket", http_request_path="/search", le="+Inf") > 0
    assert total(samples, "haproxy_log_exporter_source_lag_seconds") < 60
