"""The options that say what is read: their values, their mistakes, and what of them belongs together."""

import grp
import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from haproxy_log_exporter.address import Address
from haproxy_log_exporter.settings import Settings, knobs, read_settings
from tests.support import run

NONE: dict[str, list[str]] = {name: [] for name in knobs()}
CERTIFICATE = {"tls_certificate": ["/c.pem"]}

NO_ADDRESS = (
    "is no address to listen on; it is udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT, with [::1] for IPv6, or "
    "unix:///PATH"
)
NO_PATH = "is no path for a socket; it is unix:///PATH, of 107 bytes at the most"
NO_PORT = "is no address; it is HOST:PORT, :PORT for all addresses, or [::1]:PORT"
NO_MODE = "is no mode; it is three octal digits, such as 0660"
NO_NETWORK = "; it is an address or a network such as 10.0.0.0/8 or fd00::/8"


def problems_of(**given: list[str]) -> list[str]:
    """Tell the mistakes in some options."""
    return read_settings({**NONE, **given}, {})[1]


def test_defaults() -> None:
    """Nothing is read but what is asked for; the numbers are those that the manual names."""
    settings = Settings()
    assert (settings.syslog, settings.allow, settings.journal, settings.stdin) == ((), (), (), False)
    assert (settings.max_connections, settings.receive_buffer) == (256, 64 << 20)
    assert (settings.unix_mode, settings.unix_group) == ("0666", "")


@pytest.mark.parametrize(
    ("text", "scheme", "address", "path"),
    [
        ("udp://127.0.0.1:514", "udp", Address("127.0.0.1", 514), ""),
        ("tcp://:601", "tcp", Address("", 601), ""),
        ("tls://[::1]:6514", "tls", Address("::1", 6514), ""),
        ("udp://logs.example.:0", "udp", Address("logs.example.", 0), ""),
        ("unix:///run/log", "unix", Address("", 0), "/run/log"),
        ("unix:///a b,c/%20?x#y", "unix", Address("", 0), "/a b,c/%20?x#y"),
        ("unix:////log", "unix", Address("", 0), "//log"),
    ],
)
def test_where_to_listen(text: str, scheme: str, address: Address, path: str) -> None:
    """It is kept as it was written, which is the source's name."""
    settings, problems = read_settings({**NONE, "syslog": [text, text], **(CERTIFICATE if scheme == "tls" else {})}, {})
    assert problems == []
    [url] = settings.syslog
    assert (url.text, url.scheme, url.address, url.path) == (text, scheme, address, path)


def test_bytes_of_a_path() -> None:
    """What is no UTF-8 is in the path, and in the name as it can be shown."""
    settings, problems = read_settings({"syslog": [os.fsdecode(b"unix:///log\xff")]}, {})
    assert problems == []
    [url] = settings.syslog
    assert os.fsencode(url.path) == b"/log\xff"
    assert url.text == r"unix:///log\xff"


def test_the_longest_path() -> None:
    """Its bytes count, not its characters."""
    for text in ("x" * 106, "é" * 53):
        assert problems_of(syslog=[f"unix:///{text}"]) == []
        assert problems_of(syslog=[f"unix:///{text}x"]) == [f"--syslog: 'unix:///{text}x' {NO_PATH}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_ADDRESS),
        ("127.0.0.1:514", NO_ADDRESS),
        ("http://127.0.0.1:514", NO_ADDRESS),
        ("UDP://127.0.0.1:514", NO_ADDRESS),
        ("udp:/127.0.0.1:514", NO_ADDRESS),
        ("://127.0.0.1:514", NO_ADDRESS),
        ("unix:/run/log", NO_ADDRESS),
        ("unix://", NO_PATH),
        ("unix:///", NO_PATH),
        ("unix://log", NO_PATH),
        ("unix://run/log", NO_PATH),
        ("unix:///run/", NO_PATH),
    ],
)
def test_what_is_no_place_to_listen(text: str, reason: str) -> None:
    """The whole of it is told, with what would be right."""
    assert problems_of(syslog=[text]) == [f"--syslog: {text!r} {reason}"]


