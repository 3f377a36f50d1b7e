"""The page at `/`."""

from html import escape

from haproxy_log_exporter import __version__

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>haproxy-log-exporter</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
code {{ font-family: ui-monospace, monospace; }}
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
</main>
</body>
</html>
"""


def index_page(telemetry_path: str, sources: tuple[str, ...]) -> str:
    """Write the page; every value is escaped."""
    items = "\n".join(f"<li><code>{escape(source)}</code></li>" for source in sources)
    return _PAGE.format(version=escape(__version__), path=escape(telemetry_path), sources=items)
