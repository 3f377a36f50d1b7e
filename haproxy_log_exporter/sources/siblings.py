"""The files beside a log that may be what it was: renamed, copied or compressed when it was rotated."""

import errno
import os
import re
import stat
import time
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from haproxy_log_exporter.marks import Mark
from haproxy_log_exporter.sources.compressed import SUFFIXES
from haproxy_log_exporter.sources.logfile import (
    Identity,
    find_progress,
    open_descriptor,
    read_beginning,
    taken_up_to,
)
from haproxy_log_exporter.sources.progress import HEAD, sample

# So long ago a directory must have changed for its time of change to tell the next change from the last one.
_SETTLED_NANOSECONDS = 2_000_000_000

# What logrotate(8) puts behind a name, and with `extension` within it. A short number may be an instance's as well.
_DATE = "[0-9]{4}[0-9TZ:._+-]{2,}"
_BEHIND = re.compile(rf"\.[0-9][0-9TZ:._+-]*|[_-]{_DATE}|[._-]old")
_WITHIN = re.compile(rf"\.[0-9]{{1,3}}|[._-]{_DATE}")
_NUMBER = re.compile(r"\.([0-9]{1,4})(?=\.|$)")
_Key = TypeVar("_Key", str, int)
_Entries = dict[_Key, list[os.DirEntry[str]]]

_SEPARATOR = re.compile(r"[._-]")


@lru_cache(maxsize=1 << 16)
def logs_of(name: str) -> frozenset[str]:
    """List the names of logs of which a file of this name may be a rotated one."""
    plain = name.removesuffix(next(filter(name.endswith, SUFFIXES), ""))
    stem, extension = os.path.splitext(plain)
    places = [match.start() for match in _SEPARATOR.finditer(plain) if match.start()]
    behind = (plain[:place] for place in places if _BEHIND.fullmatch(plain, place))
    within = (plain[:place] + extension for place in places if _WITHIN.fullmatch(plain, place, len(stem)))
    return frozenset((*behind, *within))


def is_newer(path: str, other: str) -> bool:
    """Whether a file was rotated after another one, as far as their numbers say: logrotate counts them up from 1."""
    one, two = (_NUMBER.search(os.path.basename(each)) for each in (path, other))
    return one is not None and two is not None and int(one[1]) < int(two[1])


def is_generation(path: str, logs: Container[str]) -> bool:
    """Whether a path is called as rotated files of one of the logs are."""
    directory, name = os.path.split(path)
    return any(os.path.join(directory, log) in logs for log in logs_of(name))


Version = tuple[Identity, int, int]


