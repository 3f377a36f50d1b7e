"""The file that a state is in: made, looked at, locked, and put beside.

Strategy: a new file is made under another name and linked into its place whole: an empty or half-made one is damage,
not a start. What is there is looked at before SQLite touches it, which writes to whatever is a database: a file that is
no state stays as it is, to the byte. Once open, it is locked for as long as it is, so there is no second process and no
shared memory, which some file systems do not have.
"""

import fcntl
import logging
import os
import sqlite3
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from urllib.parse import quote

from haproxy_log_exporter.messages import printable

logger = logging.getLogger(__name__)

_APPLICATION = 0x484C6F67  # "HLog": https://www.sqlite.org/fileformat.html, "Application ID"
_VERSION = 3
_PAGE_SIZE = 4096
_SCHEMA = f"""
PRAGMA page_size = {_PAGE_SIZE};
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = FULL;
BEGIN;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE tables (number INTEGER PRIMARY KEY, key TEXT NOT NULL, labels TEXT NOT NULL, blocks TEXT NOT NULL);
CREATE TABLE label_sets (id INTEGER PRIMARY KEY, label_values TEXT NOT NULL);
CREATE TABLE totals (id INTEGER PRIMARY KEY, packed BLOB NOT NULL, used NUMERIC NOT NULL);
CREATE TABLE counters (
    name TEXT NOT NULL, subject TEXT NOT NULL, value NUMERIC NOT NULL, PRIMARY KEY (name, subject)
) WITHOUT ROWID;
CREATE TABLE streams (stream BLOB PRIMARY KEY, held TEXT NOT NULL, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    stream BLOB, number INTEGER, path BLOB NOT NULL, device TEXT NOT NULL, inode TEXT NOT NULL,
    origin INTEGER NOT NULL, head_size INTEGER NOT NULL, head BLOB NOT NULL,
    position INTEGER NOT NULL, tail_size INTEGER NOT NULL, tail BLOB NOT NULL,
    done INTEGER NOT NULL, skipping INTEGER NOT NULL, continued INTEGER NOT NULL,
    PRIMARY KEY (stream, number)
) WITHOUT ROWID;
COMMIT;
PRAGMA journal_mode = WAL;
"""

# What each version did not have, by the version before it. A total of which it is not known when it grew has 0.
_UPGRADES = {
    1: "ALTER TABLE streams ADD COLUMN place TEXT NOT NULL DEFAULT '';",
    2: """
ALTER TABLE totals ADD COLUMN used NUMERIC NOT NULL DEFAULT 0;
ALTER TABLE tables RENAME TO former;
CREATE TABLE tables (number INTEGER PRIMARY KEY, key TEXT NOT NULL, labels TEXT NOT NULL, blocks TEXT NOT NULL);
INSERT INTO tables SELECT number, key, labels, blocks FROM former;
DROP TABLE former;
""",
}

# The same chapter, "The Database Header": the magic string, the user version and the application ID.
_HEADER = struct.Struct(">16s44xI4xI28x")
_MAGIC = b"SQLite format 3\0"

# What belongs to a file has its name and one of these.
_SIDES = ("-wal", "-shm", "-journal")

_RESET = "--state-reset starts afresh and keeps it beside"
# An SQL error is a table or a column that is not there; without a code it is text that is no UTF-8.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_OK,
}
_LONGEST_REASON = 200
_PRIMARY_CODE = 0xFF  # the rest of a result code is detail: https://www.sqlite.org/rescode.html

Identity = tuple[int, int]


class NoStateError(Exception):
    """A file that is no state, or none that this version can read."""


def make_file(path: str) -> None:
    """Make a new state whole, then put it in its place, unless another process was faster.

    Raises:
        NoStateError: where a WAL is there that belongs to a file that is gone.
        sqlite3.Error, OSError: where it cannot be made.
    """
    wal = f"{path}-wal"
    if os.path.lexists(wal) and os.path.getsize(wal):  # SQLite would read it as if it were of the new one
        message = f"it is gone, but {wal} is still there"
        raise NoStateError(message)
    fresh = f"{path}.{os.getpid()}.new"
    names = (fresh, *(fresh + side for side in _SIDES))
    try:
        _remove(names)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with closing(_connect(fresh)) as connection:
            connection.executescript(_SCHEMA)
        with suppress(FileExistsError):
            os.link(fresh, path)
            logger.info("state: %s is new", path)
    finally:
        _remove(names)


