"""Options for configuration files, and what a command is given with one."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from haproxy_log_exporter.config.file import OptionShape
from haproxy_log_exporter.errors import UsageError
from haproxy_log_exporter.given import Given, Source
from haproxy_log_exporter.settings import knobs

# Formats with few labels, so that messages that list them are short.
FORMATS = ["%ft %b %ST %Tr %HP", "error"]
NOTHING: Mapping[str, str] = MappingProxyType({})

OPTIONS = {
    "config": OptionShape(),
    "file": OptionShape(repeatable=True),
    "labels": OptionShape(repeatable=True),
    "log.level": OptionShape(),
    "max-label-values": OptionShape(repeatable=True, is_keyed=True),
    "max-series": OptionShape(),
    "metrics": OptionShape(repeatable=True),
    "path-ids": OptionShape(is_switch=True),
    "stdin": OptionShape(is_switch=True),
    "web.listen-address": OptionShape(),
    "web.telemetry-path": OptionShape(),
}


class Config:
    """A configuration file, and what is given beside it."""

    def __init__(self, path: Path) -> None:
        """Write nothing yet."""
        self.path = path / "c.yml"

    def read(
        self,
        text: str,
        given: Mapping[str, str] = NOTHING,
        environment: Mapping[str, str] = NOTHING,
        *,
        has_sources: bool = False,
    ) -> Given:
        """Read all, with FORMATS where no others are given; an option's texts are divided by blanks."""
        self.path.write_text(text)
        texts: dict[str, list[str]] = {name: [] for name in knobs()} | {"config": [str(self.path)]}
        texts |= {"formats": FORMATS} | {name: each.split() for name, each in given.items()}
        return Source(texts, environment, has_sources=has_sources).read()

    def mistakes(
        self,
        text: str,
        given: Mapping[str, str] = NOTHING,
        environment: Mapping[str, str] = NOTHING,
        *,
        has_sources: bool = False,
    ) -> list[str]:
        """Give the messages of what is wrong, without the file's directory."""
        with pytest.raises(UsageError) as caught:
            self.read(text, given, environment, has_sources=has_sources)
        return [message.replace(f"{self.path.parent}/", "") for message in caught.value.messages]
