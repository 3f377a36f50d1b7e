r"""The log-formats that HAProxy itself is asked about, and the fields that `parse` must find in their lines.

A format stands here as it is given to --format. Its fields are told by hand: a name of the contract alone, or
`name=key` where the value is known under another key (see log_format_values.py); `connections=ac,,bc,` tells which
of the four counts there are.
"""

from tests.integration.log_format_rows import (
    ADDRESSES,
    ALL_TIMERS,
    BLANKS,
    CLIENT,
    COOKIES,
    COUNTS,
    ENDS,
    FT,
    HEADERS,
    QUEUES,
    REQUEST,
    STATE,
    TIMERS,
    Row,
)
from tests.integration.log_format_uses import IN_USE, SAMPLES, TCP

_ALIASES = (
    Row("%ci %cp %fi %fp %bi %bp %si %sp %ST", f"{ADDRESSES} status_code"),
    Row("%{+Q}o %ci %cp %fi %fp %bi %bp %si %sp %ST", f"{ADDRESSES} status_code"),
    Row("%{+X}o %ci:%cp %fi:%fp %bi:%bp %si:%sp %ST", f"{ADDRESSES} status_code", without=("unix",)),
    Row("%{+X,+Q}o %ci,%cp,%fi,%fp,%bi,%bp,%si,%sp,%ST", f"{ADDRESSES} status_code", without=("unix",)),
    Row("%{+X}ci %{+Q}ci %ST", "client_ip status_code", without=("unix",)),
    Row("%Th %Ti %TR %Tq %Tw %Tc %Tr %Td %Ta %Tt %Tu %ST", f"{ALL_TIMERS} status_code"),
    Row("%{+Q,+X,+E}o %Th/%Ti/%TR/%Tw/%Tc/%Tr/%Td/%Ta/%Tu %ST", f"{ALL_TIMERS} status_code"),
    Row("%Tq/%Tw/%Tc/%Tr/%Tt %ST", f"{TIMERS.replace('time_request', 'time_request=Tq')} status_code"),
    Row("%Tu %ST", "time_user status_code"),
    Row("%t|%ST", "accept_date status_code"),
    Row("[%tr] %ST", "accept_date=tr status_code"),
    Row('"%T" %ST', "accept_date=T status_code"),
    Row("%Tl %ST", "accept_date=Tl status_code"),
    Row("%{+Q,+X,+E}trg,%ST", "accept_date=trg status_code"),
    Row("<%trl> %ST", "accept_date=trl status_code"),
    Row("%t %tr %T %Tl %trg %trl %Ts %ms %ST", "accept_date timestamp accept_milliseconds status_code"),
    Row(
        "%{+X}Ts %{+X}ms %{+X}pid %{+X}lc %{+X}rt %{+X}ST",
        "timestamp accept_milliseconds process_id log_counter request_counter status_code",
    ),
    Row(
        "%Ts.%ms %pid %lc %rt %H %ST",
        "timestamp accept_milliseconds process_id log_counter request_counter hostname status_code",
    ),
    Row("%Ts%ms %ST", "timestamp accept_milliseconds status_code"),
    Row("%{+Q}H %{+E}H %ST", "hostname status_code"),
    Row("%ac/%fc/%bc/%sc/%rc %sq/%bq %ST", f"{COUNTS} {QUEUES} status_code"),
    Row("%{+Q,+X}o ac=%ac bc=%bc sq=%sq %ST", "connections=ac,,bc, server_queue status_code"),
    Row("%rc %bq %fc %ST", "retries redispatched backend_queue connections=,fc,, status_code"),
    Row("%f %b %s %ST", f"frontend_name {ENDS} status_code"),
    Row("%ft %b/%s %ST", f"{FT} {ENDS} status_code", tls=True),
    Row("%{+Q}ft %{+Q,+E}f %{+Q}b %{+Q,+X}s %ST", f"{FT} {ENDS} status_code", tls=True),
    Row("%tsc %ST", f"{STATE} status_code"),
    Row("%{+Q,+X,+E}ts %ST", f"{STATE}=ts status_code"),
    Row("%tsc %ts %ST", f"{STATE} status_code"),
    Row("%B %U %ST", "bytes_read bytes_uploaded status_code"),
    Row("%{+Q,+X}B %{+X}U %{+Q}ST", "bytes_read bytes_uploaded status_code"),
    Row("%CC %CS %ST", f"{COOKIES} status_code", without=("cookie",)),
    Row("%{+Q}CC %{+Q}CS %ST", f"{COOKIES} status_code"),
    Row("%{+E}CC;%{+Q,+E}CS;%ST", f"{COOKIES} status_code"),
    Row("%HM %HU %HV %ST", f"{REQUEST} status_code"),
    Row("%HM %HP %HQ %HV %ST", "http_request_method http_request_path http_request_query http_version status_code"),
    Row(
        "%{+Q}o %HM %HPO %HQ %HV %ST",
        "http_request_method http_request_path=HPO http_request_query http_version status_code",
    ),
    Row(
        "%{+Q,+E}HU %{+E}HPO %{+Q,+E}HQ %ST",
        "http_request_uri http_request_path http_request_query status_code",
    ),
    Row("%{+E}HP|%{+E}HQ|%ST", "http_request_path http_request_query status_code"),
    Row("%HPO|%HQ|%ST", "http_request_path=HPO http_request_query status_code"),
    Row("%HM %HP%HQ %ST", "http_request_method http_request_path http_request_query status_code"),
    Row("%ST %HQ", "status_code http_request_query"),
    Row("%{+X}HM %{+X}HU %{+X}HV %ST", f"{REQUEST} status_code"),
    Row("%r %ST", f"{REQUEST} status_code"),
    Row("%ST %r", f"status_code {REQUEST}"),
    Row("%{+Q}r %ST", f"{REQUEST} status_code"),
    Row("%{+E}r %ST", f"{REQUEST} status_code"),
    Row("%ST %{+Q,+E}r", f"status_code {REQUEST}"),
    Row('"%r" %ST', f"{REQUEST} status_code"),
    Row("%ID %ST", "unique_id status_code"),
    Row("%{+Q}ID %{+Q,+E,+X}ID %ST", "unique_id status_code"),
    Row("id=%ID st=%ST", "status_code", unique_id=False),
    Row("%sslv %sslc %ST", "ssl_version ssl_cipher status_code", tls=True),
    Row("%{+Q}o %ft %sslv %sslc %[ssl_fc_sni] %ST", f"{FT} ssl_version ssl_cipher ssl_sni status_code", tls=True),
)