def put_beside(path: str, now: float) -> None:
    """Rename a file that nobody uses, and what belongs to it; `now` is in seconds since the epoch.

    Raises:
        OSError: where it is in use, is no file, or cannot be renamed.
    """
    sides = (*_SIDES, "")  # the WAL goes first: no other file may come to stand beside it
    if not any(os.path.lexists(path + side) for side in sides):
        return
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    names = (f"{path}.{stamp}" + (f".{number}" if number else "") for number in range(1000))
    name = next(name for name in names if not any(os.path.lexists(name + side) for side in sides))
    with _opened(path) if os.path.lexists(path) else nullcontext() as descriptor:
        if descriptor is not None:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever uses it has locked some of it
        for side in sides:
            with suppress(FileNotFoundError):
                os.rename(path + side, name + side)
    logger.warning("state: the one before is now %s", name)


def look_at(path: str) -> Identity:
    """See whether a file may be a state, before SQLite touches it; say which file it is.

    Raises:
        NoStateError: where it cannot be one.
        OSError: where it cannot be read and written.
    """
    with _opened(path) as descriptor:
        found, header = os.fstat(descriptor), os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        message = "it is no SQLite database" if header else "it is empty"
        raise NoStateError(message)
    _, version, application = _HEADER.unpack(header)
    _expect(application, version)
    if found.st_size % _PAGE_SIZE and not os.path.lexists(f"{os.path.realpath(path)}-wal"):  # SQLite lets it be
        message = "its end is missing"
        raise NoStateError(message)
    return found.st_dev, found.st_ino


def open_file(path: str) -> sqlite3.Connection:
    """Connect, and lock the file for as long as it is open.

    Raises:
        sqlite3.Error: where another process has it, or it cannot be read.
    """
    connection = _connect(path)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA schema_version")  # reads, and so locks
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check_file(connection: sqlite3.Connection) -> None:
    """Make sure that it is a state, and whole, and prepare it for writing.

    Raises:
        NoStateError: where it is none, or damaged.
        sqlite3.Error: where it cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    _expect(application, version)
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise NoStateError(found.splitlines()[-1])
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if version < _VERSION:
        steps = "".join(step for before, step in _UPGRADES.items() if before >= version)
        connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {_VERSION}; COMMIT;")


def explain(path: str, error: Exception) -> str:
    """Say what is wrong with a file, and what can be done."""
    if isinstance(error, BlockingIOError) or _code(error) == sqlite3.SQLITE_BUSY:
        return f"--state: {path} is in use by another process"
    if isinstance(error, OSError) or (isinstance(error, sqlite3.Error) and _code(error) not in _DAMAGE):
        return f"--state: cannot use {path}: {getattr(error, 'strerror', None) or error}"
    reason = printable(str(error).encode("utf-8", "replace"))[:_LONGEST_REASON]  # it may quote what is damaged
    return f"--state: {path} cannot be read as a state: {reason}; {_RESET}"


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """Open a file by itself. When it is closed, locks of this process on it are lost: there may be none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            message = "it is no file"
            raise OSError(message)
        yield descriptor
    finally:
        os.close(descriptor)


def _connect(path: str) -> sqlite3.Connection:
    # A transaction is what is said to be one; nothing waits for a lock.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


def _expect(application: int, version: int) -> None:
    if application != _APPLICATION:
        message = "it belongs to another program"
        raise NoStateError(message)
    if version > _VERSION:
        message = f"a newer version of this program wrote it (its schema is {version}, this one knows {_VERSION})"
        raise NoStateError(message)


def _remove(names: Sequence[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
