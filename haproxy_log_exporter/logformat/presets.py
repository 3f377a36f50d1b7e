"""HAProxy's own formats, as strings of its log-format language, and the messages that are no traffic.

From HAProxy's manual, chapter 8.2, and `default_*_log_format` in src/log.c.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A built-in format: its name here, the kind of line it is, and its log-format string."""

    name: str
    kind: str
    source: str


_HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"

PRESETS: tuple[Preset, ...] = (
    Preset("httplog", "http", _HTTPLOG),
    Preset(
        "httpslog",
        "http",
        f"{_HTTPLOG} %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed]"
        " %[ssl_fc_sni]/%sslv/%sslc",
    ),
    Preset("tcplog", "tcp", "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"),
    Preset(
        "httplog-clf",
        "http",
        '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc'
        " %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl",
    ),
    Preset(
        "tcplog-clf",
        "tcp",
        '%{+Q}o %{-Q}ci - - [%T] "TCP " 000 %B "" "" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts--'
        ' %ac %fc %bc %sc %rc %sq %bq "" "" ',
    ),
    Preset("connect", "connect", "Connect %[ends] (%f/%[mode])"),
    Preset("error", "error", "%ci:%cp [%t] %f/%[bind_name]: %[message]"),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A kind of HAProxy's own messages and how they read; some begin with how many messages were dropped."""

    kind: str
    pattern: str
    says_dropped: bool = False


# send_log() in src/check.c, src/server.c, src/backend.c and src/proxy.c.
_SERVER = r"(?>Backup |)Server [!-.0-\xff]++/$word++ (?>\('[ -&(-\xff]*+'\) |)"

NOTICES: tuple[Notice, ...] = (
    Notice("server_down", rf"{_SERVER}is DOWN$text*+"),
    Notice("server_up", rf"{_SERVER}is UP$text*+"),
    Notice("health_check", r"(?:Health|Agent) check for (?>backup |)server $text*+"),
    Notice("no_server_available", r"(?:backend|proxy) $word++ has no server available!$text*+"),
    Notice("proxy_started", r"Proxy $word++ started\.$text*+"),
    Notice("proxy_stopped", r"(?:Proxy $word++ (?>hard-|)stopped|Stopping )$text*+"),
    Notice("proxy_paused", r"(?:Paus(?:ed|ing)|Resum(?:ed|ing)|Enabl(?:ed|ing)) $text*+"),
    # sink_announce_dropped() in src/sink.c: a ring had no room for so many messages.
    Notice("events_dropped", r"[1-9][0-9]{0,9} events? dropped", says_dropped=True),
    # print_message() in src/errors.c, on standard error: a word filled up with blanks to 8 letters, and the lines that
    # it goes on over.
    Notice(
        "process",
        r"(?:\[(?:DIAG|NOTICE|WARNING|ALERT)\] {1,5}(?>[0-9]{3}/[0-9]{6} |)\([0-9]{1,10}\) : | {3}\| )$text*+",
    ),
    Notice("other", rf"(?:{_SERVER}|Proxy $word++ reached |SIGHUP(?: received,|: (?:Server|Proxy|Backup)) )$text*+"),
)
