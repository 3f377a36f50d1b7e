"""The files of the Debian package that say what the code says too."""

import re
import shlex
from pathlib import Path

import pytest

from haproxy_log_exporter import __version__
from haproxy_log_exporter.settings import Settings, knobs, read_settings

_DEBIAN = Path(__file__).parent.parent / "debian"
_NAME = "prometheus-haproxy-log-exporter"
_DEFAULTS = (_DEBIAN / f"{_NAME}.default").read_text()
# A service has no standard input, and identifiers are replaced without being told.
_LEFT_OUT = {"--stdin", "--path-ids"}


def test_version() -> None:
    """The changelog is of the version that the program tells."""
    assert re.match(rf"{_NAME} \((.*)\) ", (_DEBIAN / "changelog").read_text())[1] == __version__  # type: ignore[index]


def test_each_option_is_in_the_defaults() -> None:
    """Every option of `serve` has its line, and no other."""
    told = set(re.findall(r"^#   (--[a-z.-]+)", _DEFAULTS, re.MULTILINE))
    assert told == {knob.option for knob in knobs().values()} - _LEFT_OUT | {"--no-path-ids"}


def test_the_arguments_are_right_and_the_state_is_where_the_unit_has_it() -> None:
    """What is set by default is read without a mistake."""
    arguments = shlex.split(shlex.split(re.search(r"^ARGS=(.*)$", _DEFAULTS, re.MULTILINE)[1])[0])  # type: ignore[index]
    names = {knob.option: name for name, knob in knobs().items()}
    given = {names[option]: [value] for option, value in zip(arguments[::2], arguments[1::2], strict=True)}
    settings, problems = read_settings(given, {})
    assert problems == []
    assert settings == Settings(files=("/var/log/haproxy.log",), start="beginning", state=f"/var/lib/{_NAME}/state")
    assert f"\nStateDirectory={_NAME}\n" in (_DEBIAN / "units" / f"{_NAME}.service").read_text()


@pytest.mark.parametrize("unit", sorted(path.name for path in (_DEBIAN / "units").iterdir()))
def test_each_unit_is_told_of(unit: str) -> None:
    """Sockets are for the service, and the README and the page of `serve` name each unit."""
    text = (_DEBIAN / "units" / unit).read_text()
    if unit.endswith(".socket"):
        assert f"\nService={_NAME}.service\n" in text
    assert re.search(r"\n\[Install\]\n(?:#.*\n)*WantedBy=", text)
    page = (_DEBIAN / "man" / "haproxy-log-exporter-serve.h2m").read_text().replace("\\-", "-")
    for told in (page, (_DEBIAN.parent / "README.md").read_text()):
        assert unit.removesuffix(".service") in told
