"""Completion of the command line in real shells: bash with its package bash-completion and without, zsh, fish."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_log_exporter.settings import knobs
from tests.support import FIXTURES, need
from tests.terminals import BASH_START, ZSH_START, Terminal

SCRIPTS = FIXTURES.parent / "completions"
NAMES = ("haproxy-log-exporter", "prometheus-haproxy-log-exporter")
COMMANDS = ["check", "count", "demo", "explain", "parse", "serve"]
PACKAGE = Path("/usr/share/bash-completion/bash_completion")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory with the program by both names, the scripts as the package installs them, and some files."""
    room = tmp_path_factory.mktemp("completion")
    for name in ("bin", "bash/completions", "zsh", "fish", "files/sub"):
        (room / name).mkdir(parents=True)
    start = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS.parent)!r})\nfrom haproxy_log_exporter.cli import main\nmain()"
    )
    (room / "bin" / NAMES[0]).write_text(f"#!{sys.executable}\n{start}\n")
    (room / "bin" / NAMES[0]).chmod(0o755)
    (room / "bin" / NAMES[1]).symlink_to(NAMES[0])
    for name in NAMES:
        (room / "bash/completions" / name).symlink_to(SCRIPTS / NAMES[0])
        (room / "fish" / f"{name}.fish").symlink_to(SCRIPTS / f"{NAMES[0]}.fish")
    (room / "zsh" / f"_{NAMES[0]}").symlink_to(SCRIPTS / f"_{NAMES[0]}")
    for name in ("two words.log", "udp.txt", "a,b.log"):
        (room / "files" / name).touch()
    return room


def around(room: Path) -> dict[str, str]:
    """Give the environment of a shell."""
    return {
        "PATH": f"{room}/bin:/usr/bin:/bin",
        "HOME": str(room),
        "ZDOTDIR": str(room),
        "BASH_COMPLETION_USER_DIR": f"{room}/bash",
        "HAPROXY_LOG_EXPORTER_LABELS": ",,nonsense",
    }


def start_bash(room: Path, script: str) -> Terminal:
    """Make an interactive bash that has read a script."""
    (room / "bashrc").write_text(f"{script}\n{BASH_START}")
    return Terminal(["bash", "--rcfile", f"{room}/bashrc", "-i"], room / "files", around(room))


@pytest.fixture(scope="module", params=["bash", "bash with its package", "zsh"])
def terminal(request: pytest.FixtureRequest, room: Path) -> Iterator[Terminal]:
    """Start a shell that knows the scripts."""
    need(request.param.partition(" ")[0])
    match request.param:
        case "bash":
            shell = start_bash(room, "\n".join(f"source {room}/bash/completions/{name}" for name in NAMES))
        case "zsh":
            (room / ".zshrc").write_text(f"fpath=({room}/zsh $fpath)\n{ZSH_START}")
            shell = Terminal(["zsh", "-d", "-i"], room / "files", around(room))
        case _:
            if not PACKAGE.exists():
                need("bash-completion")
            shell = start_bash(room, f"source {PACKAGE}")
    with shell:
        yield shell


# What is typed, and what it is after TAB.
LINES = [
    ("s", "serve "),
    ("serve --sta", "serve --sta"),  # --start, --state
    ("serve --log.l", "serve --log.level "),
    ("serve --start e", "serve --start end "),
    ("serve --start=e", "serve --start=end "),
    ("serve --start=", "serve --start="),
    ("serve --labels ssl,status_co", "serve --labels ssl,status_code "),
    ("serve --labels=ssl,status_co", "serve --labels=ssl,status_code "),
    ("serve -l ssl -l status_cl", "serve -l ssl -l status_class "),
    ("serve --metrics requests_total,s", "serve --metrics requests_total,se"),  # sessions_…, server_…
    ("serve --syslog ud", "serve --syslog udp://"),
    ("serve --syslog=ud", "serve --syslog=udp://"),
    ("serve --syslog udp:/", "serve --syslog udp://"),
    ("serve --syslog=udp:/", "serve --syslog=udp://"),
    ("serve --syslog un", "serve --syslog unix:///"),
    ("serve --syslog u", "serve --syslog u"),
    ("serve --file tw", r"serve --file two\ words.log "),
    ("serve --file=tw", r"serve --file=two\ words.log "),
    ("serve --file a,", "serve --file a,b.log "),
    ("serve --haproxy-config su", "serve --haproxy-config sub/"),
    ("serve --syslog-tls-key=ud", "serve --syslog-tls-key=udp.txt "),
    (r"serve --file two\ words.log --start e", r"serve --file two\ words.log --start end "),
    ("serve --file 'two words.log' --start=e", "serve --file 'two words.log' --start=end "),
    ("count tw", r"count two\ words.log "),
    (r"count two\ ", r"count two\ words.log "),
    ('count "two ', 'count "two words.log" '),
    ("count udp.txt tw", r"count udp.txt two\ words.log "),
    ("explain tcplog-", "explain tcplog-clf "),
    ("serve --labels ssl,,stat", "serve --labels ssl,,stat"),
]


