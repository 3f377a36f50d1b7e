"""Interactive shells: a line is typed, TAB is pressed, and what the line has become is read."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

PROMPT = "READY: "
_SHOW = b"\x14"  # Ctrl-T, which the shells are told to show and clear the line by

# What bash and zsh are to read at their start, to be looked through here.
BASH_START = rf"""
PS1='{PROMPT}'
bind 'set enable-bracketed-paste off'
bind 'set completion-query-items 0'
bind 'set page-completions off'
show() {{ printf '<<%s>>\n' "$READLINE_LINE"; READLINE_LINE=; READLINE_POINT=0; }}
bind -x '"\C-t": show'
"""
ZSH_START = rf"""
PS1='{PROMPT}'
unset zle_bracketed_paste
LISTMAX=1000
show() {{ print -r -- "<<$BUFFER>>"; BUFFER=; }}
zle -N show
bindkey '^T' show
autoload -Uz compinit
compinit -u -D
"""


class Terminal:
    """A shell with a terminal of its own; start it by `with`."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """`command` is to prompt by PROMPT, and to write the line as <<LINE>> and clear it at Ctrl-T."""
        self._command = command
        self._folder = folder
        self._environment = {**environment, "TERM": "dumb", "LC_ALL": "C.UTF-8"}

    def __enter__(self) -> Self:
        """Start it, and wait for its prompt."""
        self._descriptor, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 500, 250, 0, 0))
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *self._command],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=self._folder,
            env=self._environment,
        )
        os.close(other)
        self._read_until(PROMPT)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up, and wait for its end."""
        os.close(self._descriptor)
        self._process.wait(timeout=30)

    def complete(self, line: str) -> tuple[str, str]:
        """Type a line and TAB: what the line is then, and all that was written on the way."""
        os.write(self._descriptor, line.encode() + b"\t" + _SHOW)
        written = self._read_until(r"<<(.*)>>")
        match = re.search(r"<<(.*)>>", written)
        assert match
        return match[1], written

    def _read_until(self, pattern: str) -> str:
        written = b""
        deadline = time.monotonic() + 30
        while not re.search(pattern, written.decode(errors="replace")):
            if not select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
                pytest.fail(f"waited for {pattern}, got {written!r}")
            written += os.read(self._descriptor, 1 << 16)
        return written.decode(errors="replace")
