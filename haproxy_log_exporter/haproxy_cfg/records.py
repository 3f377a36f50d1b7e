"""What is found in haproxy.cfg."""

from dataclasses import dataclass

MOST_CAPTURES = 16  # combinations of `.if` arms that are told apart


@dataclass(frozen=True, slots=True)
class ProxyFormat:
    """One way in which a proxy logs.

    `kind` is http, tcp, connect (no format is set) or error (error-log-format). `preset` is the name of a built-in
    format, or empty where `source` is a log-format string, free of haproxy.cfg's quoting, escapes and variables.
    `place` is where it is set, as `haproxy.cfg:12`.
    """

    kind: str
    preset: str
    source: str
    place: str


@dataclass(frozen=True, slots=True)
class Captures:
    """The names of the captured headers by slot, as parts of labels; empty for a slot without a name."""

    request: tuple[str, ...] = ()
    response: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proxy:
    """A frontend or a listen section.

    `formats` are alternatives, and so are `captures`: usually there is one, and another for each arm of an `.if` that
    changes it. There are no `captures` where there would be more than MOST_CAPTURES.
    """

    name: str
    section: str
    mode: str
    formats: tuple[ProxyFormat, ...]
    captures: tuple[Captures, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """What the lines of a frontend or listen section can name: a backend and its server, or <NOSRV> for none.

    `kind` is that of the lines, http or tcp.
    """

    frontend: str
    kind: str
    backend: str
    server: str


@dataclass(frozen=True, slots=True)
class HAProxyConfig:
    """All proxies that log, in their order, what is worth telling but stops nothing, and all routes that are known."""

    proxies: tuple[Proxy, ...]
    warnings: tuple[str, ...]
    routes: tuple[Route, ...]
