"""What a section of haproxy.cfg says about logging."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from haproxy_log_exporter.haproxy_cfg.captures import Slots, read_capture
from haproxy_log_exporter.haproxy_cfg.records import MOST_CAPTURES

_Setting = TypeVar("_Setting")

_OPTIONS = {
    ("httplog",): "httplog",
    ("httplog", "clf"): "httplog-clf",
    ("httpslog",): "httpslog",
    ("tcplog",): "tcplog",
    ("tcplog", "clf"): "tcplog-clf",
}


class Chosen(NamedTuple):
    """A format as a line sets it: by an option, which names a preset, or by a string."""

    preset: str
    source: str
    place: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a section: of each setting all values that may be in force, as the arms of an `.if` differ.

    None is a format or a backend that nobody set; an empty backend is one whose name is not known. No captures at all
    means that there are too many alternatives.
    """

    modes: tuple[str, ...] = ("tcp",)
    formats: tuple[Chosen | None, ...] = (None,)
    errors: tuple[Chosen | None, ...] = (None,)
    captures: tuple[Slots, ...] = (Slots(),)
    default_backends: tuple[str | None, ...] = (None,)


def merge(alternatives: Iterable[Settings]) -> Settings:
    """Join settings of which nobody knows which is in force."""
    settings = unique(alternatives)
    if len(settings) == 1:
        return settings[0]
    captures = unique(slots for each in settings for slots in each.captures)
    known = all(each.captures for each in settings) and len(captures) <= MOST_CAPTURES
    return Settings(
        unique(mode for each in settings for mode in each.modes),
        unique(chosen for each in settings for chosen in each.formats),
        unique(chosen for each in settings for chosen in each.errors),
        captures if known else (),
        unique(backend for each in settings for backend in each.default_backends),
    )


def unique(values: Iterable[_Setting]) -> tuple[_Setting, ...]:
    """Leave out what was there before."""
    return tuple(dict.fromkeys(values))


def concerns(words: Sequence[str], keywords: Iterable[tuple[str, ...]]) -> bool:
    """Whether a line begins with one of the keywords."""
    return any(tuple(words[: len(keyword)]) == keyword for keyword in keywords)


def change(settings: Settings, words: Sequence[str], place: str) -> Settings:
    """Apply a line: what it sets replaces all that stood before.

    Raises:
        ValueError: with what would be right.
    """
    match words:
        case ["no" | "default", *rest]:
            return _without(settings, rest)
        case ["mode", mode, *_]:
            return replace(settings, modes=(mode,))
        case ["option", "httplog" | "tcplog" | "httpslog", *_]:
            return replace(settings, formats=(Chosen(_preset(words), "", place),))
        case ["log-format", *_]:
            return replace(settings, formats=(Chosen("", _only_word(words), place),))
        case ["error-log-format", *_]:
            return replace(settings, errors=(Chosen("", _only_word(words), place),))
    capture = read_capture(words)
    if capture is None:
        return settings
    return replace(settings, captures=tuple(slots.changed(capture) for slots in settings.captures))


def _without(settings: Settings, words: Sequence[str]) -> Settings:
    """Unset a format. HAProxy refuses that, for these it knows no `no`; there is only one thing it can mean."""
    match words:
        case ["option", "httplog" | "tcplog" | "httpslog" as option, *_]:
            presets = {preset for (name, *_), preset in _OPTIONS.items() if name == option}
            kept = (chosen and (None if chosen.preset in presets else chosen) for chosen in settings.formats)
        case ["log-format", *_]:
            kept = (chosen and (chosen if chosen.preset else None) for chosen in settings.formats)
        case ["error-log-format", *_]:
            return replace(settings, errors=(None,))
        case _:
            return settings
    return replace(settings, formats=unique(kept))


def _preset(words: Sequence[str]) -> str:
    name, *rest = words[1:]
    if name == "httpslog":
        return name  # HAProxy looks at nothing behind it
    preset = _OPTIONS.get((name, *rest))
    if preset is None:
        problem = f"option {name} may be followed by clf and by nothing else, not by {' '.join(rest)}"
        raise ValueError(problem)
    return preset


def _only_word(words: Sequence[str]) -> str:
    match words:
        case [_, source]:
            return source
        case [keyword]:
            problem = f"{keyword} has no format behind it; it is one word, in quotes if it holds blanks"
        case [keyword, *sources]:
            problem = (
                f"{keyword} has {len(sources)} words behind it, and must have one;"
                " a format with blanks needs quotes around it, or a backslash before each blank"
            )
    raise ValueError(problem)
