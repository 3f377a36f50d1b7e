"""Which files beside a log are what it was."""

import gzip
import os
from pathlib import Path

import pytest

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.logfile import open_descriptor, taken_up_to
from haproxy_log_exporter.sources.progress import HEAD
from haproxy_log_exporter.sources.siblings import Sibling, changed_at, has_grown, list_siblings
from tests.sources.tailing_files import age, append, compress, numbered


def listed(log: Path, *inodes: int, also: Path | None = None) -> dict[str, Sibling]:
    """List what is beside a log, by name."""
    directories = {str(log.parent), str((also or log).parent)}
    return {os.path.basename(each.path): each for each in list_siblings([str(log)], directories, inodes)}


def sibling_of(path: Path) -> Sibling:
    """Look at one file."""
    status = path.stat()
    return Sibling(str(path), (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)


def mark_of(path: Path, position: int, *, done: bool = False) -> Mark:
    """Mark a file as taken up to a position."""
    descriptor = open_descriptor(str(path))
    try:
        status = path.stat()
        return taken_up_to(descriptor, position).mark(str(path), (status.st_dev, status.st_ino))._replace(done=done)
    finally:
        os.close(descriptor)


def test_files_are_listed_by_age(log: Path) -> None:
    """The oldest is first, whatever its name; what is no rotated file is left out."""
    for number, name in enumerate(("haproxy.log.2", "haproxy.log-20261120", "haproxy.log.1.gz", "haproxy.log.bak")):
        path = log.with_name(name)
        path.write_bytes(b"%d" % number)
        age(path, seconds=number * 1000)
    log.with_name("haproxy.log.7").mkdir()
    log.with_name("haproxy.log.8").symlink_to(log)
    os.mkfifo(log.with_name("haproxy.log.9"))
    assert [*listed(log)] == ["haproxy.log.1.gz", "haproxy.log-20261120", "haproxy.log.2"]


def test_files_are_found_by_inode(log: Path) -> None:
    """Whatever they are called, and in each of the directories."""
    other = log.parent / "old" / "what.it.was"
    other.parent.mkdir()
    other.write_bytes(b"one")
    here = log.with_name("something")
    here.write_bytes(b"two")
    inodes = (other.stat().st_ino, here.stat().st_ino)
    assert set(listed(log, *inodes, also=other)) == {"what.it.was", "something"}
    assert set(listed(log, *inodes)) == {"something"}


def test_a_directory_that_is_gone(log: Path) -> None:
    """What was in it is gone too; the others are listed."""
    log.with_name("haproxy.log.1").touch()
    assert set(listed(log, also=log.parent / "gone" / "haproxy.log")) == {"haproxy.log.1"}


def test_a_file_that_goes_while_it_is_listed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out; the next look finds it under its new name."""
    for number in range(5):
        log.with_name(f"haproxy.log.{number}").touch()
    real = os.scandir

    def scan(directory: str) -> object:
        found = real(directory)
        log.with_name("haproxy.log.3").unlink()
        return found

    monkeypatch.setattr("haproxy_log_exporter.sources.siblings.os.scandir", scan)
    assert len(listed(log)) in {4, 5}, "it depends on how the names are stored"


def test_what_a_plain_file_holds(log: Path) -> None:
    """It is told by its content alone: all that was taken is there."""
    mark = mark_of(log, 500)
    copy = log.with_name("haproxy.log.1")
    copy.write_bytes(log.read_bytes())
    assert sibling_of(log).is_of(mark)
    assert not sibling_of(copy).is_of(mark)
    assert sibling_of(copy).holds(mark)
    copy.write_bytes(log.read_bytes()[:499])
    assert not sibling_of(copy).holds(mark)
    copy.write_bytes(b"x" + log.read_bytes()[1:])
    assert not sibling_of(copy).holds(mark)
    copy.write_bytes(log.read_bytes()[:499] + b"x" + log.read_bytes()[500:])
    assert not sibling_of(copy).holds(mark)


@pytest.mark.parametrize("end", [".gz", ".bz2", ".xz"])
def test_what_a_compressed_file_holds(log: Path, end: str) -> None:
    """It is told by its beginning; of a short file that is done, by all."""
    content = log.read_bytes()
    taken, done = mark_of(log, 500), mark_of(log, len(content), done=True)
    other = mark_of(log, 500)._replace(head=mark_of(log, 499).head._replace(size=500))
    compressed = sibling_of(compress(log, end))
    assert compressed.is_compressed
    assert compressed.holds(taken)
    assert compressed.holds(done)
    assert not compressed.holds(other)
    log.write_bytes(content + numbered(10))
    more = sibling_of(compress(log, end))
    assert more.holds(done), "it was made of the very file, to which more had been written"
    assert more.has_more_than(done) == (end == ".gz"), "only gzip tells how much there is"
    assert not more.holds(done._replace(path=f"{log}.9")), "there is more than was ever there"


def test_an_archive_beside_what_it_is_made_of(log: Path) -> None:
    """As long as both are there, it is not whole."""
    content = log.read_bytes()
    archive = sibling_of(compress(log))
    assert not archive.is_being_compressed()
    log.write_bytes(content)
    assert archive.is_being_compressed()
    assert not sibling_of(log).is_being_compressed()


def test_the_beginning_is_read_once(log: Path) -> None:
    """It is that of what was compressed, and told of a file that is gone meanwhile."""
    content = numbered(*range(100))
    log.write_bytes(content)
    sibling = sibling_of(compress(log))
    assert sibling.beginning() == content[:HEAD]
    os.unlink(sibling.path)
    assert sibling.beginning() == content[:HEAD]


def test_all_that_a_file_holds(log: Path) -> None:
    """A mark of it fits it, and nothing is left to read, wherever it is renamed to and when it is compressed."""
    mark = sibling_of(log).whole()
    assert (mark.done, mark.position) == (True, log.stat().st_size)
    path = log.rename(log.with_name("haproxy.log.2"))
    assert sibling_of(path).is_of(mark)
    assert sibling_of(path).holds(mark)
    compressed = compress(path)
    assert sibling_of(compressed).holds(mark)
    again = sibling_of(compressed).whole()
    assert again.done
    assert sibling_of(compressed.rename(log.with_name("haproxy.log.3.gz"))).holds(again)


def test_what_cannot_be_read(log: Path) -> None:
    """It is an error of the system's, whatever is asked."""
    broken = log.with_name("haproxy.log.1.gz")
    broken.write_bytes(gzip.compress(log.read_bytes())[:15])
    gone = sibling_of(log)
    mark = mark_of(log, 500)
    log.unlink()
    for sibling in (gone, sibling_of(broken)):
        for ask in (sibling.beginning, sibling.whole, lambda each=sibling: each.holds(mark)):
            with pytest.raises(OSError, match=r"\w"):
                ask()


def test_the_device_may_have_another_number(log: Path) -> None:
    """As after a restart of the machine; the inode and the bytes are the same."""
    assert sibling_of(log).is_of(mark_of(log, 500)._replace(device=99))


def test_versions(log: Path) -> None:
    """A file that was written to is another version."""
    before = sibling_of(log).version
    assert sibling_of(log).version == before
    append(log, b"x")
    assert sibling_of(log).version != before


def test_growth(log: Path) -> None:
    """Only of what was done, is plain, and is the same file."""
    size = log.stat().st_size
    done = mark_of(log, size, done=True)
    assert not has_grown(done)
    append(log, b"x")
    assert has_grown(done)
    assert not has_grown(done._replace(done=False))
    assert not has_grown(done._replace(inode=1))
    assert not has_grown(done._replace(path=f"{log}.gz"))
    assert not has_grown(done._replace(path=f"{log}.1"))


def test_when_a_directory_was_changed(tmp_path: Path) -> None:
    """It is told only once it cannot change again at the same moment."""
    assert changed_at(str(tmp_path)) is None
    age(tmp_path, seconds=10)
    before = changed_at(str(tmp_path))
    assert before
    (tmp_path / "file").touch()
    age(tmp_path, seconds=5)
    assert (changed_at(str(tmp_path)) or 0) > before
    assert changed_at(str(tmp_path / "gone")) == 0
