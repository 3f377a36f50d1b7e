"""Walks through haproxy.cfg: which section a line belongs to, what it inherits, and which `.if` it stands in.

From `parse_cfg` in src/cfgparse.c and `cfg_parse_listen` in src/cfgparse-listen.c, checked against HAProxy 2.6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg.keywords import (
    INTERESTING,
    LOGGING,
    LOGGING_SECTIONS,
    NOT_READ,
    PRESET_VARIABLES,
    SECTIONS,
    SERVER_SECTIONS,
    VARIABLES,
)
from haproxy_log_exporter.haproxy_cfg.proxies import Section, list_proxies, list_warnings
from haproxy_log_exporter.haproxy_cfg.records import HAProxyConfig
from haproxy_log_exporter.haproxy_cfg.routes import MOST_ROUTES, Wiring, find_routes, read_name
from haproxy_log_exporter.haproxy_cfg.settings import Settings, change, concerns, merge, unique
from haproxy_log_exporter.haproxy_cfg.words import Words, split_line
from haproxy_log_exporter.haproxy_cfg.worlds import (
    MOST_ENVIRONMENTS,
    Block,
    Key,
    Variables,
    World,
    change_variables,
    distinct,
    merge_worlds,
)
from haproxy_log_exporter.logformat.presets import PRESETS

MOST_MISTAKES = 50  # as many as HAProxy tells


def read_config(files: Sequence[tuple[str, str]], environment: Mapping[str, str]) -> HAProxyConfig:
    """Read files, each with its name and text, in their order, as HAProxy does with several `-f`.

    Raises:
        UsageError: with every mistake that keeps the logging from being known, each with its file and line.
    """
    predefined = {PRESET_VARIABLES[preset.name]: preset.source for preset in PRESETS if preset.name in PRESET_VARIABLES}
    reader = _Reader({**predefined, **environment})
    for name, text in files:
        reader.read(name, text)
    if mistakes := unique(reader.mistakes):
        more = [f"and {len(mistakes) - MOST_MISTAKES} more mistakes"] if len(mistakes) > MOST_MISTAKES else []
        raise UsageError(*mistakes[:MOST_MISTAKES], *more)
    sections = reader.world.sections.values()
    proxies = tuple(list_proxies(sections))
    routes = find_routes(proxies, sections, reader.wirings.values())
    warnings = [*reader.warnings, *list_warnings(proxies)]
    if len(routes) > MOST_ROUTES:
        warnings.append(f"only {MOST_ROUTES} combinations of a frontend, a backend and a server are known beforehand")
    return HAProxyConfig(proxies, unique(warnings), routes[:MOST_ROUTES])


class _Reader:
    """The reading position in the files."""

    def __init__(self, variables: Variables) -> None:
        self.world = World((variables,))
        self.wirings: dict[Key, Wiring] = {}
        self.blocks: list[Block] = []
        self.mistakes: list[str] = []
        self.warnings: list[str] = []
        self.name = ""
        self.number = 0
        self.line = ""

    @property
    def place(self) -> str:
        return f"{self.name}:{self.number}"

    def read(self, name: str, text: str) -> None:
        """Read one file. Its last section and its blocks end with it, its defaults hold on."""
        self.name = name
        self.world.current = ()
        for number, line in enumerate(text.split("\n"), 1):
            self.number, self.line = number, line
            if self._may_matter():
                self._read_line()
        for block in self.blocks:
            self.mistakes.append(f"{block.place}: this .if has no .endif in its file")
        while self.blocks:
            self._macro(".endif")

    def _may_matter(self) -> bool:
        """Tell by its first word whether a line has to be split at all: in a large file most have not."""
        first = next(iter(self.line.split(maxsplit=1)), "#")
        if first[0] in "#[":  # a comment, or a scope, which says nothing about logging
            return False
        return first in INTERESTING or first[0] == "." or any(char in first for char in "\"'\\#")

    def _read_line(self) -> None:
        """Line = macro / section / variables, in global / setting, in a section that logs."""
        readings = self._readings()
        keyword = next(iter(readings[0].words), "")
        if keyword.startswith("."):
            self._macro(keyword)
        elif keyword in SECTIONS:
            self._section(keyword, readings)
        elif keyword in VARIABLES:
            self._set_variables(readings)
        elif keyword:
            self._set(readings)

    def _readings(self) -> tuple[Words, ...]:
        """Split the line under each of the environments."""
        if "$" not in self.line:
            return (split_line(self.line, {}),) * len(self.world.environments)
        names = (name or self.world.sections[place, name].keyword for place, name in self.world.current)
        facts = {".FILE": self.name, ".LINE": str(self.number), ".SECTION": next(names, "")}
        return tuple(split_line(self.line, {**variables, **facts}) for variables in self.world.environments)

    def _macro(self, keyword: str) -> None:
        """Block = ".if" lines *( ".elif" lines ) [ ".else" lines ] ".endif"; other macros only speak."""
        if keyword == ".if":
            self.blocks.append(Block(self.place, self.world))
            self.world = self.world.copy()
        elif keyword not in (".elif", ".else", ".endif"):
            return
        elif not self.blocks:
            self.mistakes.append(f"{self.place}: there is no .if before this {keyword}")
        elif keyword == ".endif":
            block = self.blocks.pop()
            self.world = merge_worlds([*([] if block.has_else else [block.before]), *block.ends, self.world])
            self._hold(self.world.environments)
        else:
            block = self.blocks[-1]
            if block.has_else:
                self.mistakes.append(f"{self.place}: no {keyword} may follow the .else of the .if at {block.place}")
            block.has_else |= keyword == ".else"
            block.ends.append(self.world)
            self.world = block.before.copy()

    def _section(self, keyword: str, readings: Sequence[Words]) -> None:
        """Section = keyword [ name [ "from" defaults ] ]; `defaults` alone needs no name."""
        self.world.current = ()
        if keyword in NOT_READ:
            self._warn_unread(keyword)
        if keyword not in ("defaults", "global", *LOGGING_SECTIONS, *SERVER_SECTIONS):
            return
        begin = self._open_backend if keyword == "backend" else self._open
        self.world.current = unique(key for words in unique(readings) for key in begin(keyword, words))
        if keyword == "defaults":
            self.world.defaults = self.world.current
            self.world.templates += self.world.current

    def _open(self, keyword: str, words: Words) -> Sequence[Key]:
        """Begin a section; without a name that can be read there is none."""
        match words.words:
            case _ if words.mistake:
                self._complain(words.mistake.show(self.line))
                return ()
            case ["defaults", "from", parent]:
                name, settings = "", self._named(parent)
            case [_, name, "from", parent, *_]:
                settings = self._named(parent)
            case ["defaults", *names]:
                name, settings = "".join(names[:1]), Settings()
            case [_, name, *_]:
                inherited = [self.world.sections[key].settings for key in self.world.defaults]
                settings = merge(inherited or [Settings()])
            case ["global"]:
                name, settings = "", Settings()
            case _:
                self._complain(f"{keyword} needs a name, as {keyword} NAME{_unset(words, '; ')}")
                return ()
        key = (self.place, name)
        self.world.sections[key] = Section(keyword, name, self.place, settings)
        self._wire(key, keyword, words)
        return (key,)

    def _open_backend(self, keyword: str, words: Words) -> Sequence[Key]:
        """Begin a section that says nothing about logging, so that it does not matter what is wrong with it."""
        key = (self.place, "".join(words.words[1:2]))
        if words.mistake or not key[1]:
            return ()
        self._wire(key, keyword, words)
        return (key,)

    def _wire(self, key: Key, keyword: str, words: Words) -> None:
        if name := read_name(words, 1):
            self.wirings[key] = Wiring(keyword, name)

    def _named(self, name: str) -> Settings:
        """Give what holds in the defaults sections of a name, which must stand before."""
        sections = [self.world.sections[key] for key in self.world.templates]
        named = [section.settings for section in sections if section.name == name]
        if not named:
            known = ", ".join(unique(section.name for section in sections if section.name))
            before = f"those before it are {known}" if known else "none with a name stands before it"
            self._complain(f"there is no defaults section {name}; {before}")
        return merge(named or [Settings()])

    def _set_variables(self, readings: Sequence[Words]) -> None:
        if not any(section.keyword == "global" for section in self._sections().values()):
            return
        for mistake in unique(words.mistake for words in readings if words.mistake):
            self._complain(mistake.show(self.line))
        pairs = zip(self.world.environments, readings, strict=True)
        changed = [change_variables(variables, words.words) for variables, words in pairs]
        certain = len(self.world.current) == 1
        self._hold(distinct(changed if certain else [*self.world.environments, *changed]))

    def _hold(self, environments: tuple[Variables, ...]) -> None:
        self.world.environments = environments[:MOST_ENVIRONMENTS]
        if len(environments) > MOST_ENVIRONMENTS:
            self._warn(f"only {MOST_ENVIRONMENTS} of {len(environments)} combinations of variables are read")

    def _set(self, readings: Sequence[Words]) -> None:
        """Apply a line to the sections that it may belong to; where that is not certain, it is an alternative."""
        for key in self.world.current:
            for words in readings if key in self.wirings else ():
                self.wirings[key].add(words)
        for key, section in self._sections().items():
            if section.keyword == "global":
                continue
            changed = [self._change(section.settings, words) for words in unique(readings)]
            if len(self.world.current) > 1:
                changed.insert(0, section.settings)
            self.world.sections[key] = replace(section, settings=merge(changed))

    def _sections(self) -> dict[Key, Section]:
        """Give the sections that the line may belong to, but backends."""
        return {key: self.world.sections[key] for key in self.world.current if key in self.world.sections}

    def _change(self, settings: Settings, words: Words) -> Settings:
        negated = words.words[:1] in (("no",), ("default",))
        bare = words.words[1:] if negated else words.words
        if bare[:1] == ("log-format-sd",):
            self._warn_unread(bare[0])
        if words.words[:1] == ("default_backend",):
            return replace(settings, default_backends=(read_name(words, 1),))
        if not concerns(bare, LOGGING):
            return settings
        if words.mistake:
            self._complain(words.mistake.show(self.line))
            return settings
        try:
            changed = change(settings, words.words, self.place)
        except ValueError as error:
            self._complain(f"{error}{_unset(words, '; ')}")
            return settings
        if words.unset:
            self._warn(_unset(words))
        return changed

    def _complain(self, problem: str) -> None:
        self.mistakes.append(f"{self.place}: {problem}")

    def _warn(self, warning: str) -> None:
        self.warnings.append(f"{self.place}: {warning}")

    def _warn_unread(self, keyword: str) -> None:
        self._warn(f"{keyword} is not read: {NOT_READ[keyword]}")


def _unset(words: Words, before: str = "") -> str:
    """Tell of variables that HAProxy may have and the exporter has not."""
    names = ", ".join(unique(words.unset))
    return f"{before}empty here, as it is not set for the exporter: {names}" if names else ""
