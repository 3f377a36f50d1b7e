"""From the sections of haproxy.cfg to what its lines can name: a frontend, the backend, and the server.

Strategy: whatever stands in any arm of an `.if` counts, for none of it is ruled out. A name that HAProxy makes anew for
each request (`%[…]`), or of a variable that only HAProxy has, is not known and left out. (`process_switching_rules` in
src/stream.c and `sess_build_logline` in src/log.c, checked against HAProxy 2.6.)
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from haproxy_log_exporter.haproxy_cfg.keywords import SERVER_SECTIONS
from haproxy_log_exporter.haproxy_cfg.proxies import Section
from haproxy_log_exporter.haproxy_cfg.records import Proxy, Route
from haproxy_log_exporter.haproxy_cfg.settings import unique
from haproxy_log_exporter.haproxy_cfg.words import Words

MOST_ROUTES = 100_000
NO_SERVER = "<NOSRV>"  # what HAProxy logs where no server was chosen, and where a backend has none (`dispatch`)

_NUMBERS = re.compile(r"(?:(?P<first>[0-9]{1,9})-)?(?P<last>[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the connections of a section go: the backends that it chooses by `use_backend`, and its own servers.

    A server is its name, or a prefix and the numbers behind it. Both are filled in place, in the order of the file: no
    line takes back what another one said.
    """

    keyword: str
    name: str
    backends: dict[str, None] = field(default_factory=dict)
    servers: dict[tuple[str, range | None], None] = field(default_factory=dict)

    def add(self, words: Words) -> None:
        """Read a line; one that HAProxy would refuse adds nothing."""
        name = read_name(words, 1)
        match words.words[:1]:
            case ["use_backend"] if name:
                self.backends[name] = None
            case ["server"] if name:
                self.servers[name, None] = None
            case ["server-template"] if name and (found := _NUMBERS.fullmatch(read_name(words, 2))):
                self.servers[name, range(int(found["first"] or 1), int(found["last"]) + 1)] = None

    def server_names(self) -> Iterator[str]:
        """Give the names of the servers."""
        for name, numbers in self.servers:
            yield from [name] if numbers is None else (f"{name}{number}" for number in numbers)


def read_name(words: Words, number: int) -> str:
    """Give a word that is a name; empty where it is missing, or where nobody but HAProxy knows it."""
    if words.mistake or number in words.incomplete:
        return ""
    name = "".join(words.words[number : number + 1])
    return "" if "%" in name else name


def find_routes(proxies: Iterable[Proxy], sections: Iterable[Section], wirings: Iterable[Wiring]) -> tuple[Route, ...]:
    """List the routes in the order of the proxies, at most one more than MOST_ROUTES."""
    wirings = tuple(wirings)
    used = _find_backends(sections, wirings)
    servers: dict[str, list[Wiring]] = {}
    for wiring in wirings:
        if wiring.keyword in SERVER_SECTIONS:
            servers.setdefault(wiring.name, []).append(wiring)
    routes: dict[Route, None] = {}
    for proxy in proxies:
        backends = used.get((proxy.section, proxy.name))
        if backends is None:
            continue  # its name is not known
        for route in _routes(proxy, {name: servers[name] for name in backends if name in servers}):
            routes[route] = None
            if len(routes) > MOST_ROUTES:
                return tuple(routes)
    return tuple(routes)


def _find_backends(sections: Iterable[Section], wirings: Iterable[Wiring]) -> dict[tuple[str, str], dict[str, None]]:
    """Give the names of the backends that each proxy uses, as HAProxy asks for them: the default comes last.

    The default of a listen section are its own servers; where it has a default_backend, HAProxy never uses them.
    """
    used: dict[tuple[str, str], dict[str, None]] = {}
    for wiring in wirings:
        used.setdefault((wiring.keyword, wiring.name), {}).update(wiring.backends)
    for section in sections:
        key = (section.keyword, section.name)
        if key in used:
            own = section.name if section.keyword in SERVER_SECTIONS else ""
            names = section.settings.default_backends
            used[key].update(dict.fromkeys(own if name is None else name for name in names))
    return used


def _routes(proxy: Proxy, backends: Mapping[str, Sequence[Wiring]]) -> Iterator[Route]:
    for kind in unique(each.kind for each in proxy.formats if each.kind in ("http", "tcp")):
        yield Route(proxy.name, kind, proxy.name, NO_SERVER)  # what ends before a backend is chosen
        for backend, wirings in backends.items():
            for server in chain.from_iterable(wiring.server_names() for wiring in wirings):
                yield Route(proxy.name, kind, backend, server)
            yield Route(proxy.name, kind, backend, NO_SERVER)