@pytest.mark.parametrize("rest", ["", "127.0.0.1", ":", "h:1/", "u@h:1", "h:1?x", "::1"])
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_what_is_no_address(scheme: str, rest: str) -> None:
    """A host and a port, and nothing else."""
    [problem] = problems_of(syslog=[f"{scheme}://{rest}"])
    assert problem.startswith(f"--syslog: {rest!r} is no address")
    assert problem == f"--syslog: {rest!r} {NO_PORT}" or ": Port could not be cast" in problem


def test_who_may_send() -> None:
    """Addresses and networks of both families, each once."""
    settings, problems = read_settings(
        {"allow": ["10.0.0.0/8", "::1", "192.0.2.7", "fd00::/8", "10.0.0.0/255.0.0.0"]}, {}
    )
    assert problems == []
    assert settings.allow == tuple(map(ip_network, ("10.0.0.0/8", "::1/128", "192.0.2.7/32", "fd00::/8")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("10.0.0.0/33", "'10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"),
        ("localhost", "'localhost' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.0/8,::1", "'10.0.0.0/8,::1' does not appear to be an IPv4 or IPv6 network"),
        ("", "'' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_what_is_no_network(text: str, reason: str) -> None:
    """The reason is told, with what would be right."""
    assert problems_of(allow=[text]) == [f"--syslog-allow: {reason}{NO_NETWORK}"]


@pytest.mark.parametrize(
    ("name", "option", "least", "most"),
    [
        ("max_connections", "--syslog-max-connections", 1, 1_000_000),
        ("receive_buffer", "--syslog-receive-buffer", 4096, (1 << 30) - 1),
    ],
)
def test_numbers(name: str, option: str, least: int, most: int) -> None:
    """From the least to the most, in decimal digits alone."""
    for good in (least, most):
        settings, problems = read_settings({name: [str(good)]}, {})
        assert (getattr(settings, name), problems) == (good, [])
    for bad in (str(least - 1), str(most + 1), "", "64k", "1e6", "+4096", " 4096", "04096", "-1", "9" * 40):
        settings, problems = read_settings({name: [bad]}, {})
        assert problems == [f"{option}: {bad!r} is not a whole number from {least} to {most}"]
        assert getattr(settings, name) == getattr(Settings(), name)


def test_modes_and_groups() -> None:
    """Three octal digits; a group's name or number."""
    for mode in ("0666", "660", "0000"):
        assert read_settings({"unix_mode": [mode]}, {})[0].unix_mode == mode
    for mode in ("", "0o660", "668", "66", "1666", "06660", "rw", "-660", "6 60"):
        assert problems_of(unix_mode=[mode]) == [f"--syslog-unix-mode: {mode!r} {NO_MODE}"]
    name = grp.getgrgid(0).gr_name
    for text, number in ((name, "0"), ("0", "0"), ("12345", "12345"), ("4294967294", "4294967294")):
        settings, problems = read_settings({"unix_group": [text]}, {})
        assert (settings.unix_group, problems) == (number, [])
    for text in ("", "no such group", "-1", "4294967295", "99999999999", "9" * 40):
        assert problems_of(unix_group=[text]) == [f"--syslog-unix-group: there is no group {text!r}"]


def test_what_belongs_together() -> None:
    """What one option needs, or means nothing without; all of it at once."""
    assert problems_of(syslog=["tls://:6514"]) == ["--syslog: tls:// needs --syslog-tls-certificate PATH"]
    assert problems_of(syslog=["tls://:6514"], **CERTIFICATE, tls_key=["/k"], tls_client_ca=["/a"]) == []
    without = "there is no --syslog tls://HOST:PORT"
    given = {**CERTIFICATE, "tls_key": ["/k"], "tls_client_ca": ["/a"], "journal_directory": ["/j"]}
    assert problems_of(syslog=["tcp://:6514"], **given) == [
        f"--syslog-tls-certificate: {without}",
        f"--syslog-tls-key: {without}",
        f"--syslog-tls-client-ca: {without}",
        "--journal-directory: there is no --journal UNIT",
    ]


def test_empty_values() -> None:
    """A path or a unit that is empty is a mistake, not nothing."""
    names = ("tls_certificate", "tls_key", "tls_client_ca", "journal", "journal_directory")
    for name in names:
        for text in ("", " "):
            assert f"{knobs()[name].option}: is empty" in problems_of(**{name: [text]})


def test_variables() -> None:
    """Each option has one; what can be repeated has a value a line; a mistake names the variable."""
    variables = {
        "SYSLOG": "udp://:1\ntcp://:2\nunix:///log",
        "SYSLOG_ALLOW": "::1\n10.0.0.0/8",
        "SYSLOG_MAX_CONNECTIONS": "5",
        "SYSLOG_RECEIVE_BUFFER": "65536",
        "SYSLOG_UNIX_MODE": "600",
        "SYSLOG_UNIX_GROUP": "7",
        "JOURNAL": "haproxy\nother.service",
        "JOURNAL_DIRECTORY": "/j",
        "STDIN": "true",
    }
    environment = {f"HAPROXY_LOG_EXPORTER_{name}": text for name, text in variables.items()}
    settings, problems = read_settings(NONE, environment)
    assert problems == []
    assert [url.text for url in settings.syslog] == ["udp://:1", "tcp://:2", "unix:///log"]
    assert [str(network) for network in settings.allow] == ["::1/128", "10.0.0.0/8"]
    assert (settings.max_connections, settings.receive_buffer) == (5, 65536)
    assert (settings.unix_mode, settings.unix_group) == ("600", "7")
    assert (settings.journal, settings.journal_directory) == (("haproxy.service", "other.service"), "/j")
    assert settings.stdin
    wrong = {name: "?" for name in environment if not name.endswith(("JOURNAL", "JOURNAL_DIRECTORY"))}
    _, problems = read_settings(NONE, wrong)
    assert sorted(problem.partition(": ")[0] for problem in problems) == sorted(wrong)
    assert "HAPROXY_LOG_EXPORTER_STDIN: '?' is neither true nor false" in problems
    _, problems = read_settings(NONE, {"HAPROXY_LOG_EXPORTER_SYSLOG_TLS_KEY": "/k"})
    assert problems == ["HAPROXY_LOG_EXPORTER_SYSLOG_TLS_KEY: there is no --syslog tls://HOST:PORT"]


def test_help_names_each_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its variable, its default where there is one, and what it is for."""
    monkeypatch.setenv("COLUMNS", "200")
    told = " ".join(run("serve", "--help").stdout.decode().replace("│", " ").split())
    for name in ("syslog", "allow", "max_connections", "receive_buffer", "unix_mode", "unix_group", "journal", "stdin"):
        knob = knobs()[name]
        assert knob.option in told
        assert f"[{knob.variable}]" in told
        assert knob.help in told
    for default in ("256", "67108864", "0666"):
        assert f"[default: {default}]" in told
    assert "tls://HOST:PORT, or unix:///PATH for datagrams." in told


def test_mistakes_are_told_before_anything_is_opened(tmp_path: Path) -> None:
    """All of them at once, with 2; what there was at the path stays."""
    (tmp_path / "log").touch()
    options = ("--syslog", f"unix://{tmp_path}/log", "--syslog-unix-mode", "9", "--state", tmp_path / "state")
    told = run("serve", *options, "--syslog", "udp://", "--syslog-allow", "me", "--syslog-unix-group", "no such group")
    assert told.returncode == 2
    assert told.stderr.decode().splitlines() == [
        f"haproxy-log-exporter: {problem}"
        for problem in (
            f"--syslog: '' {NO_PORT}",
            f"--syslog-allow: 'me' does not appear to be an IPv4 or IPv6 network{NO_NETWORK}",
            f"--syslog-unix-mode: '9' {NO_MODE}",
            "--syslog-unix-group: there is no group 'no such group'",
        )
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_nothing_to_read() -> None:
    """What there is to read from is told."""
    told = run("serve")
    assert told.returncode == 2
    assert told.stderr.decode() == (
        "haproxy-log-exporter: nothing to read: give --file GLOB, --syslog URL, --journal UNIT or --stdin\n"
    )