@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_a_line_at_tab(terminal: Terminal, typed: str, completed: str) -> None:
    """The word is completed as far as it is clear, with a blank behind it where it ends; at the first TAB already."""
    assert terminal.complete(f"{NAMES[0]} {typed}")[0] == f"{NAMES[0]} {completed}"


def test_the_other_name(terminal: Terminal) -> None:
    """The link is completed as the program is."""
    assert terminal.complete(f"{NAMES[1]} serve --start=e")[0] == f"{NAMES[1]} serve --start=end "


def test_a_program_that_fails_says_nothing(terminal: Terminal, room: Path) -> None:
    """Names of files are left, and no message stands in the line."""
    program = room / "files" / NAMES[0]
    program.write_text("#!/bin/sh\necho Traceback >&2\nexit 1\n")
    program.chmod(0o755)
    try:
        line, written = terminal.complete(f"./{NAMES[0]} serve --start ud")
    finally:
        program.unlink()
    assert line == f"./{NAMES[0]} serve --start udp.txt "
    assert "Traceback" not in written


def test_all_labels_are_shown_by_zsh(room: Path) -> None:
    """With what options are for."""
    need("zsh")
    (room / ".zshrc").write_text(f"fpath=({room}/zsh $fpath)\n{ZSH_START}")
    with Terminal(["zsh", "-d", "-i"], room / "files", around(room)) as zsh:
        _, written = zsh.complete(f"{NAMES[0]} serve --labels ")
        assert {*knobs()["labels"].choices} <= {*written.split()}
        _, written = zsh.complete(f"{NAMES[0]} serve --web.")
        assert "HOST:PORT, or :PORT for all addresses" in written


@pytest.mark.parametrize("breaks", ["", ":=", "=", ":"])
def test_candidates_of_bash(room: Path, breaks: str) -> None:
    """All of them are there, and of the word only what bash replaces, by the signs that break words."""
    need("bash")
    script = """
        source "$1"
        COMP_WORDBREAKS=$' \\t\\n'$2 COMP_LINE=$3 COMP_POINT=${#COMP_LINE}
        _haproxy_log_exporter "${3%% *}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def candidates(line: str) -> list[str]:
        arguments = [str(SCRIPTS / NAMES[0]), breaks, f"{NAMES[0]} {line}"]
        shell = ["bash", "--norc", "-c", script, "bash", *arguments]
        said = subprocess.run(shell, env=around(room), capture_output=True, text=True, timeout=60, check=True)
        assert said.stderr == ""
        return said.stdout.split()

    assert sorted(candidates("")) == COMMANDS
    assert candidates("serve --syslog=u") == ["udp://", "unix:///"]
    assert candidates("serve --syslog=udp:") == ["//" if ":" in breaks else "udp://"]
    assert candidates("serve --metrics=notices_total,conn") == [
        "notices_total,connect_duration_seconds",
        "notices_total,connection_errors_total",
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("", COMMANDS),
        ("serve --start ", ["beginning", "end"]),
        ("serve --start=e", ["--start=end"]),
        ("serve --log.l", ["--log.level"]),
        ("serve --labels ssl,status_c", ["ssl,status_class", "ssl,status_code"]),
        ("serve --syslog u", ["udp://", "unix:///"]),
        ("serve --syslog=ud", ["--syslog=udp://"]),
        ("serve --file tw", ["two words.log"]),
        ("serve --file=tw", ["--file=two words.log"]),
        ("serve --haproxy-config s", ["sub/"]),
        ("count ", ["a,b.log", "sub/", "two words.log", "udp.txt"]),
        (r"serve --file two\ words.log --start=e", ["--start=end"]),
        ("explain tcplog-", ["tcplog-clf"]),
    ],
)
def test_candidates_of_fish(room: Path, name: str, line: str, answers: list[str]) -> None:
    """Values where there are some to choose from, names of files elsewhere, never both."""
    need("fish")
    script = "set fish_complete_path $argv[1]; complete --do-complete $argv[2]"
    said = subprocess.run(
        ["fish", "--no-config", "-c", script, str(room / "fish"), f"{name} {line}"],
        env=around(room),
        cwd=room / "files",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stderr == ""
    assert sorted(row.partition("\t")[0] for row in said.stdout.splitlines()) == answers
