"""Log-formats as people have them in use, those with sample expressions, and those of TCP mode."""

from tests.integration.log_format_rows import (
    ADDRESSES,
    BLANKS,
    CLF,
    CLIENT,
    COUNTS,
    ENDS,
    FT,
    HEADERS,
    HTTPLOG,
    QUEUES,
    REQUEST,
    STATE,
    TCPLOG,
    TIMERS,
    TLS_TAIL,
    Row,
)


def _tcp(source: str, fields: str, *, tls: bool = False, without: tuple[str, ...] = ()) -> Row:
    return Row(source, fields, mode="tcp", tls=tls, without=without, unique_id=False)


IN_USE = (
    Row(
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
        HTTPLOG,
        without=("cookie",),
    ),
    Row(
        "%ci:%cp [%t] %ft %b/%s %Tq/%Tw/%Tc/%Tr/%Tt %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
        HTTPLOG.replace("=tr", "").replace("time_request", "time_request=Tq"),
        without=("cookie",),
    ),
    Row(
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
        " %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc",
        f"{HTTPLOG} {TLS_TAIL}",
        without=("cookie",),
        tls=True,
    ),
    Row(
        '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc'
        " %sq %bq %CC %CS %hrl %hsl",
        CLF.replace(HEADERS, "request_headers"),
        captures="request",
    ),
    Row(
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %rc %hr %{+Q}r",
        f"{CLIENT} accept_date=tr {FT} {ENDS} {TIMERS} status_code bytes_read=some {STATE} retries redispatched"
        f" request_headers {REQUEST}",
        option="logasap",
    ),
    Row(
        '%ci - - [%T] "%HM %HU %HV" %ST %B "%[capture.req.hdr(0)]" "%[capture.req.hdr(1)]"',
        f"client_ip accept_date=T {REQUEST} status_code bytes_read request_header_1 request_header_2",
    ),
    Row(
        "%ci - - [%trg] %{+Q}r %ST %B %{+Q}[capture.req.hdr(0)] %{+Q}[capture.req.hdr(1)] %Ta",
        f"client_ip accept_date=trg {REQUEST} status_code bytes_read request_header_1 request_header_2 time_total",
    ),
    Row(
        "client=%ci port=%cp status=%ST bytes=%B time=%Ta backend=%b server=%s request=%{+Q}r"
        " agent=%{+Q}[capture.req.hdr(1)]",
        f"{CLIENT} status_code bytes_read time_total {ENDS} {REQUEST} request_header_2",
    ),
    Row(
        "ts=%Ts.%ms level=info method=%HM path=%HP status=%ST dur=%Ta host=%[capture.req.hdr(0)]",
        "timestamp accept_milliseconds http_request_method http_request_path status_code time_total request_header_1",
        without=BLANKS,
    ),
    Row(
        '[haproxy@48577 ci="%ci" cp="%cp" st="%ST" rq=%{+Q,+E}r ua=%{+Q,+E}[capture.req.hdr(1)]] %b/%s',
        f"{CLIENT} status_code {REQUEST} request_header_2 {ENDS}",
    ),
    Row(
        '{"timestamp":%Ts,"frontend_name":"%f","remote_addr":"%ci","bytes_read":%B,"upstream_addr":"%si",'
        '"backend_name":"%b","retries":%rc,"bytes_uploaded":%U,"upstream_connect_time":"%Tc",'
        '"session_duration":"%Tt","termination_state":"%ts","srv_queue":%sq,"backend_queue":"%bq",'
        '"frontend_concurrent_conns":%fc,"backend_concurrent_conns":%bc,"status":%ST}',
        "timestamp frontend_name client_ip bytes_read server_ip backend_name retries redispatched bytes_uploaded"
        " time_connect time_total termination_state=ts server_queue backend_queue connections=,fc,bc, status_code",
    ),
    Row(
        '{"host":"%H","ident":"haproxy","pid":%pid,"time":"%Tl","internal":{"conn":{"act":%ac,"fe":%fc,"be":%bc,'
        '"srv":%sc},"queue":{"backend":%bq,"srv":%sq},"time":{"tq":%Tq,"tw":%Tw,"tc":%Tc,"tr":%Tr,"tt":%Tt},'
        '"termination_state":"%tsc","retries":%rc},"client":{"ip":"%ci","port":%cp},"front":{"ip":"%fi","port":%fp},'
        '"ssl":{"version":"%sslv","ciphers":"%sslc"},"request":{"method":"%HM","hu":"%HU","hp":"%HP","hq":"%HQ",'
        '"protocol":"%HV","header":{"host":"%[capture.req.hdr(0),json(utf8s)]","ua":"%[capture.req.hdr(1),json(utf8s)]"}},'
        '"name":{"backend":"%b","frontend":"%ft","server":"%s"},"response":{"status_code":%ST,'
        '"header":{"foo":"%[capture.res.hdr(0),json(utf8s)]"}},"bytes":{"uploaded":%U,"read":%B}}',
        f"hostname process_id accept_date=Tl {COUNTS} {QUEUES} {TIMERS.replace('time_request', 'time_request=Tq')}"
        f" {STATE} {CLIENT} frontend_ip frontend_port ssl_version ssl_cipher {REQUEST} http_request_query"
        f" request_header_1 request_header_2 {ENDS} {FT} status_code response_header_1 bytes_uploaded bytes_read",
        tls=True,
    ),
    Row(
        '{"time":"%trl","ua":%{+Q}[capture.req.hdr(1)],"cookie":%{+Q}CC,"status":%ST,"request":%{+Q,+E}r}',
        f"accept_date=trl request_header_2 request_cookie status_code {REQUEST}",
    ),
    Row(
        '%{+Q}o {"client":%ci,"request":%r,"headers":%hr,"backend":%b,"server":%s,"id":%ID,"status":%ST}',
        f"client_ip {REQUEST} request_headers {ENDS} unique_id status_code",
    ),
    Row(
        "%{+Q}o { date: %tr, state: %tsc, agent: %[capture.req.hdr(1)], status: %ST, foo: %[capture.res.hdr(0)] }",
        f"accept_date=tr {STATE} request_header_2 status_code response_header_1",
    ),
    Row(
        "haproxy,frontend=%f,backend=%b,server=%s status=%ST,ta=%Ta,bytes=%B %Ts",
        f"timestamp frontend_name {ENDS} status_code time_total bytes_read",
    ),
)

