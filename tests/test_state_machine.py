"""A table and its state in any order of events, against plain dicts."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.labels.limits import OTHER
from haproxy_log_exporter.metrics.layout import Layout
from haproxy_log_exporter.metrics.moving import carry_over, keep
from haproxy_log_exporter.metrics.totals import Change, LabelSet, Table, label_text
from haproxy_log_exporter.state import Commit, State
from tests.states import BY_NAME, copy_state
from tests.tables import shown

NAMES = ("a", "b")
MOST = 5
OTHERS = (OTHER, OTHER)

label_sets = st.tuples(st.sampled_from(["x", "y", "", 'q"']), st.sampled_from(["1", "2"])) | st.just(OTHERS)
orders = st.sampled_from([NAMES, NAMES[::-1]])
# After so many instructions of SQLite's a commit meets an error; after 0 it meets none.
errors = st.sampled_from([0, 0, 1, 20, 60, 200])


class Tables(RuleBasedStateMachine):
    """Totals grow, are dropped, kept or not, and read again after a kill or an exchange, whatever comes when."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.files = 0
        self.now = 1_795_000_000.0
        self.table, self.state = Table((), Layout((), ())), State("")
        self.grown: dict[int, int] = {}  # by place, as a pipeline has it
        # The model, by values in the order of NAMES.
        self.totals: dict[LabelSet, int] = {}
        self.used: dict[LabelSet, float] = {}
        self.growing: Counter[LabelSet] = Counter()
        self.coming: set[LabelSet] = set()
        self.going: set[LabelSet] = set()
        self.declared: set[LabelSet] = set()
        self.begin(NAMES)

    def begin(self, names: tuple[str, ...]) -> None:
        """Open the state, with labels in an order."""
        self.table = self.make_table(names)
        self.state = State(str(self.path), lambda: self.now)
        self.state.start()
        self.state.restore([self.table])
        self.grown = {}
        self.growing.clear()
        self.coming.clear()
        self.going.clear()
        for values, total, used in self.table.kept():
            values = self.of_table(values)  # noqa: PLW2901 -- and back, which is the same
            if not total:  # when label sets came of which nothing was counted is not kept: they are as new as any
                self.used[values] = used
        self.redeclare()

    @property
    def path(self) -> Path:
        """The state."""
        return self.folder / f"state-{self.files}"

    @staticmethod
    def make_table(names: tuple[str, ...]) -> Table:
        """Make a table that is small."""
        return Table(names, Layout([BY_NAME["requests_total"]], ()), "traffic", most=MOST)

    def redeclare(self) -> None:
        """Declare again what was declared, as a service does of tables that are new."""
        self.declare(frozenset(self.declared))

    def of_table(self, values: LabelSet) -> LabelSet:
        """Give the values of NAMES in the table's order."""
        return values if self.table.names == NAMES else values[::-1]

    @property
    def alive(self) -> set[LabelSet]:
        """The label sets that have places."""
        return (self.totals.keys() - self.going) | self.coming

    @property
    def is_full(self) -> bool:
        """Whether others have no places."""
        return len(self.alive - {OTHERS}) >= MOST

    @rule(values=label_sets, lines=st.integers(1, 9))
    def grow(self, values: LabelSet, lines: int) -> None:
        """Count lines."""
        place = self.table.find_place(self.of_table(values))
        has_place = values in self.alive or values == OTHERS or not self.is_full
        assert (place is not None) == has_place
        if place is None:
            place, values = self.table.cap(lines), OTHERS
        self.grown[place] = self.grown.get(place, 0) + lines
        if values not in self.alive:
            self.coming.add(values)
        self.growing[values] += lines

    @rule(declared=st.frozensets(label_sets, max_size=4))
    def declare(self, declared: frozenset[LabelSet]) -> None:
        """Let label sets be shown; those of which nothing was counted go, unless they are declared or growing."""
        ordered = sorted(declared)
        label_sets = {self.of_table(values): 1 for values in ordered}
        self.table.withdraw(label_sets, self.grown)
        self.coming -= self.coming - declared - self.growing.keys()
        empty = {values for values, total in self.totals.items() if not total}
        self.going |= empty - declared - self.growing.keys()
        left_out = self.table.declare(label_sets)
        self.declared.clear()
        for values in ordered:
            if values not in self.alive and len(self.alive - {OTHERS}) < (MOST + 1) // 2:
                self.coming.add(values)
            if values in self.alive:
                self.declared.add(values)
        assert left_out == len(ordered) - len(self.declared)

    @rule(ago=st.sampled_from([0.0, 1.0, 2.0, 5.0]))
    def drop_idle(self, ago: float) -> None:
        """Drop what has had no lines for so long."""
        before = self.now - ago
        busy = self.declared | self.growing.keys() | self.going
        found = {values for values, used in self.used.items() if used < before} - busy
        assert self.table.drop_idle(before, self.grown) == bool(found)
        self.going |= found

    @rule()
    def wait(self) -> None:
        """Let time go by."""
        self.now += 1.0

    def change(self) -> Change:
        """Take what has become of the table; time goes by."""
        self.now += 1.0
        change = self.table.change(self.grown, self.now)
        self.grown = {}
        return change

    def try_to_keep(self, change: Change, error: int) -> bool:
        """Commit; meet an error, or none."""
        assert self.state._connection
        if error:
            self.state._connection.set_progress_handler(lambda: 1, error)
        try:
            self.state.commit(Commit([] if change.is_empty else [change], {}, {}))
        except OperationError:
            return False
        finally:
            self.state._connection.set_progress_handler(None, 1)
        return True

    def give_back(self, change: Change) -> None:
        """Let it be part of the next one, as a pipeline does."""
        self.table.give_back(change)
        for place, lines in change.grown.items():
            self.grown[place] = self.grown.get(place, 0) + lines

    def show(self) -> None:
        """Let the model be what it will be once the change is shown."""
        for values in self.going:
            del self.totals[values], self.used[values]
        for values in self.coming:
            self.totals[values], self.used[values] = 0, self.now
        for values, lines in self.growing.items():
            self.totals[values] += lines
            self.used[values] = self.now
        self.going.clear()
        self.coming.clear()
        self.growing.clear()

    @rule(error=errors)
    def flush(self, error: int) -> None:
        """Keep and show what has changed, or give it back."""
        change = self.change()
        if self.try_to_keep(change, error):
            self.table.apply(change)
            self.show()
        else:
            self.give_back(change)

    @rule(error=errors, values=label_sets, lines=st.integers(1, 9))
    def count_while_it_is_kept(self, error: int, values: LabelSet, lines: int) -> None:
        """Take lines between a change and what becomes of it."""
        change = self.change()
        if self.try_to_keep(change, error):
            self.show()
            self.grow(values, lines)
            self.table.apply(change)
        else:
            self.grow(values, lines)
            self.give_back(change)

    @rule(names=orders, is_shown=st.booleans())
    def kill(self, names: tuple[str, ...], is_shown: bool) -> None:  # noqa: FBT001 -- drawn
        """End without a word, with the last change committed or not, and begin with what lies there."""
        if not is_shown and self.try_to_keep(self.change(), 0):
            self.show()
        before = self.path
        self.files += 1
        copy_state(before, self.path)
        self.state.stop()
        self.coming.clear()
        self.going.clear()
        self.begin(names)

    @rule(names=orders)
    def restart(self, names: tuple[str, ...]) -> None:
        """End, and begin again."""
        self.flush(0)
        self.state.stop()
        self.begin(names)

    @precondition(lambda self: not self.grown)
    @rule(names=orders, error=errors)
    def exchange(self, names: tuple[str, ...], error: int) -> None:
        """Go on with another table, where the state can be written; else with the one before."""
        self.flush(0)
        table = self.make_table(names)
        assert carry_over([keep(self.table)], [table]) == []
        assert self.state._connection
        if error:
            self.state._connection.set_progress_handler(lambda: 1, error)
        try:
            self.state.exchange([table])
        except OperationError:
            return
        finally:
            self.state._connection.set_progress_handler(None, 1)
        self.table = table
        self.redeclare()

    @invariant()
    def shows_what_the_model_has(self) -> None:
        """The same label sets, totals and ages, and those that are certain."""
        names = self.table.names
        expected = {label_text(names, self.of_table(values)): total for values, total in self.totals.items()}
        assert shown(self.table) == expected
        kept = {self.of_table(values): (total, used) for values, total, used in self.table.kept()}
        assert {values: total for values, (total, _) in kept.items()} == self.totals
        for values, (_, used) in kept.items():
            assert used == self.used[values], values
        assert {*map(self.of_table, self.table.label_sets)} == self.alive
        certain = {self.table.snapshot().texts[place] for place in self.table.snapshot().certain}
        assert certain == {label_text(names, self.of_table(values)) for values in self.declared - self.coming}

    def teardown(self) -> None:
        """In the end all that was shown is there."""
        self.flush(0)
        self.state.stop()
        table, state = self.make_table(NAMES), State(str(self.path))
        state.start()
        state.restore([table])
        state.stop()
        assert shown(table) == {label_text(NAMES, values): total for values, total in self.totals.items()}
        shutil.rmtree(self.folder)


Tables.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
TestTables = Tables.TestCase
