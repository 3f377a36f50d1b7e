"""The kinds of haproxy.cfg that people write, and what must be found in each."""

import pytest

from tests.haproxy_cfg import FIXTURES, check, read_fixture, show_all
from tests.support import need

_JSON = (
    '{"time":"%t","client":"%ci","method":%{+Q}HM,"path":%{+Q}HP,"status":%ST,"bytes":%B,'
    '"host":"%[capture.req.hdr(0)]","cost":"$%Ta","agent":%{+Q}[capture.req.hdr(0),regsub(\'#\',\\\\,g)]}'
)
_INGRESS = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs"
    ' "%HM %[var(txn.base)] %HV"'
)
_HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
_TCPLOG = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
_TLS_ERROR = (
    "10: error '%ci:%cp [%t] %ft %ac/%fc %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]"
    "/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc'"
)

EXPECTED = {
    "debian": ["frontend site http", "22: http httplog", "{host} {}"],
    "compose": ["frontend http http", "9: http httplog", "listen stats http", "9: http httplog"],
    "ingress": [
        "frontend healthz http",
        f"16: http {_INGRESS!r}",
        "frontend http http",
        f"16: http {_INGRESS!r}",
        "{var_txn_host|user_agent} {}",
        "frontend tcp-5432 tcp",
        f"54: tcp {_TCPLOG + ' %[fc_dst_port]'!r}",
        "frontend stats http",
        f"16: http {_INGRESS!r}",
    ],
    "pfsense": [
        "listen HAProxyLocalStats http",
        "16: connect connect",
        "frontend web-merged http",
        "34: http httplog",
        "frontend mail tcp",
        "51: tcp tcplog",
        "frontend vpn tcp",
        "55: connect connect",
    ],
    "databases": [
        "listen postgres-write tcp",
        "8: tcp tcplog",
        "listen postgres-read tcp",
        "23: tcp '%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %U %ts %bi:%bp'",
        "listen mysql tcp",
        "30: tcp tcplog",
        "listen redis tcp",
        "8: tcp tcplog",
        "listen clf tcp",
        "45: tcp tcplog",
        "45: tcp tcplog-clf",
        "frontend exporters http",
        "51: http httplog",
    ],
    "tls": [
        "frontend plain http",
        "17: http httplog",
        _TLS_ERROR,
        "frontend secure http",
        "9: http httpslog",
        _TLS_ERROR,
        "{user_agent} {}",
        "frontend partners http",
        """35: http '%ci:%cp [%tr] %ft %b/%s %ST %B %[ssl_fc_sni] %sslv/%sslc "%[ssl_c_s_dn(cn)]" %{+Q}r'""",
        "34: error 'partner %ci:%cp %fp %[fc_err_str]'",
        "frontend passthrough tcp",
        "9: tcp tcplog",
        _TLS_ERROR,
        "{req_ssl_sni} {}",
    ],
    "json": [
        "frontend double http",
        f"15: http {_JSON!r}",
        "{host} {}",
        "frontend single http",
        f"21: http {_JSON!r}",
        "{host} {}",
        "frontend bare http",
        f"27: http {_JSON!r}",
        "{host} {}",
    ],
    "bare": [
        "frontend web http",
        "14: http '%ci:%cp [%t] %ft %b/%s %ST %B {%[src]} #%pid %{+Q}r'",
        "frontend pages http",
        r"19: http 'time=%T\tstatus=%ST\tprice=$5\tpath=C:\\pages%HP\\ end\\'",
    ],
    "named-defaults": [
        "frontend implicit http",
        "28: http 'unnamed %ci'",
        "frontend explicit http",
        "13: http httplog",
        "14: error 'web %ci %[fc_err]'",
        "{x_request_id|host} {}",
        "frontend clf http",
        "20: http httplog-clf",
        "frontend own http",
        "46: http 'own %ci'",
        "47: error 'own %ci %[fc_err]'",
        "{x_request_id} {}",
        "frontend sessions tcp",
        "52: tcp tcplog",
        "listen anew tcp",
        "62: connect connect",
        "frontend still http",
        "20: http httplog-clf",
    ],
    "conditions": [
        "frontend upgraded http",
        "15: http httplog",
        "27: http httpslog",
        "29: http '%ci %ST'",
        "20: error 'tls %ci %[ssl_fc_err]'",
        "frontend replaced http",
        "41: http '%[env(LOG_NAME)] prod prod'",
        "41: http '%[env(LOG_NAME)] test test'",
        "41: http '%[env(LOG_NAME)] none none'",
        "20: error 'tls %ci %[ssl_fc_err]'",
        "{host} {}",
        "{} {}",
        "frontend nested http",
        "15: http httplog",
        "15: tcp tcplog",
        "20: error 'tls %ci %[ssl_fc_err]'",
        "{host|user_agent|referer} {}",
        "{host||referer} {}",
        "{host|referer} {}",
        "frontend admin http",
        "67: http httplog-clf",
        "72: http 'no admin %ci'",
        "20: error 'tls %ci %[ssl_fc_err]'",
    ],
    "environment": [
        "frontend example http",
        "15: http '%ci:%cp [%tr] %ST %{+Q}r'",
        "frontend fallback http",
        "26: http '%ci:%cp [%tr] %ST without %cp $FIELDS fallback 26'",
        "frontend verbatim http",
        "31: http '%ci $FIELDS ${TAIL}'",
        "32: error '%ci $FIELDS'",
        "frontend several http",
        "37: http httplog-clf",
        "frontend unset http",
        "42: http '%ci %ST'",
        "frontend cleared http",
        "15: http '%ci:%cp [%tr] %ST %{+Q}r'",
    ],
    "captures": [
        "frontend every http",
        "8: http httplog",
        (
            "{host|user_agent|src_ipmask_24|x_forwarded_for|x_late|accept_language|req_cook_theme|}"
            " {x_cache|content_type|status|}"
        ),
        "frontend conditional http",
        "8: http httplog",
        "{x_first} {}",
        "listen own http",
        "8: http httplog",
        "{odd_name|method} {server}",
        "frontend none http",
        "8: http httplog",
    ],
    "sections": ["listen first http", "48: http httplog", "listen second http", "73: tcp tcplog"],
    "windows": [
        "frontend web http",
        r"""14: http '%ci:%cp\t[%tr] %ft %b/%s # %ST "%r"'""",
        "{user_agent} {}",
    ],
    "newer": [
        "frontend extended http",
        f"20: http {_HTTPLOG + ' <%[var(txn.backend)]>'!r}",
        f"21: error {_TCPLOG!r}",
        "frontend same http",
        "33: http httpslog",
        f"21: error {_TCPLOG!r}",
        "frontend clf http",
        "38: http httplog-clf",
        f"21: error {_TCPLOG!r}",
        "frontend objects http",
        "44: http '%{+json}o %(client)ci %(status:sint)ST %(time)Ta %(path:str)[path,json(utf8s)]'",
        f"21: error {_TCPLOG!r}",
        "frontend sessions tcp",
        "50: tcp tcplog-clf",
        f"21: error {_TCPLOG!r}",
        "frontend verbatim tcp",
        "56: tcp tcplog",
        f"21: error {_TCPLOG!r}",
    ],
    "older": [
        "listen web http",
        "10: http httplog",
        "{x_forwarded_for} {content_length}",
        "frontend logged http",
        r"29: http '%ci:%cp [%t] %f %b/%s %ST'",
        "listen sessions tcp",
        "10: tcp tcplog",
    ],
}

WARNINGS = {
    "environment": ["environment.cfg:42: empty here, as it is not set for the exporter: GONE"],
    "newer": [
        (
            "newer.cfg:5: log-profile is not read: a logger that uses it may write other formats than its proxy's;"
            " name those by --format"
        )
    ],
    "sections": ["sections.cfg:74: log-format-sd is not read: what it puts before a line gives no fields"],
}

# What HAProxy 2.6 does not know yet, and what it does not know any more.
_NOT_2_6 = {"newer", "older"}


def test_each_fixture_has_its_expectation() -> None:
    """No fixture lies there unread."""
    assert {file.stem for file in FIXTURES.glob("*.cfg")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_finds_what_each_proxy_writes(name: str) -> None:
    """Formats with their kind and line, and the names of the captured headers."""
    config = read_fixture(f"{name}.cfg")
    assert show_all(config) == EXPECTED[name]
    assert [*config.warnings] == WARNINGS.get(name, [])


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - _NOT_2_6))
def test_real_haproxy_accepts_the_fixture(name: str) -> None:
    """They are configurations, not what somebody believes to be one."""
    need("haproxy")
    status, said = check(FIXTURES / f"{name}.cfg")
    assert status == 0, said
