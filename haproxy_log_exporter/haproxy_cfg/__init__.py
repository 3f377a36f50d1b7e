"""From haproxy.cfg to how each proxy logs: its formats, the names of its captured headers, and the servers behind it.

Strategy: a line becomes words by HAProxy's own rules (words.py); the words change what a section says about logging
(settings.py, captures.py); the reader (reader.py) knows which section a line belongs to, what it inherits, which
variables are set, and that each arm of an `.if` may be the one that is in force; which servers the lines of a proxy can
name follows from all sections together (routes.py). What does not concern logging is skipped, whatever it is: HAProxy
itself is the judge of it.
"""

from haproxy_log_exporter.haproxy_cfg.reader import read_config
from haproxy_log_exporter.haproxy_cfg.records import Captures, HAProxyConfig, Proxy, ProxyFormat, Route

__all__ = ["Captures", "HAProxyConfig", "Proxy", "ProxyFormat", "Route", "read_config"]
