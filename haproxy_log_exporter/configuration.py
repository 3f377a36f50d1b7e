"""haproxy.cfg on disk: read at the start, and again when it has changed."""

import os
import stat
from collections.abc import Sequence

from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, read_config

_LARGEST = 64 << 20


class ConfigFiles:
    """The files of a configuration, in the order in which HAProxy is given them."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Take files, and directories as HAProxy does: all *.cfg in them, by name. Nothing is read yet."""
        self._paths = [*paths]
        self._seen: object = None

    def read(self) -> HAProxyConfig:
        """Read all files.

        Raises:
            UsageError: naming each file that cannot be read, or each place that is wrong.
        """
        self._seen = self._stamp()
        texts, problems = [], []
        for path in self._files():
            try:
                texts.append((path, _read(path)))
            except OSError as error:
                problems.append(f"--haproxy-config: cannot read {path}: {error.strerror or error}")
        if problems:
            raise UsageError(*problems)
        return read_config(texts, os.environ)

    def has_changed(self) -> bool:
        """Whether any file is another one than when it was read, or has another size or time."""
        return self._stamp() != self._seen

    def _files(self) -> list[str]:
        found: list[str] = []
        for path in self._paths:
            try:
                names = sorted(name for name in os.listdir(path) if name.endswith(".cfg") and not name.startswith("."))
            except OSError:  # a file; or what cannot be read at all, as opening it will tell
                found.append(path)
            else:
                found += [os.path.join(path, name) for name in names]
        return found

    def _stamp(self) -> object:
        stamps: list[object] = []
        for path in self._files():
            try:
                status = os.stat(path)
            except OSError:
                stamps.append((path, None))
            else:
                stamps.append((path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)))
        return stamps


def _read(path: str) -> str:
    """Read a regular file; nothing else may keep the caller waiting."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "is not a regular file")
        return file.read(_LARGEST).decode("utf-8", "surrogateescape")
