import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haproxy_log_exporter.errors import OperationError
from haproxy_log_exporter.marks import Kept, Mark, Sample, Streams
from haproxy_log_exporter.metrics.totals import Change, Table, label_text
from haproxy_log_exporter.state import Commit, CounterKey
from tests.metrics import patient
from tests.states import MOMENT, Book, Grown, copy_state, make_table, opened
from tests.tables import grow

Counters = Mapping[CounterKey, float]

NAMES = {"traffic": ("path", "code"), "errors": ("frontend",), "notices": ("kind",)}
METRICS = {
    "traffic": ("requests_total", "response_duration_seconds", "bytes_read_total"),
    "errors": ("connection_errors_total",),
    "notices": ("notices_total",),
}


def make_tables() -> list[Table]:
    """Make the three tables of a pipeline."""
    return [make_table(*names, metrics=METRICS[key], key=key) for key, names in NAMES.items()]


LARGEST = {table.key: (1 << 8 * table.layout.size - 8) - 1 for table in make_tables()}

octets = st.binary(min_size=1, max_size=12).map(lambda text: text.replace(b"\0", b"/"))
paths = (octets | st.sampled_from([b"/var/log/haproxy.log", b"\xff\xfe", "/ä/☃".encode()])).map(os.fsdecode)
values = st.text(max_size=6) | st.sampled_from(
    ["\0", "a\0b", '"', "\\", "\n", "a\r\n\t", "😀", "é", "", "'", '","', "[]"]
)
samples = st.builds(Sample, st.integers(0, 1024), st.binary(max_size=16))
marks = st.builds(
    Mark,
    path=paths,
    device=st.integers(0, 2**70),
    inode=st.integers(0, 2**70),
    origin=st.integers(0, 2**62),
    head=samples,
    position=st.integers(0, 2**62),
    tail=samples,
    done=st.booleans(),
    skipping=st.booleans(),
    continued=st.booleans(),
)
streams_of_files = st.dictionaries(paths, st.builds(Kept, st.lists(marks, max_size=3).map(tuple), values), max_size=3)
numbers = st.integers(0, 2**62) | st.floats(0, 1e12)
counters_of_sources = st.dictionaries(
    st.tuples(st.sampled_from(["counted", "since", "parsed", "flush_seconds"]), values), numbers, max_size=4
)


