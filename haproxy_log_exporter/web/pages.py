"""The page at `/`."""

from collections.abc import Mapping, Sequence
from html import escape

from haproxy_log_exporter import __version__
from haproxy_log_exporter.messages import printable

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>haproxy-log-exporter</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
code {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>haproxy-log-exporter</h1>
<p>Prometheus metrics from HAProxy's log lines. Version {version}.</p>
<ul>
<li><a href="{path}">Metrics</a></li>
<li><a href="/-/healthy">Healthy?</a></li>
<li><a href="/-/ready">Ready?</a></li>
</ul>
<h2>Sources</h2>
<ul>
{sources}
</ul>
{rejects}
</main>
</body>
</html>
"""


_REJECTS = """<h2>Lines that were rejected last</h2>
<p><code>haproxy-log-exporter check FILE</code> tells why.</p>
<ul>
{items}
</ul>"""


def index_page(telemetry_path: str, sources: Sequence[str], rejects: Mapping[str, Sequence[bytes]]) -> str:
    """Write the page; every value is escaped."""
    lines = [printable(line) for each in rejects.values() for line in each]
    return _PAGE.format(
        version=escape(__version__),
        path=escape(telemetry_path),
        sources=_items(sources),
        rejects=_REJECTS.format(items=_items(lines)) if lines else "",
    )


def _items(texts: Sequence[str]) -> str:
    return "\n".join(f"<li><code>{escape(text)}</code></li>" for text in texts)
