"""What a row of the table of log-formats is, and the fields that often stand together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A log-format, its fields, and what is special about its frontend.

    The requests of `without` are not made, for their lines could be read in more than one way, or HAProxy breaks them
    off. `captures` are of headers of "both" sides, of the "request" alone, or of neither (""). `written` is how the
    format stands in haproxy.cfg where it is not in double quotes.
    """

    format: str
    fields: str
    without: tuple[str, ...] = ()
    mode: str = "http"
    tls: bool = False
    captures: str = "both"
    unique_id: bool = True
    written: str = ""
    option: str = ""


# Requests with blanks in what is captured: without quotes nothing tells where such a value ends.
BLANKS = ("blanks", "hostile")

CLIENT = "client_ip client_port"
REQUEST = "http_request_method http_request_uri http_request_path http_version"
HEADERS = "request_headers response_headers"
COOKIES = "request_cookie response_cookie"
FT = "frontend_name ssl"
ENDS = "backend_name server_name"
ADDRESSES = f"{CLIENT} frontend_ip frontend_port backend_source_ip backend_source_port server_ip server_port"
COUNTS = "connections retries redispatched"
QUEUES = "server_queue backend_queue"
TIMERS = "time_request time_queue time_connect time_response time_total"
ALL_TIMERS = f"time_handshake time_idle {TIMERS} time_data time_user"
STATE = "termination_state"
HTTPLOG = (
    f"{CLIENT} accept_date=tr {FT} {ENDS} {TIMERS} status_code bytes_read {COOKIES} {STATE} {COUNTS} {QUEUES}"
    f" {HEADERS} {REQUEST}"
)
TLS_TAIL = "fc_err ssl_fc_err ssl_c_err ssl_c_ca_err ssl_fc_is_resumed ssl_sni ssl_version ssl_cipher"
CLF = (
    f"client_ip accept_date=trg {REQUEST} status_code bytes_read client_port accept_milliseconds {FT} {ENDS}"
    f" {TIMERS} {STATE} {COUNTS} {QUEUES} {COOKIES} {HEADERS}"
)
TCPLOG = f"{CLIENT} accept_date {FT} {ENDS} time_queue time_connect time_total bytes_read {STATE} {COUNTS} {QUEUES}"
