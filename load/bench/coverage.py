"""Which row measures which `# PERF:` comment: by module of the framework, for the whole house.

A row is named as in the suite that has it: `make bench`, and with `ARGS=core`, `ARGS=server` or
`ARGS=channels`. `tests/load/test_coverage.py` holds the comments and this table together.
"""

from __future__ import annotations

from typing import Final

ROWS: Final = {
    "_callables": "background task",
    "_http.fields": "response with header fields and a cookie",
    "_http.hosts": "request URL",
    "_http.negotiation": "gzip of 1 KB of JSON",
    "applications": "text, 3",
    "channels.subscriptions": "unix://",
    "channels.unix": "unix://",
    "datastructures.headers": "request headers, 12 look-ups",
    "endpoints": "HTTPEndpoint",
    "formparsers._headers": "multipart, 5 fields and 1 MB",
    "middleware._codings": "zstd of 1 KB of JSON",
    "middleware._exchange": "5 layers of BaseHTTPMiddleware",
    "middleware.base": "5 layers of BaseHTTPMiddleware",
    "middleware._session_cookie": "session that is read",
    "middleware.compress": "gzip of 1 KB of JSON",
    "middleware.cors": "CORS",
    "middleware.security_headers": "security headers",
    "observability._access": "observed: request id, access line",
    "observability._http_metrics": "observed: request id, metrics",
    "observability._ids": "observed: request id",
    "observability._redaction": "observed: request id, access line",
    "observability._render": "observed: request id, access line",
    "observability._sink": "observed: request id, access line",
    "observability.context": "observed: request id",
    "observability.middleware": "observed: request id",
    "responses.base": "text, 3",
    "responses.streaming": "stream of 100 chunks",
    "routing.patterns": "params, 3",
    "routing.router": "params, 3",
    "routing.tree": "params, 3",
    "server.forwarded": "App, our worker",
    "server.http.cycle": "App, our worker",
    "server.http.fields": "App, our worker",
    "server.http.protocol": "App, our worker",
    "staticfiles._rules": "StaticFiles, 10 KB precompressed",
    "testclient._transport": "TestClient request",
    "websockets.connection": "WebSocket of 100 texts",
}
