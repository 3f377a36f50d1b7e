"""What holds at a line of haproxy.cfg, and how several of that become one.

Strategy: nobody but HAProxy knows which arm of an `.if` it takes (that hangs on its version, its features and its
environment). So each arm is read from what held before the `.if`, and behind the `.endif` all of that may hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from haproxy_log_exporter.haproxy_cfg.proxies import Section
from haproxy_log_exporter.haproxy_cfg.settings import merge, unique

MOST_ENVIRONMENTS = 16  # combinations of variables that are told apart

Variables = Mapping[str, str]
Key = tuple[str, str]  # a section's place and name


@dataclass(slots=True)
class World:
    """What holds at a line.

    `current` are the sections that it may belong to, `defaults` those that the next proxy may inherit from: more than
    one of them, where the arms of an `.if` differ. `templates` are all defaults sections so far. There is always one
    of `environments` at least.
    """

    environments: tuple[Variables, ...]
    sections: dict[Key, Section] = field(default_factory=dict)
    current: tuple[Key, ...] = ()
    defaults: tuple[Key, ...] = ()
    templates: tuple[Key, ...] = ()

    def copy(self) -> "World":
        """Give a world that goes on by itself."""
        return replace(self, sections={**self.sections})


@dataclass(slots=True)
class Block:
    """An `.if` that is open: its place, what held before it, and what held at the end of each arm so far."""

    place: str
    before: World
    ends: list[World] = field(default_factory=list)
    has_else: bool = False


def merge_worlds(worlds: Sequence[World]) -> World:
    """Join worlds of which one is the real one."""
    sections = {}
    for key in unique(key for world in worlds for key in world.sections):
        same = [world.sections[key] for world in worlds if key in world.sections]
        sections[key] = replace(same[0], settings=merge(section.settings for section in same))
    return World(
        distinct(variables for world in worlds for variables in world.environments),
        sections,
        unique(key for world in worlds for key in world.current),
        unique(key for world in worlds for key in world.defaults),
        unique(key for world in worlds for key in world.templates),
    )


def distinct(environments: Iterable[Variables]) -> tuple[Variables, ...]:
    """Leave out what was there before."""
    found: list[Variables] = []
    for variables in environments:
        if variables not in found:
            found.append(variables)
    return tuple(found)


def change_variables(variables: Variables, words: Sequence[str]) -> Variables:
    """Apply a line of global that sets or unsets variables; what HAProxy would refuse changes nothing."""
    match words:
        case ["setenv", name, value, *_]:
            return {**variables, name: value}
        case ["presetenv", name, value, *_]:
            return {name: value, **variables}
        case ["unsetenv", *names]:
            return {name: value for name, value in variables.items() if name not in names}
        case ["resetenv", *names]:
            return {name: value for name, value in variables.items() if name in names}
    return variables
