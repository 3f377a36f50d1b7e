"""Which paths patterns name."""

import fnmatch
import glob
import os
from collections.abc import Callable, Iterable, Mapping

from haproxy_log_exporter.sources.compressed import SUFFIXES

_COMPRESSED = (*SUFFIXES, ".lz4", ".zip")


class Patterns:
    """Patterns by name, and what they named last."""

    def __init__(
        self, patterns: Mapping[str, str], complain: Callable[[str, str, OSError], None], without: Iterable[str] = ()
    ) -> None:
        """`complain` is told of a pattern's name, and of a directory that cannot be listed; `without` is left out."""
        self._patterns = patterns
        self._complain = complain
        self._without = frozenset(without)
        self._before: dict[str, list[str]] = {}
        self._literal: set[str] = set()

    def named(self) -> dict[str, str]:
        """Look up which paths there are, each with the name of the first pattern; directories by their real names.

        A link is none where the file that it leads to is named as well. Of a directory that cannot be listed, it is
        as before.
        """
        found: dict[str, str] = {}
        directories: dict[str, str] = {}
        for name, pattern in self._patterns.items():
            for path in self._expand(name, pattern) if glob.has_magic(pattern) else [pattern]:
                directory, base = os.path.split(path)
                if directory not in directories:
                    directories[directory] = os.path.realpath(directory)
                real = os.path.join(directories[directory], base)
                found.setdefault(real, name)
                if not glob.has_magic(pattern):
                    self._literal.add(real)
        links = {path: os.path.realpath(path) for path in found if os.path.islink(path)}
        leading = {target: path for path, target in reversed(links.items()) if target not in found}
        left_out = self._without | (links.keys() - leading.values())
        return {path: name for path, name in found.items() if path not in left_out}

    def is_literal(self, path: str) -> bool:
        """Whether a path was named as it is: then it is a log, whatever it is called."""
        return path in self._literal

    def among(self, paths: Iterable[str]) -> dict[str, str]:
        """Tell which of some paths, that need not be there, would be named, and by which pattern."""
        return {path: name for path in paths for name, pattern in self._patterns.items() if _names(pattern, path)}

    def _expand(self, name: str, pattern: str) -> list[str]:
        unlisted: list[str] = []
        paths = [os.sep]
        for part in os.path.abspath(pattern).split(os.sep)[1:]:
            if not glob.has_magic(part):
                paths = [os.path.join(path, part) for path in paths]
                continue
            listed: list[str] = []
            for path in paths:
                try:
                    entries = sorted(os.listdir(path))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    self._complain(name, path, error)
                    unlisted.append(os.path.join(path, ""))
                    continue
                shown = (entry for entry in entries if not entry.startswith(".") or part.startswith("."))
                listed += [os.path.join(path, entry) for entry in fnmatch.filter(shown, part)]
            paths = listed
        found = [path for path in paths if not path.endswith(_COMPRESSED) and _may_be_log(path)]
        found += [path for path in self._before.get(name, ()) if path.startswith(tuple(unlisted))]
        self._before[name] = found
        return found


def _may_be_log(path: str) -> bool:
    return may_exist(path) and not os.path.isdir(path)


def may_exist(path: str) -> bool:
    """Whether there is something by a name, or it cannot be told."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _names(pattern: str, path: str) -> bool:
    """Whether a pattern would name a path, no matter by what links to directories."""
    directory, base = os.path.split(os.path.abspath(pattern))
    wanted = os.path.join(directory if glob.has_magic(directory) else os.path.realpath(directory), base).split(os.sep)
    parts = path.split(os.sep)
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