SAMPLES = (
    Row(
        "%[src] %[src_port] %[dst] %[dst_port] %ST",
        "client_ip=src client_port=src_port frontend_ip=dst frontend_port=dst_port status_code",
    ),
    Row(
        "%{+Q}o %[src] %[src_port] %[dst] %[dst_port] %ST",
        "client_ip=src client_port=src_port frontend_ip=dst frontend_port=dst_port status_code",
    ),
    Row(
        "%[bc_src] %[bc_src_port] %{+Q}[bc_dst] %{+Q}[bc_dst_port] %ST",
        "backend_source_ip backend_source_port server_ip server_port status_code",
    ),
    Row(
        "%[fe_name] %[be_name] %{+Q}[srv_name] %[hostname] %[unique-id] %ST",
        "frontend_name backend_name=be_name server_name=srv_name hostname unique_id status_code",
    ),
    Row(
        "%[capture.req.method] %{+Q}[capture.req.uri] %[capture.req.ver] %ST",
        "http_request_method http_request_uri=capture_uri http_request_path=capture_path http_version=capture_version"
        " status_code",
    ),
    Row("%[ssl_fc_protocol] %{+Q}[ssl_fc_cipher] %ST", "ssl_version ssl_cipher status_code", tls=True),
    Row(
        "%[src,ipmask(24)] %{+Q}[src,ipmask(24,64)] %[src,hex] %ST",
        "src_ipmask_24 src_ipmask_24_64 src_hex status_code",
    ),
    Row(
        "%[bool(true)] %{+Q}[bool(true)] %{+X}[int(-5)] %{+Q}[str(),length] %ST",
        "bool_true int_5 str_length status_code",
    ),
    Row("%[str('x]y'),upper] z%[str([a])] %ST", "str_x_y_upper str_a status_code"),
    Row(
        '%{+Q}[str("a)b] c")],%ST,%[var(txn.host),regsub("[.]","-",g)],', "str_a_b_c status_code var_txn_host_regsub_g"
    ),
    Row('%[var(txn.host),concat(" a,b) ]",txn.path,)];%ST', "var_txn_host_concat_a_b_txn_path status_code"),
    Row(
        "%[var(txn.host)]|%{+Q}[var(txn.path)]|%[var(txn.none)]|%{+Q}[var(txn.none)]|%ST",
        "var_txn_host var_txn_path status_code",
    ),
    Row(
        '%[var(txn.host),field(1,:),lower]:%[var(txn.agent),field(-1," ")] %ST',
        "var_txn_host_field_1_lower var_txn_agent_field_1 status_code",
    ),
    Row("%[capture.req.hdr(1),base64] %{+E}[var(txn.foo)]~ %ST", "capture_req_hdr_1_base64 var_txn_foo status_code"),
    Row(
        "{%[var(txn.agent),json(utf8s)]} %{+Q}[var(txn.path),json(utf8s)] %ST", "var_txn_agent var_txn_path status_code"
    ),
    Row(
        "%[nbsrv(none)]/%[queue(none)]/%[stopping] %[fc_err_str], %ST",
        "nbsrv_none queue_none stopping message=fc_err_str status_code",
    ),
    Row("ua=%{+Q,+E}[var(txn.agent),json(utf8s)] %ST", "var_txn_agent status_code"),
    Row("%ST %[var(txn.agent)]", "status_code var_txn_agent"),
    Row("%{+Q,+E}[var(txn.agent)]%{+Q}[var(txn.host)] %ST", "var_txn_agent var_txn_host status_code"),
)

