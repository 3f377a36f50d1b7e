"""The files beside a log that may be what it was: renamed, copied or compressed when it was rotated."""

import os
import re
import stat
import time
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

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
_SEPARATOR = re.compile(r"[._-]")


@lru_cache(maxsize=1 << 12)
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


@dataclass(slots=True)
class Sibling:
    """A file beside a log, as it was when it was listed."""

    path: str
    identity: Identity
    size: int
    modified: int
    _beginning: bytes | None = field(default=None, compare=False)

    @property
    def is_compressed(self) -> bool:
        """Whether its name says so."""
        return self.path.endswith(SUFFIXES)

    def is_being_compressed(self) -> bool:
        """Whether what it is made of is there still."""
        return self.is_compressed and os.path.exists(os.path.splitext(self.path)[0])

    @property
    def version(self) -> tuple[Identity, int, int]:
        """What changes when it is written to."""
        return (self.identity, self.size, self.modified)

    def beginning(self) -> bytes:
        """Give the first bytes of what it holds, behind NULs, decompressed; OSError."""
        if self._beginning is None:
            descriptor = open_descriptor(self.path)
            try:
                self._beginning = read_beginning(descriptor)
            finally:
                os.close(descriptor)
        return self._beginning

    def is_of(self, mark: Mark) -> bool:
        """Whether it is where a marked file was: the number of a device may be another after a restart."""
        return self.identity[1] == mark.inode

    def whole(self) -> Mark:
        """Make a mark of all that it holds, without reading more than it takes to know it again; OSError."""
        descriptor = open_descriptor(self.path)
        try:
            if self.is_compressed:
                device, inode = self.identity
                return Mark(self.path, device, inode, head=sample(self.beginning()), done=True)
            return taken_up_to(descriptor, self.size).mark(self.path, self.identity)._replace(done=True)
        finally:
            os.close(descriptor)

    def holds(self, mark: Mark) -> bool:
        """Whether it holds what was taken of a file: all of it, or if it is compressed, the first bytes; OSError."""
        if self.is_compressed:
            beginning = self.beginning()
            # Of a file that is done and shorter than a head, the head is all there is.
            whole = mark.done and mark.head.size < HEAD and mark.position
            if whole and len(beginning) != mark.position - mark.origin:
                return False
            return sample(beginning[: mark.head.size]) == mark.head
        if self.size < mark.position:
            return False
        descriptor = open_descriptor(self.path)
        try:
            return find_progress(descriptor, mark) is not None
        finally:
            os.close(descriptor)


def list_siblings(logs: Collection[str], directories: Collection[str], inodes: Collection[int]) -> list[Sibling]:
    """List the regular files that are called as rotated ones of a log, or have one of the inodes, the oldest first.

    Raises:
        OSError: where a directory cannot be listed.
    """
    names = {os.path.basename(log) for log in logs}
    found: dict[Identity, Sibling] = {}
    for directory in directories:
        for entry in _entries(directory):
            if entry.inode() not in inodes and names.isdisjoint(logs_of(entry.name)):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # renamed meanwhile: the next look finds it
                continue
            if stat.S_ISREG(status.st_mode):
                identity = (status.st_dev, status.st_ino)
                found[identity] = Sibling(entry.path, identity, status.st_size, status.st_mtime_ns)
    return sorted(found.values(), key=lambda sibling: sibling.modified)


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:
        return
    with entries:
        yield from entries


def has_grown(mark: Mark) -> bool:
    """Whether more was written to a plain file after it was done."""
    if not mark.done or mark.path.endswith(SUFFIXES):
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