def growth(key: str, names: tuple[str, ...]) -> st.SearchStrategy[dict[tuple[str, ...], int]]:
    """Draw what the totals of a table grow by."""
    few = st.tuples(*[values] * len(names)) | st.tuples(*[st.sampled_from("ab")] * len(names))
    return st.dictionaries(few, st.integers(0, LARGEST[key] // 100) | st.integers(1, 9), max_size=5)


changes = st.fixed_dictionaries({key: growth(key, names) for key, names in NAMES.items()})
commits = st.tuples(changes, counters_of_sources, streams_of_files, st.booleans())


class Model:
    """What a state must hold, in plain dicts."""

    def __init__(self) -> None:
        self.totals: dict[str, dict[bytes, int]] = {key: {} for key in NAMES}
        self.counters: dict[CounterKey, float] = {}
        self.streams: Streams = {}

    def commit(self, grown: Grown, counters: Counters, streams: Streams) -> None:
        """Add to the totals, and set the rest."""
        for key, rows in grown.items():
            totals = self.totals[key]
            for each, packed in rows.items():
                text = label_text(NAMES[key], each)
                totals[text] = totals.get(text, 0) + packed
        self.counters |= counters
        self.streams = streams

    def check(self, book: Book) -> None:
        """Compare."""
        assert book.totals == self.totals
        assert book.state.counters == self.counters
        assert book.state.streams == self.streams


@settings(patient, max_examples=60)
@given(st.lists(commits, min_size=1, max_size=5))
def test_what_is_committed_is_there_again(rows: Sequence[tuple[Grown, Counters, Streams, bool]]) -> None:
    """Totals, counters and streams of any text and size, after any number of commits and new starts."""
    with tempfile.TemporaryDirectory() as name:
        path, model = Path(name) / "state", Model()
        done = 0
        while done < len(rows):
            with opened(path, *make_tables()) as book:
                model.check(book)
                for grown, counters, streams, ends in rows[done:]:
                    book.commit(grown, counters, streams)
                    model.commit(grown, counters, streams)
                    model.check(book)
                    done += 1
                    if ends:
                        break
        with opened(path, *make_tables()) as book:
            model.check(book)


def test_new_state_holds_nothing(tmp_path: Path) -> None:
    """It is made where there is none, for its owner alone, and nothing else is left there."""
    with opened(tmp_path / "state", *make_tables()) as book:
        Model().check(book)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_path_may_be_any(tmp_path: Path) -> None:
    """Blanks, signs that mean something in a URI, and bytes that are no UTF-8."""
    path = tmp_path / os.fsdecode(b"a ?#%41&mode=memory \xff")
    for count in (0, 1):
        with opened(path, make_table("a")) as book:
            assert book.totals["traffic"].get(b'a="x"', 0) == count
            book.commit({"traffic": {("x",): 1}})
    assert [*tmp_path.iterdir()] == [path]


def test_stream_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    """Its files go with it; counters stay, whoever they are of."""
    path = tmp_path / "state"
    kept = {name: Kept((Mark(name, 1, 2, position=3), Mark(f"{name}.1", 1, 3)), "") for name in ("/a", "/b")}
    with opened(path) as book:
        book.commit(counters={("counted", "/a"): 1}, streams=kept)
        book.commit(streams={"/b": kept["/b"]})
        assert book.state.streams == {"/b": kept["/b"]}
    with opened(path) as book:
        assert book.state.streams == {"/b": kept["/b"]}
        assert book.state.counters == {("counted", "/a"): 1}
        assert book.state._connection
        assert book.state._connection.execute("SELECT count(*) FROM files").fetchone() == (2,)


def test_only_what_has_changed_is_written(tmp_path: Path) -> None:
    """Of many totals, counters and streams a commit writes those that are new or not as they were."""
    kept = {f"/{number}": Kept((Mark("/x", 1, number),), "") for number in range(50)}
    with opened(tmp_path / "state", make_table("a")) as book:
        rows: dict[tuple[str, ...], int] = {(str(number),): number for number in range(1000)}
        counters: dict[CounterKey, float] = {("counted", str(number)): number for number in range(50)}
        book.commit({"traffic": rows}, counters, kept)
        before = book.rows_written
        book.commit({"traffic": {("7",): 1, ("999",): 2}}, {**counters, ("counted", "3"): 9}, kept)
        assert book.rows_written - before == 2 + 1
        before = book.rows_written
        book.commit({"traffic": {("7",): 1, ("new",): 2}}, counters, {**kept, "/3": Kept((), "held")})
        # A label set, two totals, a counter, a stream and the file that it has no more.
        assert book.rows_written - before == 1 + 2 + 1 + 2


def test_commit_that_meets_a_bug_leaves_nothing(tmp_path: Path) -> None:
    """What was written of it is undone, and the next one is as good as any."""
    path = tmp_path / "state"
    with opened(path, make_table("a")) as book:
        table = book.tables["traffic"]
        book.commit({"traffic": {("x",): 1}}, {("counted", "/a"): 1})
        change = table.change({0: 1, table.position(("y",)): 1 << 8 * table.layout.size}, MOMENT)
        with pytest.raises(OverflowError):
            book.state.commit(Commit([change], {("counted", "/a"): 2}, {}))
        table.give_back(change)
        with opened(copy_state(path, tmp_path / "copy"), make_table("a")) as other:
            assert other.totals == {"traffic": {b'a="x"': 1}}
            assert other.state.counters == {("counted", "/a"): 1}
        book.commit({"traffic": {("y",): 2}}, {("counted", "/a"): 2})
    with opened(path, make_table("a")) as book:
        assert book.totals == {"traffic": {b'a="x"': 1, b'a="y"': 2}}
        assert book.state.counters == {("counted", "/a"): 2}


def test_anything_new_is_news(tmp_path: Path) -> None:
    """A total, a counter, a position, what is held, and a stream that is gone; nothing else."""
    kept = Kept((Mark("/a", 1, 2, position=3),), "held")
    counters: dict[CounterKey, float] = {("counted", "/a"): 1, ("since", "/a"): 0.5}
    with opened(tmp_path / "state", make_table("a")) as book:
        table = book.tables["traffic"]
        book.commit({"traffic": {("x",): 1}}, counters, {"/a": kept})
        has_news = book.state.has_news
        assert not has_news(Commit([], {**counters}, {"/a": Kept(*kept)}))
        assert not has_news(Commit([], {}, {"/a": kept}))
        assert has_news(Commit([Change(table, {0: 1})], counters, {"/a": kept}))
        assert has_news(Commit([], counters | {("counted", "/a"): 2}, {"/a": kept}))
        assert has_news(Commit([], counters | {("counted", "/b"): 0}, {"/a": kept}))
        assert has_news(Commit([], counters, {"/a": kept._replace(held="")}))
        assert has_news(Commit([], counters, {"/a": kept._replace(marks=(kept.marks[0]._replace(position=4),))}))
        assert has_news(Commit([], counters, {"/a": kept, "/b": Kept()}))
        assert has_news(Commit([], counters, {}))


def test_commit_of_nothing_new_does_not_touch_the_disk(tmp_path: Path) -> None:
    """Not a byte of the file and its WAL, as long as counters and streams are what they were."""
    path = tmp_path / "state"
    kept = {"/a": Kept((Mark("/a", 1, 2),), "held")}
    with opened(path, make_table("a")) as book:
        book.commit({"traffic": {("x",): 1}}, {("counted", "/a"): 1}, kept)
        before = [Path(f"{path}{side}").read_bytes() for side in ("", "-wal")]
        book.commit({}, {("counted", "/a"): 1}, {**kept})
        assert [Path(f"{path}{side}").read_bytes() for side in ("", "-wal")] == before


def test_start_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    """A state that is opened with the same labels and metrics and closed again has the bytes that it had."""
    path = tmp_path / "state"
    with opened(path, *make_tables()) as book:
        book.commit({"traffic": {("x", "200"): 1}, "notices": {("stopped",): 2}})
    before = path.read_bytes()
    with opened(path, *make_tables()):
        pass
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["state"]


def test_change_is_written_as_it_was_taken(tmp_path: Path) -> None:
    """Label sets that are met before it is committed, but after it was taken, belong to the next one."""
    path = tmp_path / "state"
    with opened(path, make_table("a")) as book:
        table = book.tables["traffic"]
        change = table.change({table.position(("early",)): 1}, MOMENT)
        late = table.position(("late",))
        book.state.commit(Commit([change], {}, {}))
        table.apply(change)
        copy = copy_state(path, tmp_path / "copy")
        book.state.commit(Commit([table.change({late: 2}, MOMENT)], {}, {}))
    with opened(copy, make_table("a")) as book:
        assert book.totals["traffic"] == {b'a="early"': 1}
    with opened(path, make_table("a")) as book:
        assert book.totals["traffic"] == {b'a="early"': 1, b'a="late"': 2}


def test_exchange_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    """Wherever it breaks off: the tables of before go on, in this process and for the next one."""
    path = tmp_path / "state"
    failed = 0
    with opened(path, make_table("a")) as book:
        connection = book.state._connection
        assert connection
        for steps in (*range(1, 100), *range(100, 100_000, 3)):
            book.commit({"traffic": {("x",): 1, (str(steps % 3),): 1}})
            new = make_table("b")
            grow(new, {("y",): 1})
            connection.set_progress_handler(partial(next, iter([1]), 0), steps)
            try:
                book.state.exchange([new])
            except OperationError:
                failed += 1
            else:
                break
            finally:
                connection.set_progress_handler(None, 1)
        book.tables = {"traffic": new}
        book.commit({"traffic": {("y",): 2}})
        if failed:
            copy = copy_state(path, tmp_path / "copy")
    assert failed > 10
    with opened(copy, make_table("b")) as book:
        assert book.totals["traffic"] == {b'b="y"': 3}


def test_label_sets_that_are_dropped_are_gone(tmp_path: Path) -> None:
    """With their totals, also where nothing else has changed, and what takes their places has its own."""
    path = tmp_path / "state"
    with opened(path, make_table("a")) as book:
        table = book.tables["traffic"]
        book.commit({"traffic": {("x",): 1, ("y",): 2}})
        assert table.drop_idle(MOMENT + 1, {table.position(("y",))})
        change = table.change({}, MOMENT)
        book.state.commit(Commit([change], {}, {}))
        table.apply(change)
        copy = copy_state(path, tmp_path / "copy")
        book.commit({"traffic": {("z",): 4}})
    for each, totals in ((copy, {b'a="y"': 2}), (path, {b'a="y"': 2, b'a="z"': 4})):
        with opened(each, make_table("a")) as book:
            assert book.totals["traffic"] == totals
