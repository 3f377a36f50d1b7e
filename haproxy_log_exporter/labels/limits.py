"""How many values a label may have: those that come when all places are taken become `other`."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

OTHER = "other"
# Equal to OTHER and another object: so what became `other` for want of a place can be told from what is called so.
CAPPED = "".join(OTHER)

MOST_VALUES = 1_000
MOST_VALUES_OF = (("http_request_method", 20),)
MOST_SERIES = 50_000

# From so full on, whoever set a limit is warned.
_NEARLY_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed: values of each label, those `of` some, and label sets of each metric.

    Series without traffic for `idle` seconds are dropped; none are where it is 0.
    """

    values: int = MOST_VALUES
    of: tuple[tuple[str, int], ...] = MOST_VALUES_OF
    series: int = MOST_SERIES
    idle: float = 0.0

    def most(self, label: str) -> int:
        """How many values a label may have."""
        return dict(self.of).get(label, self.values)


@dataclass(slots=True)
class Admission:
    """The values of a label that have places, for all formats and metrics.

    `capped` counts the lines whose value has none. OTHER and the empty value, of lines without the field, take none. As
    many of the values that are `certain` as there is room for have places from the start, and keep them.
    """

    label: str
    most: int
    certain: Sequence[str] = ()
    capped: int = 0
    values: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Give places to what is certain."""
        self.values = self._fixed()

    def _fixed(self) -> dict[str, str]:
        certain = [*dict.fromkeys(value for value in self.certain if value not in ("", OTHER))]
        return {value: value for value in ("", OTHER, *certain[: self.most])}

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return len(self.values) - 2

    @property
    def is_full(self) -> bool:
        """Whether no place is left."""
        return self.taken >= self.most

    @property
    def is_nearly_full(self) -> bool:
        """Whether few places are left."""
        return is_nearly_full(self.taken, self.most)

    def admit(self, value: str) -> str:
        """Give a value its place, or CAPPED where there is none left."""
        known = self.values.get(value)
        if known is not None:
            return known
        if self.is_full:
            return CAPPED
        self.values[value] = value
        return value

    def reserve(self, value: str) -> bool:
        """Give a value a place that may never be asked for, if half of all are left; tell whether it has one."""
        return value in self.values or (self.taken < (self.most + 1) // 2 and self.admit(value) is not CAPPED)

    def keep(self, values: Iterable[str]) -> None:
        """Give values that are there already their places, however many these are."""
        for value in values:
            self.values.setdefault(value, value)

    def retain(self, used: AbstractSet[str]) -> None:
        """Free the places of all values but these."""
        self.values = self._fixed() | {value: value for value in self.values.keys() & used - {"", OTHER}}


class Admissions:
    """One admission for each label, made when it is first asked for."""

    def __init__(self, limits: Limits, certain: Mapping[str, Sequence[str]] | None = None) -> None:
        """Admit, of each label, what is certain."""
        self.limits = limits
        self._certain = certain or {}
        self._of: dict[str, Admission] = {}

    def of(self, label: str) -> Admission:
        """Give a label's."""
        admission = self._of.get(label)
        if admission is None:
            admission = self._of[label] = Admission(label, self.limits.most(label), self._certain.get(label, ()))
        return admission

    def all(self) -> Iterable[Admission]:
        """Give all there are."""
        return self._of.values()

    def retain(self, used: Mapping[str, AbstractSet[str]]) -> None:
        """Free the places of all values but these, by label."""
        for label, admission in self._of.items():
            admission.retain(used.get(label, frozenset()))


def is_nearly_full(taken: int, most: int) -> bool:
    """Whether so many of so many are close to all."""
    return taken >= _NEARLY_FULL * most
