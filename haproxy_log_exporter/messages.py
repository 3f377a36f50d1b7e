"""The exporter's own messages, on standard error, in logfmt or JSON."""

import json
import logging
import sys
from datetime import UTC, datetime


class _Formatter(logging.Formatter):
    """One line a message: ts, level, msg, and the traceback where there is one."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        pairs = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            pairs["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(pairs, ensure_ascii=False)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in pairs.items())


def _logfmt(value: str) -> str:
    plain = value.isprintable() and not any(char in value for char in ' "=\\')
    return value if plain and value else json.dumps(value, ensure_ascii=False)


def send_messages(level: str, format_: str) -> None:
    """Send messages from `level` on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(as_json=format_ == "json"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)  # it calls its own ending an error


def printable(octets: bytes) -> str:
    """Write bytes of strangers so that they do nothing to a terminal: what is not printable is escaped."""
    text = octets.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
