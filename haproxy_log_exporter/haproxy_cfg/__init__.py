"""From haproxy.cfg to how each proxy logs: its formats and the names of its captured headers.

Strategy: a line becomes words by HAProxy's own rules (words.py); the words change what a section says about logging
(settings.py, captures.py); the reader (reader.py) knows which section a line belongs to, what it inherits, which
variables are set, and that each arm of an `.if` may be the one that is in force. What does not concern logging is
skipped, whatever it is: HAProxy itself is the judge of it.
"""

from haproxy_log_exporter.haproxy_cfg.reader import read_config
from haproxy_log_exporter.haproxy_cfg.records import Captures, HAProxyConfig, Proxy, ProxyFormat

__all__ = ["Captures", "HAProxyConfig", "Proxy", "ProxyFormat", "read_config"]
