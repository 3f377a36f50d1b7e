"""The man pages that the package is built with."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import haproxy_log_exporter
from haproxy_log_exporter.settings import default_text, knobs
from tests.support import need, run

MAKE = Path(__file__).parent.parent / "debian/man/make.py"
PROGRAM = "haproxy-log-exporter"
KNOBS = {knob.option: knob for knob in knobs().values()}
NAMES = {knob.option: name for name, knob in knobs().items()}

# Half an hour before midnight, UTC: elsewhere it is another day.
EPOCH = "1795217400"
DAY = "2026-11-20"


def _build(directory: Path, **environment: str) -> dict[str, str]:
    """Make all pages: their texts by their files' names."""
    need("help2man")
    variables = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": EPOCH, **environment}
    made = subprocess.run(
        [sys.executable, MAKE, directory],
        env=variables,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    return {path.name: path.read_text("ascii") for path in directory.iterdir()}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all pages are, as in a directory of `man`."""
    directory = tmp_path_factory.mktemp("man") / "man1"
    _build(directory)
    return directory


@pytest.fixture(scope="module")
def pages(directory: Path) -> dict[str, str]:
    """The texts of the pages, but of those that lead to others, by their names."""
    texts = {path.stem: path.read_text("ascii") for path in directory.iterdir()}
    return {name: text for name, text in texts.items() if name.startswith(PROGRAM)}


@pytest.fixture(scope="module")
def rendered(directory: Path, pages: dict[str, str]) -> dict[str, str]:
    """The pages as they are read where only ASCII is shown, on a narrow terminal."""
    need("man")
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C", "MANWIDTH": "80"}
    texts = {}
    for name in pages:
        shown = subprocess.run(
            ["man", "-l", f"{directory}/{name}.1"], env=variables, capture_output=True, timeout=60, check=True
        )
        assert shown.stderr == b""
        texts[name] = shown.stdout.decode("ascii")
    return texts


def _ascii(text: str) -> str:
    return text.replace("…", "...")


def _helps() -> dict[str, str]:
    """What the program and each of its commands say of themselves, by the names of their pages."""
    told = run("--help").stdout.decode()
    commands = re.findall(r"(?m)^  (\w+) ", told.partition("\nCommands:\n")[2])
    assert "serve" in commands
    helps = {f"{PROGRAM}-{command}": run(command, "--help").stdout.decode() for command in commands}
    return {PROGRAM: told, **helps}


def test_each_command_has_a_page(pages: dict[str, str], directory: Path) -> None:
    """And the program; each by a second name as well, which leads to a page that is there."""
    helps = _helps()
    assert set(pages) == set(helps)
    assert {path.stem for path in directory.iterdir()} == {*helps, *(f"prometheus-{name}" for name in helps)}
    for name in helps:
        assert (directory / f"prometheus-{name}.1").read_text() == f".so man1/{name}.1\n"
        assert f"\\fB{name}\\fR(1)".replace("-", "\\-") in pages[PROGRAM] or name == PROGRAM


def test_each_option_has_its_entry(pages: dict[str, str], rendered: dict[str, str]) -> None:
    """Its names are bold, what it takes is italic, and its variable and default can be read in one piece."""
    for page, told in _helps().items():
        options = re.findall(r"(?m)^  (?:(-\w), )?(--[\w.-]+)(?: / (--[\w-]+))?", told)
        assert options
        for short, option, opposite in options:
            knob = KNOBS.get(option)
            names = [rf"\fB{name}\fR" for name in (short, option, opposite) if name]
            tag = (" / " if opposite else ", ").join(names).replace("-", r"\-")
            takes = rf" \fI{_ascii(knob.metavar)}\fR" if knob and knob.metavar else ""
            assert pages[page].count(f".TP\n{tag}{takes}\n") == 1, (page, option)
            if knob:
                notes = _notes(rendered[page], knob.variable)
                default = default_text(NAMES[option])
                assert notes == (f"[default:{default}]" if default else ""), (page, option)


def _notes(text: str, variable: str) -> str:
    """Read what stands behind a variable, without blanks; what is there in one piece was not broken."""
    found = re.findall(rf"(?s)\n +\[{variable}\](.*?)\n(?:\n|$)", text)
    assert len(found) == 1, variable
    return "".join(found[0].split())


def test_nothing_of_the_help_is_lost(rendered: dict[str, str]) -> None:
    """What each option is for, and what each command does."""
    for page, told in _helps().items():
        text = " ".join(rendered[page].split())
        for option in re.findall(r"(?m)^  (?:-\w, )?(--[\w.-]+)", told):
            assert option not in KNOBS or _ascii(KNOBS[option].help) in text, (page, option)
        description = " ".join(told.split("\n\n")[1].split())
        assert f"DESCRIPTION {description}" in text


def test_sections_stand_where_readers_look_for_them(rendered: dict[str, str]) -> None:
    """Those of the program and of `serve` in full, what commands take right behind their options."""
    sections = {name: re.findall(r"(?m)^[A-Z][A-Z ]+$", text) for name, text in rendered.items()}
    first = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
    rest = ["COMMANDS", "EXIT STATUS", "SIGNALS", "ENVIRONMENT", "FILES", "SEE ALSO"]
    assert sections[PROGRAM] == [*first, *rest]
    rest = ["SERVICE", "SIGNALS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"]
    assert sections[f"{PROGRAM}-serve"] == [*first, *rest]
    assert sections[f"{PROGRAM}-count"] == [*first, "ARGUMENTS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
    for name, text in rendered.items():
        assert f"SYNOPSIS\n       {name.replace(f'{PROGRAM}-', f'{PROGRAM} ')} [OPTIONS]" in text
        assert DAY in text.splitlines()[-1]
        assert f"{PROGRAM} {haproxy_log_exporter.__version__}" in text.splitlines()[-1]
        assert max(map(len, text.splitlines())) <= 80


def test_formatters_have_nothing_to_say(directory: Path, pages: dict[str, str]) -> None:
    """Neither of the two that there are, with all their warnings."""
    need("mandoc", "groff")
    for name in pages:
        for command in (["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-ww", "-b", "-z", "-man"]):
            told = subprocess.run([*command, f"{directory}/{name}.1"], capture_output=True, timeout=60, check=False)
            assert (told.returncode, told.stdout, told.stderr) == (0, b"", b""), name


def test_whatis_can_be_read(directory: Path, pages: dict[str, str]) -> None:
    """`man -k` finds each page, by its second name too, with what its command does."""
    need("lexgrog")
    for name in pages:
        for path in (f"man1/{name}.1", f"man1/prometheus-{name}.1"):
            told = subprocess.run(
                ["lexgrog", path], cwd=directory.parent, capture_output=True, text=True, timeout=60, check=True
            )
            assert re.fullmatch(rf'{path}: "{name} - [\w ,;\'-]+"\n', told.stdout), told.stdout


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """Wherever, whenever, and in whatever language and terminal they are made."""
    here = _build(tmp_path / "a", TZ="UTC0", COLUMNS="200")
    there = _build(
        tmp_path / "another directory" / "b",
        TZ="Pacific/Kiritimati",
        LC_ALL="C",
        LANGUAGE="de",
        COLUMNS="40",
        TERM="dumb",
        HAPROXY_LOG_EXPORTER_LABELS="server_name",
    )
    assert here == there
