"""What HAProxy logs of a site, held against the routes that are read from its haproxy.cfg."""

import re
import socket
from pathlib import Path

from haproxy_log_exporter.haproxy_cfg import read_config
from tests.integration.configured_site import BEGIN, get, open_doors, running
from tests.integration.haproxy import talk
from tests.support import need

# `hidden` is reached by a name that is made anew for each request; `s-down` is disabled until it is enabled.
_SITE = """\
    log-format "route %f %b %s"
    default_backend app
frontend web
    bind fd@{web.fd}
    http-request deny if {{ path /denied }}
    use_backend down if {{ path_beg /down }}
    use_backend "%[path,field(2,/)]" if {{ path_beg /hidden }}
    use_backend sent if {{ path_beg /sent }}
    use_backend both if {{ path_beg /both }}
frontend api
    bind fd@{api.fd}
frontend raw
    mode tcp
    bind fd@{raw.fd}
    tcp-request inspect-delay 5s
    tcp-request content reject if {{ req.payload(0,1) -m str x }}
    tcp-request content accept if {{ req.len gt 0 }}
    default_backend raw
listen first
    bind fd@{first.fd}
    server never {behind.place}
defaults
    mode http
    log-format "route %f %b %s"
    log global
    timeout client 20s
    timeout server 20s
    timeout connect 200ms
backend app
    http-request deny if {{ path_end /denied }}
    server-template t 2-3 {behind.place}
backend down
    retries 0
    server s-down {closed.place} disabled
backend hidden
    server h1 {behind.place}
backend sent
    retries 0
    dispatch {closed.place}
backend raw
    mode tcp
    server r1 {behind.place}
listen both
    bind fd@{both.fd}
    http-request deny if {{ path_end /denied }}
    server b1 {behind.place}
defaults
    mode http
    timeout client 20s
frontend behind
    bind fd@{behind.fd}
    http-request return status 200
"""


def _logged(receiver: socket.socket, count: int) -> list[tuple[str | None, ...]]:
    """Take so many lines of requests; give the frontend, the backend and the server of each."""
    found: list[tuple[str | None, ...]] = []
    while len(found) < count:
        if match := re.search(r"route (\S+) (\S+) (\S+)$", receiver.recv(65536).decode().rstrip("\n")):
            found.append(match.groups())
    return found


def test_what_haproxy_logs_is_among_the_routes(tmp_path: Path) -> None:
    """And each route is logged in the end: requests that fail in front, before a server, behind one, and do not."""
    need("haproxy")
    doors = open_doors("web", "api", "raw", "first", "both", "behind")
    with doors as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        port = receiver.getsockname()[1]
        logger = f"global\n    log 127.0.0.1:{port} local0\n"
        file = tmp_path / "haproxy.cfg"
        file.write_text(logger + BEGIN.format(folder=tmp_path) + _SITE.format(**site))
        with running(file, site, port) as haproxy:
            for path in ("/", "/", "/denied", "/a/denied", "/down", "/sent", "/both", "/both/denied", "/hidden"):
                get(site["web"], path)
            for name in ("api", "first"):
                talk(site[name].connect(), b"nonsense\r\n\r\n")
                for path in ("/", "/", "/denied"):
                    get(site[name], path)
            for path in ("/", "/denied"):
                get(site["both"], path)
            for data in (b"xyz", b"GET / HTTP/1.0\r\n\r\n"):
                talk(site["raw"].connect(), data)
            haproxy.ask("enable server down/s-down")
            get(site["web"], "/down")
            logged = {*_logged(receiver, 9 + 2 * 4 + 2 + 2 + 1)}
    config = read_config([(file.name, file.read_text())], {"LOG_PORT": str(port)})
    assert logged - {("web", "hidden", "h1")} == {(each.frontend, each.backend, each.server) for each in config.routes}
    assert {each.kind for each in config.routes if each.frontend == "raw"} == {"tcp"}
