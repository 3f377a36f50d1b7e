"""The formats to try: presets by name, log-format strings, and those that haproxy.cfg uses."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, Proxy
from haproxy_log_exporter.labels.reading import Slots
from haproxy_log_exporter.logformat.compiler import compile_format, format_kind
from haproxy_log_exporter.logformat.presets import PRESETS

_PRESETS = {preset.name: preset for preset in PRESETS}


@dataclass(frozen=True, slots=True)
class Format:
    """A format to try: its name, the kind of line it is, its log-format string, and what its frontends capture.

    The name is the preset's, or the position of a string among all formats that are tried; "" is not decided yet.
    """

    name: str
    kind: str
    source: str
    slots: Slots = field(default_factory=Slots)


def find_formats(names: Sequence[str], configured: Sequence[Format]) -> list[Format]:
    """Look up presets by name, take log-format strings, and add those of haproxy.cfg; without any, all presets.

    Raises:
        UsageError: for each name that is no preset and each string that cannot be read.
    """
    if not names and not configured:
        return [Format(preset.name, preset.kind, preset.source) for preset in PRESETS]
    found: dict[tuple[str, str], Format] = {}
    problems = []
    for name in names:
        if name in _PRESETS:
            found[name, ""] = Format(name, _PRESETS[name].kind, _PRESETS[name].source)
        elif "%" not in name:
            problems.append(f"--format: no preset is named {name!r}; there are {', '.join(_PRESETS)}")
        else:
            try:
                compile_format("", "", name)
                found["", name] = Format("", format_kind(name), name)
            except UsageError as error:
                problems += error.messages
    if problems:
        raise UsageError(*problems)
    for each in configured:
        found[each.name, "" if each.name else each.source] = each
    numbered = enumerate(found.values(), start=1)
    return [Format(each.name or str(position), each.kind, each.source, each.slots) for position, each in numbered]


def configured_formats(config: HAProxyConfig) -> tuple[Format, ...]:
    """Tell which formats the proxies of haproxy.cfg write, each with what its frontends capture.

    Raises:
        UsageError: naming the place of each log-format that cannot be read.
    """
    users: dict[tuple[str, str, str], list[Proxy]] = {}
    problems = []
    for proxy in config.proxies:
        traffic = {each.source for each in proxy.formats if each.kind != "error"}
        for each in proxy.formats:
            if each.kind == "error" and each.source in traffic:
                continue  # nothing would tell its lines from the others
            key = (each.preset, each.kind, each.source)
            if key not in users and not each.preset:
                try:
                    compile_format("", each.kind, _verbatim(each.source))
                except UsageError as error:
                    problems += [f"{each.place}: {message}" for message in error.messages]
            users.setdefault(key, []).append(proxy)
    if problems:
        raise UsageError(*problems)
    found = [_format(*key, proxies) for key, proxies in users.items()]
    if not any(each.kind == "error" for each in found):
        found.append(_format("error", "error", "", config.proxies))
    return tuple(found)


def with_former(formats: Sequence[Format], former: Sequence[Format]) -> tuple[Format, ...]:
    """Add the formats that were in use before: HAProxy's old process writes them until its last connection ends."""
    known = {(each.name, each.kind, each.source) for each in formats}
    return (*formats, *(each for each in former if (each.name, each.kind, each.source) not in known))


def proxy_formats(proxy: Proxy) -> list[Format]:
    """Tell which formats one proxy writes."""
    return [_format(each.preset, each.kind, each.source, (proxy,)) for each in proxy.formats]


def _format(preset: str, kind: str, source: str, proxies: Sequence[Proxy]) -> Format:
    slots = Slots(
        {proxy.name: tuple(captures.request for captures in proxy.captures) for proxy in proxies},
        {proxy.name: tuple(captures.response for captures in proxy.captures) for proxy in proxies},
    )
    if preset:
        return Format(preset, _PRESETS[preset].kind, _PRESETS[preset].source, slots)
    return Format("", kind, _verbatim(source), slots)


def _verbatim(source: str) -> str:
    r"""Write a string whose quoting was undone as it would stand without quotes, where "\" takes a backslash."""
    return source.replace("\\", "\\\\")
