"""Configuration on disk: haproxy.cfg, read at the start and again when it has changed, and other files."""

import os
import stat
from collections.abc import Sequence

from haproxy_log_exporter.config.openapi import looks_like_openapi, read_openapi
from haproxy_log_exporter.config.places import Text
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig, read_config
from haproxy_log_exporter.labels.templates import read_template_lines

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


def read_text_file(path: Text) -> str:
    """Read a file that an option names.

    Raises:
        UsageError: where it cannot be read.
    """
    try:
        return _read(path.text)
    except OSError as error:
        message = f"{path.place}: cannot read {path.text}: {error.strerror or error}"
        raise UsageError(message) from error


def read_template_files(paths: Sequence[Text]) -> tuple[str, ...]:
    """Read the templates of files, each with one a line, or an OpenAPI document.

    Raises:
        UsageError: naming each file that cannot be read, and each place that is wrong.
    """
    found: list[str] = []
    problems: list[str] = []
    for path in paths:
        if "{" in path.text and not os.path.exists(path.text):
            problems.append(f"{path.place}: {path.text} is no file; a template itself is for path-template")
            continue
        try:
            text = read_text_file(path)
            if looks_like_openapi(text):
                found += read_openapi(text, path.text)
                continue
            templates, mistakes = read_template_lines(text)
            problems += [f"{path.text}:{line}: {message}" for line, message in mistakes]
            found += templates
        except UsageError as error:
            problems += error.messages
    if problems:
        raise UsageError(*problems)
    return tuple(found)


def _read(path: str) -> str:
    """Read a regular file; nothing else may keep the caller waiting."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "is not a regular file")
        text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise OSError(0, f"is larger than {_LARGEST >> 20} MiB")
        return text.decode("utf-8", "surrogateescape")
