"""All tables together: what their totals are to grow by, and how many label sets and values there may be."""

from collections.abc import Mapping, Sequence

from haproxy_log_exporter.labels.limits import Admissions
from haproxy_log_exporter.metrics.shown import Places
from haproxy_log_exporter.metrics.totals import Change, Series, Table

# A label set may stay so much longer than it was allowed to be idle.
_TARDINESS = 0.01


class Account:
    """The tables of a pipeline, and what was counted for them since the last changes were taken.

    Moments are in seconds for which lines were counted.
    """

    def __init__(self, tables: Sequence[Table], admissions: Admissions) -> None:
        """`admissions` are those of the tables' labels, as far as these are limited."""
        self.tables = tables
        self.admissions = admissions
        self._grown: dict[Table, dict[int, int]] = {}
        self._next_drop = 0.0

    @property
    def newest(self) -> float:
        """When any total last grew."""
        return max((table.newest for table in self.tables), default=0.0)

    def grow(self, table: Table, grown: dict[int, int]) -> None:
        """Let totals grow with the next changes."""
        before = self._grown.get(table)
        if not before:
            self._grown[table] = grown
            return
        for place, packed in grown.items():
            before[place] = before.get(place, 0) + packed

    def growing(self, table: Table) -> Mapping[int, int]:
        """Tell what a table's totals are to grow by."""
        return self._grown.get(table, {})

    def drop_idle(self, now: float) -> bool:
        """Drop label sets without traffic, now and then, and free their values' places; tell whether there were any."""
        idle = self.admissions.limits.idle
        if not idle or now < self._next_drop:
            return False
        self._next_drop = now + idle * _TARDINESS
        dropped = [table.drop_idle(now - idle, self.growing(table)) for table in self.tables]
        if any(dropped):
            self.admissions.retain(self.used_values())
        return any(dropped)

    def used_values(self) -> dict[str, set[str]]:
        """List the values that label sets have, by label."""
        used: dict[str, set[str]] = {}
        for table in self.tables:
            for label, values in zip(table.names, zip(*table.label_sets, strict=True), strict=False):
                used.setdefault(label, set()).update(values)
        return used

    def take_changes(self, now: float) -> list[Change]:
        """Take what has become of the tables: it is to be applied, or given back."""
        grown, self._grown = self._grown, {}
        changes = (table.change(grown.get(table, {}), now) for table in self.tables)
        return [change for change in changes if not change.is_empty]

    def give_back(self, changes: Sequence[Change]) -> None:
        """Let what could not be kept be part of the next changes."""
        for change in changes:
            self.grow(change.table, {**change.grown})
            change.table.give_back(change)

    def places(self) -> dict[str, Places]:
        """Tell how many values each label of the tables has."""
        names = {name for table in self.tables for name in table.names}
        admissions = (each for each in self.admissions.all() if each.label in names)
        return {each.label: Places(each.taken, each.most, each.capped) for each in admissions}

    def series(self) -> dict[str, Series]:
        """Tell what became of label sets, by metric."""
        return {name: series for table in self.tables for name, series in table.series().items()}

    def restore(self, capped: Mapping[str, int], series: Mapping[str, Series]) -> None:
        """Go on from the lines without a place, by label, and from what became of label sets, by metric."""
        for label, lines in capped.items():
            if lines:
                self.admissions.of(label).capped = lines
        for table in self.tables:
            table.restore_series(series)

    def capped(self) -> dict[str, int]:
        """Tell how many lines had no place for their values, of labels before as well."""
        return {each.label: each.capped for each in self.admissions.all()}
