"""Why a connection failed before it was a request, in HAProxy's words: a bounded set."""

# What HAProxy writes of a connection that failed before it was a request: conn_err_code_str() in src/connection.c.
REASONS = frozenset(
    {
        "Connection closed during SSL handshake",
        "Connection closed while waiting for NetScaler Client IP header",
        "Connection closed while waiting for PROXY protocol header",
        "Connection error during SSL handshake",
        "Connection error while waiting for NetScaler Client IP header",
        "Connection error while waiting for PROXY protocol header",
        "General socket error",
        "Received an invalid NetScaler Client IP magic number",
        "Out of memory when initializing an SSL connection",
        "Out of system buffers",
        "Reached configured maxconn value",
        "Success",
        "Too many sockets on the process",
        "Too many sockets on the system",
        "Received an invalid PROXY protocol header",
        "Received an unhandled protocol in the NetScaler Client IP header",
        "Received an unhandled protocol in the PROXY protocol header",
        "Received something which does not look like a PROXY protocol header",
        "Rejected a client-initiated SSL renegotiation attempt",
        "SSL client CA chain cannot be verified",
        "SSL client certificate not trusted",
        "SSL handshake failure",
        "SSL handshake failure after heartbeat",
        "Stopped a TLSv1 heartbeat attack",
        "Timeout during SSL handshake",
        "Timeout while waiting for a NetScaler Client IP header",
        "Timeout while waiting for PROXY protocol header",
        "Too many SSL connections",
        "Truncated NetScaler Client IP header received",
        "Truncated PROXY protocol header received",
    }
)