_CAPTURES = (
    Row("%hr %hs %ST", f"{HEADERS} status_code"),
    Row("%ST %hr %hs", f"{HEADERS} status_code"),
    Row("%{+Q}hr %{+Q}hs %ST", f"{HEADERS} status_code"),
    Row("%{+E}hr %{+Q,+E}hs %{+X}ST", f"{HEADERS} status_code"),
    Row("[%hr]|%hs|%ST", f"{HEADERS} status_code"),
    Row("req=%hr res=%hs %ST end", f"{HEADERS} status_code"),
    Row("%{+Q}hrl %{+Q}hsl %ST", "request_headers status_code", captures="request"),
    Row("%ST %{+Q,+E}hrl|%{+Q,+E}hsl", f"{HEADERS} status_code"),
    Row("%hrl|%hsl|%ST", f"{HEADERS} status_code", without=BLANKS),
    Row("(%{+E}hrl) %ST", "request_headers status_code", without=BLANKS),
    Row("%ST %hr %hs %{+Q}hrl %B", "status_code bytes_read", captures=""),
    Row("%hr %ST %hs", "status_code", captures=""),
    Row("%[capture.req.hdr(0)] %ST", "request_header_1 status_code"),
    Row("%{+Q}[capture.req.hdr(0)] %{+Q}[capture.req.hdr(1)] %ST", "request_header_1 request_header_2 status_code"),
    Row("%{+E}[capture.req.hdr(1)]|%{+Q,+E}[capture.res.hdr(0)] %ST", "request_header_2 response_header_1 status_code"),
    Row(
        "%ST %{+Q}o %[capture.req.hdr(1)] %{-Q}[capture.res.hdr(0)]",
        "status_code request_header_2 response_header_1",
        without=("hostile",),
    ),
    Row("%{+X}[capture.req.hdr(1)] %ST", "request_header_2 status_code"),
    Row('"%[capture.req.hdr(1),json(utf8s)]" %ST', "request_header_2 status_code"),
)