@dataclass(slots=True)
class Sibling:
    """A file beside a log, as it was when it was listed."""

    path: str
    identity: Identity
    size: int
    modified: int
    is_named: bool = True  # it is called as a rotated file of the log; else it has but the inode of one
    _beginning: bytes | None = field(default=None, compare=False)

    @property
    def is_compressed(self) -> bool:
        """Whether its name says so."""
        return self.path.endswith(SUFFIXES)

    @property
    def plain_path(self) -> str:
        """What it was called before it was compressed."""
        return os.path.splitext(self.path)[0]

    def is_being_compressed(self) -> bool:
        """Whether what it is made of is there still."""
        return self.is_compressed and os.path.exists(self.plain_path)

    @property
    def version(self) -> Version:
        """What changes when it is written to."""
        return (self.identity, self.size, self.modified)

    def beginning(self) -> bytes:
        """Give the first bytes of what it holds, behind NULs, decompressed; OSError."""
        if self._beginning is None:
            with self._opened() as descriptor:
                self._beginning = read_beginning(descriptor)
        return self._beginning

    def is_of(self, mark: Mark) -> bool:
        """Whether it is where a marked file was: the number of a device may be another after a restart."""
        return self.identity[1] == mark.inode

    def whole(self) -> Mark:
        """Make a mark of all that it holds, without reading more than it takes to know it again; OSError."""
        if self.is_compressed:
            return Mark(self.path, *self.identity, head=sample(self.beginning()), done=True)
        with self._opened() as descriptor:
            return taken_up_to(descriptor, self.size).mark(self.path, self.identity)._replace(done=True)

    def has_more_than(self, mark: Mark) -> bool:
        """Whether a gzip file has another size, uncompressed, than what was taken; others do not say. OSError."""
        if not self.path.endswith(".gz") or not mark.position:
            return False
        with self._opened() as descriptor:
            # RFC 1952, section 2.3.1: ISIZE, the size modulo 2^32, is last.
            return os.pread(descriptor, 4, self.size - 4) != (mark.position & 0xFFFFFFFF).to_bytes(4, "little")

    def holds(self, mark: Mark) -> bool:
        """Whether it holds what was taken of a file: all of it, or if it is compressed, the first bytes; OSError."""
        if self.is_compressed:
            beginning = self.beginning()
            # Of a file that is done and shorter than a head, the head is all there is.
            whole = mark.done and mark.head.size < HEAD and mark.position
            if whole and len(beginning) != mark.position - mark.origin and self.plain_path != mark.path:
                return False
            return sample(beginning[: mark.head.size]) == mark.head
        if self.size < mark.position:
            return False
        with self._opened() as descriptor:
            return find_progress(descriptor, mark) is not None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open it, if it still is what it was when it was listed; OSError."""
        descriptor = open_descriptor(self.path)
        try:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != self.identity:
                raise FileNotFoundError(errno.ENOENT, "was renamed", self.path)
            yield descriptor
        finally:
            os.close(descriptor)


class Listings:
    """Directories, each listed once until it is forgotten, for many logs may be in one."""

    def __init__(self) -> None:
        """List nothing yet."""
        self._listed: dict[str, tuple[_Entries[str], _Entries[int]]] = {}
        self._changed: dict[str, int | None] = {}

    def forget(self) -> None:
        """List directories anew."""
        self._listed.clear()

    def changed_at(self, directory: str) -> int | None:
        """Tell when a directory had been changed last when it was listed."""
        return self._changed[directory]

    def find(self, directory: str, names: Collection[str], inodes: Collection[int]) -> Iterator[os.DirEntry[str]]:
        """Give what may be rotated files of logs with one of the names, or has one of the inodes; OSError."""
        if directory not in self._listed:
            self._changed[directory] = changed_at(directory)
            self._listed[directory] = _list(directory)
        by_log, by_inode = self._listed[directory]
        for name in names:
            yield from by_log.get(name, ())
        for inode in inodes:
            yield from by_inode.get(inode, ())


def _list(directory: str) -> tuple[_Entries[str], _Entries[int]]:
    by_log: _Entries[str] = {}
    by_inode: _Entries[int] = {}
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            by_inode.setdefault(entry.inode(), []).append(entry)
            for log in logs_of(entry.name):
                by_log.setdefault(log, []).append(entry)
    return by_log, by_inode


def list_siblings(
    logs: Collection[str], directories: Collection[str], inodes: Collection[int], listings: Listings | None = None
) -> list[Sibling]:
    """List the regular files that are called as rotated ones of a log, or have one of the inodes, the oldest first.

    Raises:
        OSError: where a directory cannot be listed.
    """
    listings = listings or Listings()
    names = {os.path.basename(log) for log in logs}
    found: dict[Identity, Sibling] = {}
    for directory in directories:
        for entry in listings.find(directory, names, inodes):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # renamed meanwhile: the next look finds it
                continue
            if stat.S_ISREG(status.st_mode):
                identity = (status.st_dev, status.st_ino)
                is_named = not names.isdisjoint(logs_of(entry.name))
                found[identity] = Sibling(entry.path, identity, status.st_size, status.st_mtime_ns, is_named)
    return sorted(found.values(), key=lambda sibling: sibling.modified)


def has_grown(mark: Mark) -> bool:
    """Whether more was written to a plain file after it was done, or at all to one of which nothing was taken."""
    if (mark.is_telling and not mark.done) or mark.path.endswith(SUFFIXES):
        return False
    try:
        found = os.stat(mark.path)
    except OSError:
        return False
    return found.st_ino == mark.inode and found.st_size > mark.position


def changed_at(directory: str) -> int | None:
    """Tell when a directory was changed last, in nanoseconds; None where it may change again at the same moment."""
    try:
        moment = os.stat(directory).st_mtime_ns
    except OSError:
        return 0
    return moment if time.time_ns() - moment > _SETTLED_NANOSECONDS else None


def identify(path: str, before: Identity | None) -> tuple[Identity | None, OSError | None]:
    """Tell to which regular file a path leads, or why to none; the one of before, where that cannot be told."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        return None, error
    except OSError as error:
        return before, error
    if not stat.S_ISREG(status.st_mode):
        return None, OSError(0, "is not a regular file")
    return (status.st_dev, status.st_ino), None
