"""What the generations of all paths share, and how they begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from haproxy_log_exporter.sources.known import Known
from haproxy_log_exporter.sources.logfile import Identity
from haproxy_log_exporter.sources.siblings import Listings, Sibling


@dataclass(slots=True)
class Shared:
    """How time goes by, who hears of errors, which files are open, what is known by path, and what is listed."""

    now: Callable[[], float]
    complain: Callable[[str, str, OSError], None]  # of the path that is followed, of the file
    open: set[Identity] = field(default_factory=set)
    known: dict[str, Known] = field(default_factory=dict)
    listings: Listings = field(default_factory=Listings)
    _owners: dict[int, list[Known]] | None = None

    def forget(self) -> None:
        """Look at everything anew."""
        self.listings.forget()
        self._owners = None

    def owners(self, inode: int) -> Sequence[Known]:
        """Tell who knows a file of an inode, as of the first time that it is asked since all was forgotten."""
        if self._owners is None:
            self._owners = {}
            for each in self.known.values():
                for mark in each.marks:
                    self._owners.setdefault(mark.inode, []).append(each)
        return self._owners.get(inode, ())


@dataclass(frozen=True, slots=True)
class Start:
    """What is left out of files that are there when a path is first met: what the path holds, and files beside it.

    `leaves` is asked of these, and whether it is asked at once, or later, where they could not be looked at before.
    """

    leaves_held: bool
    leaves: Callable[[Sibling, bool], bool]
