r"""What a transport puts before HAProxy's line, as one optional prefix that is part of every format's expression.

All eight kinds of `log … format` (HAProxy's manual, chapter 4.2, "log"), and the two forms in which rsyslog writes
files. None of it is looked at again, so nothing is captured. Each word has a bound, RFC 5424's for a hostname: what is
no header is walked over by every expression, and must not be long to walk over.
"""

import re
from collections.abc import Sequence

# In the order of their numbers (RFC 5424, section 6.2.1), by HAProxy's names (log_facilities in src/log.c).
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp",
    "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip

# RFC 3164, section 4.1.1, and RFC 5424, section 6.2.1: facility * 8 + severity.
_PRIORITY = r"(?:<[0-9]{1,3}+>|)"

# RFC 3164, section 4.1.2: "Nov 20 04:30:53".
_TIMESTAMP_3164 = r"[A-Z][a-z]{2} [ 0-9:]{11}"

# RFC 3339 as in RFC 5424, section 6.2.3: "2026-11-20T04:30:53.046768+00:00".
_TIMESTAMP_5424 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?>[.,][0-9]{1,9}+|)(?>Z|[-+][0-9:]{5})"

# The tag is log-tag's and ends in a colon; a hostname, which `local` leaves out, does not.
_HOST = r"[!-\xff]{1,255}+(?<!:) "
_TAG = r"[!-\xff]{1,255}+(?<=:) "

# A tag may hold blanks too. What rsyslog has received as RFC 5424, it writes with the process's number and no colon.
_PROCESS = r"\[[0-9]{1,10}+\]"
_NUMBERED_TAG = rf"[!-Z\\^-\xff]{{1,255}}+{_PROCESS} "
_LONG_TAG = rf"(?:{_HOST}){{2,4}}(?:{_TAG}|{_NUMBERED_TAG})"

# RFC 5424, section 6.3: "-" or elements [id key="value" …], in whose values ", \ and ] are escaped.
_QUOTED = r'"[ !#-\x5b\x5d-\xff]*+(?>(?:\\.[ !#-\x5b\x5d-\xff]*+){0,64})"'
_STRUCTURED_DATA = rf"(?>-|(?:\[(?>[ !#-Z^-\xff]*+(?:{_QUOTED}[ !#-Z^-\xff]*+){{0,64}})\]){{1,16}})"

_HEADER_3164 = rf"{_TIMESTAMP_3164} (?:{_HOST}|){_TAG}"
# `timed` and `iso` write the time alone, rsyslog's files host and tag behind it.
_HEADER_ISO = rf"{_TIMESTAMP_5424} (?:{_HOST}{_TAG}|)"
# Rare ones. HAProxy's own messages may follow the time at once and hold colons too: there a tag of several words must
# have a process's number.
_OTHER_3164 = rf"{_TIMESTAMP_3164} (?:{_LONG_TAG}|(?:{_HOST}|){_NUMBERED_TAG})"
_OTHER_ISO = rf"{_TIMESTAMP_5424} (?:{_HOST}){{1,4}}[!-Z\\^-\xff]{{1,255}}+{_PROCESS}:? "
# VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA
_HEADER_5424 = rf"1 (?:[!-\xff]{{1,255}}+ ){{5}}{_STRUCTURED_DATA} (?>\xef\xbb\xbf|) ?+"

ENVELOPE = rf"{_PRIORITY}(?:{_HEADER_3164}|{_HEADER_ISO}|{_HEADER_5424}|{_OTHER_3164}|{_OTHER_ISO}|)"

# What may be all of it, from the most to the least.
_BEGINNINGS = (
    rf"{_PRIORITY}(?:{_HEADER_3164}|{_OTHER_3164}|{_OTHER_ISO}|{_TIMESTAMP_5424} {_HOST}{_TAG}|{_HEADER_5424})",
    rf"{_PRIORITY}{_TIMESTAMP_5424} ",
    _PRIORITY,
)
BEGINNINGS = tuple(re.compile(pattern.encode("latin-1")) for pattern in _BEGINNINGS)


def find_message(line: bytes) -> int:
    """Tell where a message begins behind the longest header that it may have."""
    return next(match.end() for match in (pattern.match(line) for pattern in BEGINNINGS) if match)


def compile_facilities(names: Sequence[str]) -> re.Pattern[bytes]:
    """Compile what finds the lines of some facilities in a chunk: its first group is a line of them, or nothing.

    A line without a priority names no facility, nor does one below 8, as `log … format short` writes it.
    """
    numbers = [FACILITIES.index(name) for name in names]
    wanted = "|".join(str(number * 8 + severity) for number in numbers for severity in range(8))
    return re.compile(f"(?:((?><(?:[0-7]|{wanted})>|(?!<[0-9]{{1,3}}>)).*+\n)|.*+\n)".encode())
