#!/usr/bin/python3
"""Makes the man pages of all commands with help2man, from the command line's own help: make.py DIRECTORY.

Strategy: the commands are those that the help names. Each page's help is printed with no line broken, so that nothing
is torn that belongs together. What help2man does not know, such as dots in options, is set right in what it has made.
Sections beside those of the help stand in files NAME.h2m beside this one. Pages are of the day of SOURCE_DATE_EPOCH,
and depend on neither locale nor terminal.
"""

import io
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
sys.dont_write_bytecode = True
for name in ("LANGUAGE", "LANG", "LC_MESSAGES"):
    os.environ.pop(name, None)
os.environ["LC_ALL"] = "C.UTF-8"  # of what prints the help, too

from haproxy_log_exporter import __version__  # noqa: E402 -- it is the checkout's
from haproxy_log_exporter.cli import app  # noqa: E402 -- likewise

PROGRAM = "haproxy-log-exporter"
# Each page has a second name, by that of the program and of the service in Debian.
OTHER_NAME = f"prometheus-{PROGRAM}"
_UNBROKEN = 10_000  # columns

_COMMAND = re.compile(r"(?m)^  (\w+)  +(\S.*)$")
_DAY = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))


def _break_at_commas(default: re.Match[str]) -> str:
    return rf"[default:\~{default[1]}]".replace(",", r",\:")


# What help2man writes, and what is meant.
_MEANT = (
    # Names that may be copied are neither hyphenated nor stretched.
    (r'^(\.TH \S+ "1") "\w+ \d+"(.*)$', rf'\1 "{_DAY}"\2\n.nh\n.ad l'),
    # The name of a command is no argument.
    (rf"^\.B {PROGRAM}\n\\fI\\,([a-z]+) \\/\\fR", rf".B {PROGRAM} \1\n"),
    # An option may have dots in its name. What it takes is italic.
    (r"^(\\fB\\-\\-\w+)\\fR(\.[\w\\-]+)", r"\1\2\\fR"),
    (r"^(\\fB\\-.*\\fR) ([^\s/]\S*)$", r"\1 \\fI\2\\fR"),
    # Its variable and default stand in a line of their own.
    (r" \[(HAPROXY_LOG_EXPORTER_\w+)\]", r"\n.br\n[\\fB\1\\fR]"),
    (r"\[default: (.*)\]$", _break_at_commas),
    (r"  \[required\]$", ""),
    # Of a command, the page is named.
    (r"^(haproxy\S+)(\(1\))$", r"\\fB\1\\fR\2"),
)


def main(directory: Path) -> None:
    """Make all pages."""
    directory.mkdir(parents=True, exist_ok=True)
    make_page(directory, "", "Prometheus metrics from HAProxy's log lines")
    for command, about in _COMMAND.findall(_help().partition("\nCommands:")[2]):
        make_page(directory, command, about[0].lower() + about[1:].rstrip("."))


def make_page(directory: Path, command: str, whatis: str) -> None:
    """Make the page of a command, or of the program, and the one that leads to it."""
    ending = f"-{command}.1" if command else ".1"
    page = _run_help2man(PROGRAM + ending.removesuffix(".1"), _arrange(_help(command)), whatis)
    for pattern, meant in _MEANT:
        page = re.sub(pattern, meant, page, flags=re.MULTILINE)
    if not page.isascii():
        sys.exit(f"not ASCII: {[line for line in page.splitlines() if not line.isascii()]}")
    (directory / f"{PROGRAM}{ending}").write_text(page)
    (directory / f"{OTHER_NAME}{ending}").write_text(f".so man1/{PROGRAM}{ending}\n")


def _help(command: str = "") -> str:
    """Give the help of a command, or of the program."""
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        app([*filter(None, [command]), "--help"], prog_name=PROGRAM, terminal_width=_UNBROKEN)
    return printed.getvalue().replace("…", "...")


def _arrange(text: str) -> str:
    """Write the parts of a help as help2man reads them."""
    usage, description, lists = text.split("\n\n", 2)
    lists, _, commands = lists.partition("Commands:\n")
    lists = lists.replace("Arguments:\n", "*Arguments*\n")  # a section of its own
    commands = _COMMAND.sub(rf"  {PROGRAM}-\1(1)  \2", commands)
    return f"{usage}\n\n{description.strip()}\n\n{lists}" + (f"*Commands*\n{commands}" if commands else "")


def _run_help2man(name: str, text: str, whatis: str) -> str:
    includes = [HERE / f"{name}.h2m", *([HERE / "commands.h2m"] if name != PROGRAM else [])]
    made = subprocess.run(  # noqa: S603 -- the arguments are this program's own
        [
            *("help2man", "--no-info", "--locale=C.UTF-8", "--section=1", f"--source={PROGRAM} {__version__}"),
            *(f"--name={whatis}", f"--version-string={name} {__version__}"),
            *(f"--include={path}" for path in includes if path.exists()),
            *("--help-option=-", "cat"),  # the program whose help it is, from standard input
        ],
        input=text,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return made.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