TCP = (
    _tcp(
        "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
        f"{TCPLOG.replace(STATE, STATE + '=ts')}",
        tls=True,
    ),
    _tcp("%ci:%cp -> %fi:%fp %bi:%bp -> %si:%sp %ts", f"{ADDRESSES} {STATE}=ts"),
    _tcp("%{+Q}o %ci %cp %fi %fp %bi %bp %si %sp %b %s %ts", f"{ADDRESSES} {ENDS} {STATE}=ts"),
    _tcp(
        "%{+X}o %ci:%cp %fi:%fp %Ts.%ms %pid %ts",
        f"{CLIENT} frontend_ip frontend_port timestamp accept_milliseconds process_id {STATE}=ts",
        without=("unix",),
    ),
    _tcp(
        '{"ci":"%ci","b":"%b","s":"%s","up":%U,"down":%B,"tt":%Tt,"state":"%ts"}',
        f"client_ip {ENDS} bytes_uploaded bytes_read time_total {STATE}=ts",
    ),
    _tcp(
        '%{+Q}o {"t":"%T","ft":%ft,"v":%sslv,"c":%sslc,"id":%ID} %B',
        f"accept_date=T {FT} ssl_version ssl_cipher bytes_read",
        tls=True,
    ),
    _tcp(
        "%Th %Tw %Tc %Td %Tt %Tu %U %B %rc",
        "time_handshake time_queue time_connect time_data time_total time_user"
        " bytes_uploaded bytes_read retries redispatched",
    ),
    _tcp("%Tl|%ts|%B", f"accept_date=Tl {STATE}=ts bytes_read"),
    _tcp(
        "%H %lc %[src] %{+Q}[src_port] %[src,ipmask(24)] %B %ts",
        f"hostname log_counter client_ip=src client_port=src_port src_ipmask_24 bytes_read {STATE}=ts",
    ),
)
