"""Whatever is done to logs and to the exporter, each line counts once, and no counter goes back."""

import fnmatch
import sys

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.sources.rotating import COMPRESSIONS, Log
from tests.sources.site import CRI, DOCKER, PLACES, PLAIN, Site, Variant

which = st.integers(0, 5)
counts = st.integers(1, 4) | st.integers(5, 40)
held_back = st.sampled_from((1, 2, 50, 100, 10_000))
moments = st.sampled_from((0.1, 0.5, 1.1, 2.5, 6.0, 11.5))
compressions = st.sampled_from([*COMPRESSIONS])
variants = st.builds(
    Variant,
    place=st.sampled_from([*PLACES]),
    start=st.sampled_from(("end", "beginning")),
    wrapper=st.sampled_from((PLAIN, PLAIN, CRI, DOCKER)),
    names=st.sampled_from(("numbers", "date", "within")),
    appends=st.booleans(),
    reused=st.booleans(),
    small=st.booleans(),
)


class Tailing(RuleBasedStateMachine):
    """Writers, rotations and an exporter that goes on and off, in any order."""

    def __init__(self) -> None:
        """Make nothing yet: the variant is drawn first."""
        super().__init__()
        self.site: Site

    @initialize(
        variant=variants, lines=st.integers(0, 3), older=st.none() | st.just("") | compressions, rest=st.booleans()
    )
    def begin(self, variant: Variant, lines: int, older: str | None, *, rest: bool) -> None:
        """Start with logs that may be there already."""
        site = self.site = Site(variant)
        for log in site.logs:
            if older is not None:
                log.write(site.line())
                log.rename(creates=True)
                log.reopen(parts=False)
                if older:
                    log.begin_compressing(log.rotated[0], older)
                    log.end_compressing()
                if older or not fnmatch.fnmatch(str(log.rotated[0].path), site.pattern):
                    log.rotated[0].leave_out()
            if lines:
                log.write(b"".join(site.line() for _ in range(lines)))
            if rest:
                log.write(site.line(), held_back=50)
            if variant.start == "end":
                for stored in (*log.rotated, log.stored):
                    assert stored
                    stored.leave_out()
        site.start()

    def teardown(self) -> None:
        """See at last that nothing is missing, unless something is already."""
        try:
            if hasattr(self, "site") and sys.exc_info()[0] is None:
                self.finish()
        finally:
            if hasattr(self, "site"):
                self.site.close()

    def finish(self) -> None:
        """Let all be read."""
        for log in self.site.logs:
            if log.copy:
                log.end_copy()
        if not self.is_up():
            self.site.start()
        self.site.scrape()

    def log(self, number: int) -> Log:
        """Choose a log."""
        return self.site.logs[number % len(self.site.logs)]

    def is_up(self) -> bool:
        """Whether the exporter runs."""
        return self.site.exporter.is_up

    # --- The writers --------------------------------------------------------------------------------------------------

    @rule(number=which, count=counts)
    def write(self, number: int, count: int) -> None:
        """Write whole lines, behind what was begun."""
        log = self.log(number)
        if not log.copy:
            log.write(b"".join(self.site.line() for _ in range(count)))

    @rule(number=which, held=held_back)
    def write_a_part(self, number: int, held: int) -> None:
        """Write a line but for its end, or but for its newline."""
        log = self.log(number)
        if not log.copy:
            log.write(self.site.line(), held_back=held)

    @rule(number=which)
    def write_an_overlong_line(self, number: int) -> None:
        """Write a line that is too long, at once."""
        log = self.log(number)
        if not log.copy and self.site.variant.small:
            log.write(self.site.overlong())

    @rule(number=which)
    def reopen(self, number: int) -> None:
        """Let the writer go over to the file that the path leads to."""
        log = self.log(number)
        if not log.copy:
            log.reopen(parts=self.site.variant.wrapper != PLAIN)

    # --- Rotations ----------------------------------------------------------------------------------------------------

    @rule(number=which, creates=st.booleans(), reopens=st.booleans())
    def rename(self, number: int, *, creates: bool, reopens: bool) -> None:
        """Rotate by renaming."""
        log = self.log(number)
        if log.can_be_renamed():
            log.rename(creates=creates)
            if reopens:
                self.reopen(number)

    @rule(number=which)
    def copy_and_truncate(self, number: int) -> None:
        """Rotate by copying, at one go."""
        log = self.log(number)
        if log.stored and not log.is_busy:
            log.begin_copy()
            log.end_copy()

    @rule(number=which)
    def copy(self, number: int) -> None:
        """Begin to rotate by copying, or end it."""
        log = self.log(number)
        if log.copy:
            log.end_copy()
        elif log.stored and not log.is_busy:
            log.begin_copy()

    @rule(number=which, file=which, suffix=compressions, at_once=st.booleans())
    def compress(self, number: int, file: int, suffix: str, *, at_once: bool) -> None:
        """Begin to compress a rotated file, or end it."""
        log = self.log(number)
        if log.compressing:
            log.end_compressing()
        elif not log.is_busy and (files := log.compressible()):
            log.begin_compressing(files[file % len(files)], suffix)
            if at_once:
                log.end_compressing()

    # --- What goes ----------------------------------------------------------------------------------------------------

    @rule(number=which, file=which)
    def delete_a_rotated_file(self, number: int, file: int) -> None:
        """Delete one whose lines are read, or will be, or are to be lost."""
        log = self.log(number)
        if files := log.deletable():
            log.delete(files[file % len(files)])

    @rule(number=which)
    def delete_the_log(self, number: int) -> None:
        """Delete the log itself."""
        log = self.log(number)
        if self.site.variant.wrapper == PLAIN and log.can_go():
            log.delete_log()

    @rule(number=which)
    def empty_the_log(self, number: int) -> None:
        """Truncate the log without a copy."""
        log = self.log(number)
        if self.site.variant.wrapper == PLAIN and log.can_go():
            if self.is_up():
                self.site.scrape()
            log.truncate()

    # --- The exporter -------------------------------------------------------------------------------------------------

    @rule(seconds=moments, turns=st.integers(0, 3))
    def look(self, seconds: float, turns: int) -> None:
        """Let time go by; an exporter may read some of what is there."""
        if self.is_up():
            self.site.look(seconds, turns)
        else:
            self.site.wait(seconds)

    @precondition(is_up)
    @rule()
    def flush(self) -> None:
        """Keep and show what was read."""
        self.site.exporter.flush()

    @precondition(is_up)
    @rule()
    def scrape(self) -> None:
        """Let all be read, and see whether it is all."""
        self.site.scrape()

    @precondition(is_up)
    @rule()
    def stop(self) -> None:
        """Stop the exporter."""
        self.site.stop(self.site.exporter.stop)

    @precondition(is_up)
    @rule(committed=st.booleans())
    def kill(self, *, committed: bool) -> None:
        """Kill the exporter, before or after a commit."""
        self.site.stop(lambda: self.site.exporter.kill(committed=committed))

    @precondition(lambda self: not self.is_up())
    @rule()
    def start(self) -> None:
        """Start the exporter."""
        self.site.start()


TestTailing = Tailing.TestCase
TestTailing.settings = settings(
    max_examples=75, stateful_step_count=40, deadline=None, suppress_health_check=[*HealthCheck]
)
