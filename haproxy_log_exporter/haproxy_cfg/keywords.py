"""The words of haproxy.cfg that have to do with logging, and with what is named in a line."""

# A line that begins with one of these begins a section, wherever it stands. All up to HAProxy 3.3.
# fmt: off
SECTIONS = frozenset({
    "acme", "backend", "cache", "crt-store", "defaults", "fcgi-app", "frontend", "global", "http-errors", "listen",
    "log-forward", "log-profile", "mailers", "namespace_list", "peers", "program", "resolvers", "ring", "traces",
    "userlist",
})
# fmt: on
LOGGING_SECTIONS = ("frontend", "listen")
SERVER_SECTIONS = ("backend", "listen")

# The words with which the lines that matter begin, in a section that logs or in its defaults.
LOGGING = (
    ("capture",),
    ("declare",),
    ("error-log-format",),
    ("http-after-response", "capture"),
    ("http-request", "capture"),
    ("http-response", "capture"),
    ("log-format",),
    ("mode",),
    ("option", "httplog"),
    ("option", "httpslog"),
    ("option", "tcplog"),
    ("tcp-request", "content", "capture"),
)
ROUTING = ("default_backend", "server", "server-template", "use_backend")
VARIABLES = ("presetenv", "resetenv", "setenv", "unsetenv")  # in global
NOT_READ = {
    "log-format-sd": "what it puts before a line gives no fields",
    "log-profile": "a logger that uses it may write other formats than its proxy's; name those by --format",
}
INTERESTING = SECTIONS.union(NOT_READ, ROUTING, VARIABLES, ("no", "default"), (first for first, *_ in LOGGING))

# HAProxy sets these itself, the first of them from 2.8 on (`read_cfg` in src/haproxy.c). What the environment has comes
# first: it is there for an older HAProxy, and a newer one would replace it by the same strings.
PRESET_VARIABLES = {
    "httplog": "HAPROXY_HTTP_LOG_FMT",
    "httplog-clf": "HAPROXY_HTTP_CLF_LOG_FMT",
    "httpslog": "HAPROXY_HTTPS_LOG_FMT",
    "tcplog": "HAPROXY_TCP_LOG_FMT",
    "tcplog-clf": "HAPROXY_TCP_CLF_LOG_FMT",
}
