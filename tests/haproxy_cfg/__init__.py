"""What the tests of haproxy.cfg share: reading a text, showing what was found, and asking the real HAProxy."""

import os
import re
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

from haproxy_log_exporter.haproxy_cfg import Captures, HAProxyConfig, Proxy, read_config
from haproxy_log_exporter.haproxy_cfg.routes import NO_SERVER

FIXTURES = Path(__file__).parents[2] / "fixtures" / "haproxy-cfg"


def read(*texts: str, **environment: str) -> HAProxyConfig:
    """Read texts as files named h.cfg, or 1.cfg, 2.cfg, … where there are several."""
    names = ["h.cfg"] if len(texts) == 1 else [f"{number}.cfg" for number in range(1, len(texts) + 1)]
    return read_config([(name, textwrap.dedent(text)) for name, text in zip(names, texts, strict=True)], environment)


def read_fixture(name: str, **environment: str) -> HAProxyConfig:
    """Read a fixture as it is, with its carriage returns."""
    return read_config([(name, (FIXTURES / name).read_bytes().decode())], environment)


def show(proxy: Proxy) -> list[str]:
    """Write a proxy down: what it is, a line for each format, and a line for each set of captures that has any."""
    lines = [f"{proxy.section} {proxy.name} {proxy.mode}"]
    for found in proxy.formats:
        line = found.place.rpartition(":")[2]
        lines.append(f"{line}: {found.kind} {found.preset or repr(found.source)}")
        assert not (found.preset and found.source), "a preset has no source"
    if [*proxy.captures] != [Captures()]:
        lines += [f"{{{'|'.join(each.request)}}} {{{'|'.join(each.response)}}}" for each in proxy.captures]
    return lines


def show_all(config: HAProxyConfig) -> list[str]:
    """Write all proxies down."""
    return [line for proxy in config.proxies for line in show(proxy)]


def show_servers(config: HAProxyConfig) -> list[str]:
    """Write those routes down that end at a server, without their kind."""
    return [f"{route.frontend} {route.backend}/{route.server}" for route in config.routes if route.server != NO_SERVER]


def check(*files: Path, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Let the real HAProxy check files; give its exit status and what it said, bytes outside of UTF-8 as surrogates."""
    arguments = [argument for file in files for argument in ("-f", str(file))]
    # Not the tests' environment: what the fixtures ask for must be in them.
    variables = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", **(environment or {})}
    result = subprocess.run(["haproxy", "-c", *arguments], env=variables, capture_output=True, timeout=60, check=False)
    return result.returncode, result.stderr.decode("utf-8", "surrogateescape")


def complaints(said: str, file: Path) -> dict[int, str]:
    """Give the first that HAProxy said of each line of a file."""
    found: dict[int, str] = {}
    for message in re.split(r"^\[[A-Z]+\] +\(\d+\) : ", said, flags=re.MULTILINE):
        about = re.match(rf"(?:config : )?[Pp]arsing \[{re.escape(str(file))}:(\d+)\] ?: ?(.*)", message, re.DOTALL)
        if about:
            found.setdefault(int(about[1]), about[2].removesuffix("\n"))
    return found
