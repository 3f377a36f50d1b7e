"""What must stand in some fields for a line to be read in a format: of several readings, each takes its own lines.

A guard is written where the value of its field begins, as a look ahead.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

Guards = Mapping[str, str]

# log_orig_to_str and log_orig_register in src/log.c: `log-steps` writes a line at each step of a request, and actions
# write some under their own names.
_ALWAYS_LAST = r"txn_close|sess_error|sess_killed|unspec"

# Of what is not known before the end. A format with none of it is logged as soon as all that it has is known, once,
# whatever that step is called.
_KNOWN_AT_THE_END = frozenset(
    {"bytes_read", "bytes_uploaded", "time_total", "time_user", "time_data", "time_response", "retries", "srv_conn"}
    | {"actconn", "feconn", "beconn", "server_queue", "backend_queue"}
)


def last_step(fields: AbstractSet[str]) -> Guards:
    """Ask for the last line of a request, where a format with these fields tells at which step it was written."""
    return {"log_origin": f"(?={_last(fields)})"}


def earlier_steps(fields: AbstractSet[str]) -> Guards:
    """Ask for all others."""
    return {"log_origin": f"(?!{_last(fields)})"}


def _last(fields: AbstractSet[str]) -> str:
    known = _ALWAYS_LAST if fields & _KNOWN_AT_THE_END else rf"{_ALWAYS_LAST}|txn_[a-z]++"
    return rf'"?+(?:{known})(?![-a-z_])'


def of_frontends(names: Iterable[str]) -> Guards:
    """Ask for the lines of these frontends."""
    alternatives = "|".join(re.escape(name.encode("utf-8", "surrogateescape").decode("latin-1")) for name in names)
    return {"frontend_name": rf'(?="?+(?:{alternatives})(?![-.:_0-9A-Za-z]))'}
