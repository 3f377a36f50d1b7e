"""Reading configuration again while lines are counted: as a whole, or not at all.

haproxy.cfg is looked at whenever it has changed, and says how lines are written; tables stay. On SIGHUP all files are
read: what they say may change labels, metrics, limits and paths, and then new tables begin with what was counted of
each metric whose labels and buckets are the same.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from haproxy_log_exporter.choice import Choice
from haproxy_log_exporter.engine import Assembly
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.formats import Format, configured_formats, with_former
from haproxy_log_exporter.given import Given
from haproxy_log_exporter.haproxy_cfg import HAProxyConfig
from haproxy_log_exporter.messages import send_messages
from haproxy_log_exporter.metrics.moving import carry_over, keep
from haproxy_log_exporter.metrics.shown import Reloads
from haproxy_log_exporter.planning import compile_all
from haproxy_log_exporter.records import Parser
from haproxy_log_exporter.settings import Settings, knobs
from haproxy_log_exporter.state import State, tell_lost

logger = logging.getLogger(__name__)

# What can change while sources are open; what is chosen to be counted is looked at by itself.
_CHANGEABLE = frozenset(
    {"labels", "metrics", "buckets", "own_metrics", "formats", "parser", "sample_weight", "facilities"}
    | {"path_templates", "path_template_files", "path_ids", "path_depth"}
    | {"most_values", "most_series", "series_idle", "log_level", "log_format"}
)


Again = Callable[[Sequence[Format]], Given]


class Reloader:
    """Keeps what lines are read and counted by, and exchanges it."""

    def __init__(self, given: Given, again: Again | None, state: State | None) -> None:
        """`again` reads what was given once more; labels may be those that the formats which it is told fill.

        Raises:
            UsageError: with every mistake in formats, labels, metrics and rules.
        """
        self.assembly = Assembly(given.choice)
        self.pipeline = self.assembly.pipeline
        self.parser = Parser(compile_all(given.choice))
        self.settings = given.settings
        self.reloads = Reloads(time.time()) if given.settings.config else None
        self._again = again
        self._state = state
        self._files = given.files
        self._configured: tuple[Format, ...] = given.choice.configured
        self._former = self._configured

    def start(self) -> None:
        """Begin with what the state has, where there is one."""
        if self._state:
            self._state.restore(self.assembly.tables)
        self.assembly.begin()
        self._warn(None)

    @property
    def reads_options(self) -> bool:
        """Whether options stand in files, so that SIGHUP may change more than formats."""
        return bool(self._again and (self.settings.config or self.settings.path_template_files))

    def has_changed(self) -> bool:
        """Whether haproxy.cfg has."""
        return self._files is not None and self._files.has_changed()

    def read_haproxy_config(self) -> None:
        """Read haproxy.cfg again; where it is broken, that is told, and what was read before stays."""
        if not self._files:
            return
        try:
            config = self._files.read()
            self._exchange_formats(configured_formats(config), config)
        except UsageError as error:
            tell_stays("haproxy.cfg is not taken over", error)

    def read_all(self) -> Settings | None:
        """Read all files again; give the settings where they are taken over. All that was counted has to be shown.

        Where anything is wrong, that is told, and what was read before stays.

        Raises:
            OperationError: where the state cannot be written; it may be tried again.
        """
        assert self._again
        try:
            given = self._again((*self._configured, *self._former))
            self._expect_no_restart(given.settings)
            self._exchange(given)
        except UsageError as error:
            self.reloads = self.reloads._replace(succeeded=False) if self.reloads else None
            tell_stays("the configuration is not taken over", error)
            return None
        self.settings, self._files = given.settings, given.files
        self.reloads = Reloads(time.time()) if self.reloads else None
        send_messages(given.settings.log_level, given.settings.log_format)
        logger.info("the configuration was read again")
        return given.settings

    def _expect_no_restart(self, settings: Settings) -> None:
        changed = [
            row.name for row in fields(Settings) if getattr(settings, row.name) != getattr(self.settings, row.name)
        ]
        if fixed := [knobs()[name].option for name in changed if name not in _CHANGEABLE]:
            raise UsageError(*(f"{option}: it has changed, which takes a restart" for option in fixed))

    def _exchange(self, given: Given) -> None:
        found, now = given.choice.configured, self.assembly.choice
        former = self._configured if found != self._configured else self._former
        choice = replace(given.choice, configured=with_former(found, former), numbering=now.numbering)
        if _without_formats(choice) == _without_formats(now):
            if given.config:
                self._exchange_formats(found, given.config)
            return
        assembly = Assembly(choice)
        lost = carry_over([keep(table) for table in self.assembly.tables], assembly.tables)
        if self._state:
            self._state.exchange(assembly.tables)
        tell_lost("the configuration", lost)
        assembly.take_over(self.pipeline)
        self.assembly, self.parser = assembly, Parser(compile_all(choice))
        self._warn(given.config)
        self._configured, self._former = found, former

    def _exchange_formats(self, found: tuple[Format, ...], config: HAProxyConfig) -> None:
        former = self._configured if found != self._configured else self._former
        choice = self.assembly.exchange(with_former(found, former), config.routes)
        self._configured, self._former = found, former
        self.parser = Parser(compile_all(choice))
        self._warn(config)
        logger.info("haproxy.cfg was read again: %d formats", len(found))

    def _warn(self, config: HAProxyConfig | None) -> None:
        """Say what is worth saying of haproxy.cfg, and of what it makes certain."""
        for warning in config.warnings if config else ():
            logger.warning("%s", warning)
        for label in self.assembly.unfilled:
            logger.warning("the label %s is empty from now on: no format in use can fill it", label)
        if number := self.assembly.undeclared:
            what = (
                "series that haproxy.cfg makes certain are not shown at 0: they would take more than half of the places"
            )
            logger.warning("%d %s of --max-series or --max-label-values", number, what)


def _without_formats(choice: Choice) -> Choice:
    return replace(choice, configured=(), routes=())


def tell_stays(what: str, error: UsageError) -> None:
    """Say what is wrong, and that nothing has changed."""
    for message in error.messages:
        logger.error("%s, what was read before stays: %s", what, message)
