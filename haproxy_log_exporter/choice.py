"""What is to be counted, and how: all that is chosen on the command line and in files, before it is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from haproxy_log_exporter.formats import Format, Numbering
from haproxy_log_exporter.haproxy_cfg import Route
from haproxy_log_exporter.labels.limits import Limits
from haproxy_log_exporter.labels.rules import Rule


@dataclass(frozen=True, slots=True)
class MetricChoice:
    """A metric with labels and buckets of its own; None stands for those of all.

    `place` is where it was chosen, for messages.
    """

    name: str
    labels: tuple[str, ...] | None = None
    buckets: tuple[str, ...] | None = None
    place: str = field(default="--metric", compare=False)


@dataclass(frozen=True, slots=True)
class RulesChoice:
    """The rules for one label, in their order; `place` is where they stand, for messages."""

    label: str
    rules: tuple[Rule, ...]
    place: str = field(default="rules", compare=False)


@dataclass(frozen=True, slots=True)
class PathChoice:
    """What becomes of paths: templates that they are held against, else ids in them, and how many segments stay.

    A `depth` of 0 is all of them.
    """

    templates: tuple[str, ...] = ()
    ids: bool = True
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be counted, of what lines.

    `formats` are those asked for by name or as strings, `configured` those of haproxy.cfg; without either, all presets.
    Labels may be those that `former` formats fill as well, so that they stay when haproxy.cfg loses what filled them.
    Each line stands for `weight` of them. `routes` are those of haproxy.cfg, which are shown at 0. `places` tells where
    names were given, as ("labels", "status_code"); by default by their options.
    """

    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    buckets: tuple[str, ...]
    formats: tuple[str, ...] = ()
    parser: str = "compiled"
    configured: tuple[Format, ...] = ()
    weight: int = 1
    own: tuple[MetricChoice, ...] = ()
    paths: PathChoice = field(default_factory=PathChoice)
    limits: Limits = field(default_factory=Limits)
    rules: tuple[RulesChoice, ...] = ()
    static: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    places: Mapping[tuple[str, str], str] = field(default_factory=dict, compare=False)
    former: tuple[Format, ...] = field(default=(), compare=False)
    numbering: Numbering = field(default_factory=Numbering, compare=False)

    def place(self, option: str, name: str) -> str:
        """Tell where a name was given."""
        return self.places.get((option, name), f"--{option}")