_LITERALS = (
    Row("a%%b 100%% %ST%%", "status_code"),
    Row("%%%ST%%%s", "status_code server_name"),
    Row("  lead   %ST  trail  ", "status_code"),
    Row("$ST %ST ~^`@;,=&*+?.()#'", "status_code"),
    Row("# %ST # %s", "status_code server_name"),
    Row("grüße %ST → %s ü", "status_code server_name"),
    Row("%ST\t%B\t\t%s\t%hr\t%b", f"status_code bytes_read {ENDS} request_headers"),
    Row("%ST_%B.%s|%b", f"status_code bytes_read {ENDS}"),
    Row("%Tw-%Tc+%Ta %ST ms", "time_queue time_connect time_total status_code"),
    Row("[%ci]:%cp [%fi]:%fp %ST", f"{CLIENT} frontend_ip frontend_port status_code"),
    Row("%T%tr%tsc%ST", f"accept_date=T {STATE} status_code"),
    Row("%tsc%ST%hr%b", f"{STATE} status_code request_headers backend_name"),
    Row("%HQ %ST", "http_request_query status_code"),
    Row("%hr %HQ %hs %{+Q}hrl %ST", f"{HEADERS} http_request_query status_code"),
    Row("a %hr%HQ b %ST %hs", f"{HEADERS} http_request_query status_code"),
    Row("%ST \t %hr \t %b", "status_code request_headers backend_name"),
    Row("%{+Q}HQ%{+Q}hr%{+Q}hs x %ST", f"http_request_query {HEADERS} status_code"),
    Row("\"%{+Q}r\" '%s' %ST", f"{REQUEST} server_name status_code"),
    Row(r"a\\b %ST \\", "status_code", written=r'"a\\b %ST \\"'),
    Row("%ci|%cp|%ST|%s|%{+Q}r|%hr", f"{CLIENT} status_code server_name {REQUEST} request_headers"),
    Row(
        "%ci;%ST;%b;%s;%HM;%HU", f"client_ip status_code {ENDS} http_request_method http_request_uri http_request_path"
    ),
    Row("%ST→%HU→ %sé%r→", f"status_code server_name {REQUEST}"),
    Row(
        "%si-%sp|%sslv-%sslc|%CC-%ST",
        "server_ip server_port ssl_version ssl_cipher request_cookie status_code",
        tls=True,
    ),
    Row("%s<%b> %ST", f"{ENDS} status_code"),
    Row("[%ci]<%ST>(%s){%b}", f"client_ip status_code {ENDS}"),
    Row("%ci - %s (%b) says: %ST, and %B bytes.", f"client_ip {ENDS} status_code bytes_read"),
    Row(r"%ci\ %ST\ \"%r\"", f"client_ip status_code {REQUEST}", written=r"%ci\ %ST\ \"%r\""),
    Row(
        r"{\"ci\":\"%ci\",\"st\":%ST,\"ua\":\"%[capture.req.hdr(1),json(utf8s)]\"}",
        "client_ip status_code request_header_2",
        written=r"{\"ci\":\"%ci\",\"st\":%ST,\"ua\":\"%[capture.req.hdr(1),json(utf8s)]\"}",
    ),
    Row("x %{+Q}o %s %{-Q}b %{-Q}o %b %ST", f"{ENDS} status_code"),
    Row("%{+Q,+E}o %{-Q}s %b %{-E}r %{-Q,-E}ft lit %ST", f"{ENDS} {REQUEST} {FT} status_code"),
    Row("%{+X}o %ci %{-X}cp %{-X}Ts %pid %ST", f"{CLIENT} timestamp process_id status_code", without=("unix",)),
    Row("%{+Q, +E}r %{}s %{-X}b %ST", f"{REQUEST} {ENDS} status_code"),
    Row("%{+Q}o%ci %{+Q}[src]x%{+Q}s %ST", "client_ip server_name status_code"),
)

FORMATS = (*_ALIASES, *_CAPTURES, *_LITERALS, *IN_USE, *SAMPLES, *TCP)

# What HAProxy takes, but nothing tells in its lines where one value ends and the next one begins.
AMBIGUOUS = ("%s%b %ST", "%CC%CS %ST", "%[src]%[dst] %ST", "%hrl%hsl %ST", "%b%ST", "%ci%cp %ST", "%ST%B")

# What HAProxy refuses.
NOT_FORMATS = (
    "%zz", "%ci2", "%cip", "%STx %s", "%", "a %", "%ST 5% of %B", "%%%", "%[", "%[src", "%{+Q", "%{+Q}", "%{+Q} %s",
    "%{+Q}%%", "%5s", "%[]", '%[str("a]', "%ST %[src ", "%r %hrlx",
)  # fmt: skip
