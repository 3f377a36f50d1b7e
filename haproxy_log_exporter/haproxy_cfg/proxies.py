"""From the sections that log to the proxies that are told of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from haproxy_log_exporter.haproxy_cfg.keywords import LOGGING_SECTIONS
from haproxy_log_exporter.haproxy_cfg.records import MOST_CAPTURES, Proxy, ProxyFormat
from haproxy_log_exporter.haproxy_cfg.settings import Chosen, Settings, merge, unique
from haproxy_log_exporter.logformat.presets import PRESETS

_KINDS = {preset.name: preset.kind for preset in PRESETS}
_NAMES = {preset.source: preset.name for preset in PRESETS if preset.kind in ("http", "tcp")}

# Outside of mode http these options mean another one: `proxy_cfg_ensure_no_http` in src/proxy.c. For httplog clf it was
# tcplog up to version 3.0 and is tcplog clf from then on, and haproxy.cfg does not tell the version.
_FALLBACKS = {"httplog": ("tcplog",), "httpslog": ("tcplog",), "httplog-clf": ("tcplog", "tcplog-clf")}


@dataclass(frozen=True, slots=True)
class Section:
    """A section of haproxy.cfg: its keyword, name and place, and what it says about logging."""

    keyword: str
    name: str
    place: str
    settings: Settings


def list_proxies(sections: Iterable[Section]) -> Iterator[Proxy]:
    """Give each frontend and listen section; two of one name stand in different arms of an `.if` and are one."""
    by_name: dict[tuple[str, str], list[Section]] = {}
    for section in sections:
        if section.keyword in LOGGING_SECTIONS:
            by_name.setdefault((section.keyword, section.name), []).append(section)
    for same in by_name.values():
        yield _proxy(same)


def list_warnings(proxies: Iterable[Proxy]) -> Iterator[str]:
    """Tell of the proxies whose captured headers have no names."""
    for proxy in proxies:
        if not proxy.captures:
            yield (
                f"{proxy.section} {proxy.name}: the arms of its .if make more than {MOST_CAPTURES} combinations of"
                " captured headers, so these have no names"
            )


def _proxy(same: list[Section]) -> Proxy:
    section = same[0]
    settings = merge(each.settings for each in same)
    formats = [
        found
        for mode in settings.modes
        for chosen in settings.formats
        for found in _formats(chosen, mode, section.place)
    ]
    formats += [ProxyFormat("error", "", chosen.source, chosen.place) for chosen in settings.errors if chosen]
    distinct: dict[tuple[str, str, str], ProxyFormat] = {}
    for found in formats:
        distinct.setdefault((found.kind, found.preset, found.source), found)
    return Proxy(
        section.name,
        section.keyword,
        "http" if "http" in settings.modes else settings.modes[0],
        tuple(distinct.values()),
        unique(slots.named() for slots in settings.captures),
    )


def _formats(chosen: Chosen | None, mode: str, place: str) -> Iterator[ProxyFormat]:
    """Give what a setting comes to in a mode; the place is that of the proxy, where nothing is set."""
    if chosen is None:
        yield ProxyFormat("connect", "connect", "", place)
    elif chosen.preset:
        presets = (chosen.preset,) if mode == "http" else _FALLBACKS.get(chosen.preset, (chosen.preset,))
        for preset in presets:
            yield ProxyFormat(_KINDS[preset], preset, "", chosen.place)
    elif chosen.source in _NAMES:
        preset = _NAMES[chosen.source]
        yield ProxyFormat(_KINDS[preset], preset, "", chosen.place)
    else:
        yield ProxyFormat("http" if mode == "http" else "tcp", "", chosen.source, chosen.place)
