"""The formats to try: presets by name, log-format strings, and those that haproxy.cfg uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, Proxy, ProxyFormat
from haproxy_log_exporter.labels.reading import Slots
from haproxy_log_exporter.logformat.compiler import compile_format, format_kind
from haproxy_log_exporter.logformat.guards import Guards, of_frontends
from haproxy_log_exporter.logformat.presets import PRESETS

_PRESETS = {preset.name: preset for preset in PRESETS}


@dataclass(frozen=True, slots=True)
class Format:
    """A format to try: its name, the kind of line it is, its log-format string, and what its frontends capture.

    The name is the preset's, or a number; "" is not decided yet. Where others write lines of another kind with the same
    string, `frontends` are those whose lines are of this one.
    """

    name: str
    kind: str
    source: str
    slots: Slots = field(default_factory=Slots)
    frontends: tuple[str, ...] = ()

    @property
    def guards(self) -> Guards:
        """What must stand in its lines."""
        return of_frontends(self.frontends) if self.frontends else {}


class Numbering:
    """Gives log-format strings the numbers that they are named by, for as long as the process lives."""

    def __init__(self) -> None:
        """Number nothing yet."""
        self._numbers: dict[str, str] = {}

    def name(self, formats: Sequence[Format]) -> list[Format]:
        """Name strings by their position among the formats, or as before."""
        named = []
        for position, each in enumerate(formats, start=1):
            if not each.name and each.source not in self._numbers:
                taken = self._numbers.values()
                numbers = map(str, chain([position], count(len(taken) + 1)))
                self._numbers[each.source] = next(number for number in numbers if number not in taken)
            named.append(replace(each, name=each.name or self._numbers[each.source]))
        return named


def find_formats(
    names: Sequence[str], configured: Sequence[Format], numbering: Numbering | None = None
) -> list[Format]:
    """Look up presets by name, take log-format strings, and add those of haproxy.cfg; without any, all presets.

    Strings are named by their numbers.

    Raises:
        UsageError: for each name that is no preset and each string that cannot be read.
    """
    if not names and not configured:
        return [Format(preset.name, preset.kind, preset.source) for preset in PRESETS]
    found: list[Format] = []
    problems = []
    for name in names:
        if name in _PRESETS:
            found.append(Format(name, _PRESETS[name].kind, _PRESETS[name].source))
        elif "%" not in name:
            problems.append(f"--format: no preset is named {name!r}; there are {', '.join(_PRESETS)}")
        else:
            try:
                compile_format("", "", name).prepare()
                found.append(Format("", format_kind(name), name))
            except UsageError as error:
                problems += [f"--format: {message}" for message in error.messages]
    if problems:
        raise UsageError(*problems)
    written = {each.source for each in configured}
    return (numbering or Numbering()).name([*(each for each in found if each.source not in written), *configured])


def configured_formats(config: HAProxyConfig) -> tuple[Format, ...]:
    """Tell which formats the proxies of haproxy.cfg write, each with what its frontends capture.

    Raises:
        UsageError: naming the place of each log-format that cannot be read, or that there is no proxy.
    """
    users: dict[str, dict[str, list[Proxy]]] = {}
    problems: dict[str, str] = {}
    for proxy in config.proxies:
        for each in proxy.formats:
            source = _source(each)
            if source not in users and not each.preset:
                try:
                    compile_format("", "", source).prepare()
                except UsageError as error:
                    problems |= {f"{each.place}: {message}": "" for message in error.messages}
            users.setdefault(source, {}).setdefault(each.kind, []).append(proxy)
    if problems:
        raise UsageError(*problems)
    if not config.proxies:
        message = "--haproxy-config: there is no frontend and no listen, so nothing is logged"
        raise UsageError(message)
    found = [each for source, kinds in users.items() for each in _formats(source, kinds)]
    if not any(each.kind == "error" for each in found):
        found.append(_format(_PRESETS["error"].source, "error", config.proxies))
    return tuple(found)


def _formats(source: str, kinds: Mapping[str, Sequence[Proxy]]) -> list[Format]:
    """Tell formats apart that are written alike: by the frontend, or not at all, where the format does not name it."""
    kinds = {kind: [*dict.fromkeys(proxies)] for kind, proxies in kinds.items()}
    traffic = [proxy for kind, proxies in kinds.items() if kind != "error" for proxy in proxies]
    kinds["error"] = [proxy for proxy in kinds.get("error", ()) if proxy not in traffic]
    kinds = {kind: proxies for kind, proxies in kinds.items() if proxies}
    if len(kinds) == 1:
        return [_format(source, kind, proxies) for kind, proxies in kinds.items()]
    if "frontend_name" not in compile_format("", "", source).fields:
        everyone = [*dict.fromkeys(proxy for proxies in kinds.values() for proxy in proxies)]
        return [_format(source, format_kind(source), everyone)]
    return [
        replace(_format(source, kind, proxies), frontends=tuple(proxy.name for proxy in proxies))
        for kind, proxies in kinds.items()
    ]


def with_former(formats: Sequence[Format], former: Sequence[Format]) -> tuple[Format, ...]:
    """Add the formats that were in use before: HAProxy's old process writes them until its last connection ends."""
    written = {each.source for each in formats}
    return (*formats, *(each for each in former if each.source not in written))


def proxy_formats(proxy: Proxy) -> list[Format]:
    """Tell which formats one proxy writes."""
    return [_format(_source(each), each.kind, (proxy,)) for each in proxy.formats]


def _format(source: str, kind: str, proxies: Sequence[Proxy]) -> Format:
    slots = Slots(
        {proxy.name: tuple(captures.request for captures in proxy.captures) for proxy in proxies},
        {proxy.name: tuple(captures.response for captures in proxy.captures) for proxy in proxies},
    )
    return Format(next((preset.name for preset in PRESETS if preset.source == source), ""), kind, source, slots)


def _source(each: ProxyFormat) -> str:
    r"""Give the log-format string as HAProxy takes it without quotes, where each "\" is written twice."""
    return _PRESETS[each.preset].source if each.preset else each.source.replace("\\", "\\\\")
