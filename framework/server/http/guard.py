"""What the hardened protocol checks in a header, for parsers that are not its own."""

from __future__ import annotations

from framework.server.http import refusals
from framework.server.http.head import (
    WATCHED_FIELDS,
    answer_server_options,
    check_field,
    check_host,
    split_target,
)
from framework.server.http.limits import HttpLimits
from framework.server.http.refusals import RefusedError, record_refusal
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["HeaderGuard"]


class HeaderGuard:
    """Refuses requests by their header, before the application is asked.

    Fields with an underscore in their name are dropped. A WebSocket handshake is refused with 403, the
    only answer that ASGI has for it.

    Args:
        app: the application.
        limits: what a client may send.
    """

    def __init__(self, app: ASGIApp, limits: HttpLimits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            self._take_target(scope, self._check_fields(scope))
        except RefusedError as exc:
            record_refusal(exc.refusal, scope["client"], scope.get("method"), scope["path"])
            await _refuse(exc.refusal, scope["type"], receive, send)
            return
        app = answer_server_options if scope["raw_path"] == b"*" else self.app
        await app(scope, receive, send)

    def _take_target(self, scope: Scope, host: bytes | None) -> None:
        target, query = scope["raw_path"], scope["query_string"]
        if len(target) + len(query) > self._limits.request_line:
            raise RefusedError(refusals.LONG_TARGET)
        method = scope.get("method", "GET").encode("ascii")
        whole = target + b"?" + query if query else target
        scope["path"], scope["raw_path"], scope["query_string"] = split_target(method, whole, host)

    def _check_fields(self, scope: Scope) -> bytes | None:
        """Drop what is not allowed, and return the host."""
        limits = self._limits
        fields: list[tuple[bytes, bytes]] = scope["headers"]
        if len(fields) > limits.header_count:
            raise RefusedError(refusals.MANY_FIELDS)
        watched: dict[bytes, bytes] = {}
        total = 0
        for name, value in fields:
            size = len(name) + len(value)
            total += size
            if size > limits.header_field:
                raise RefusedError(refusals.LONG_FIELD)
            if name in WATCHED_FIELDS:
                check_field(name, value, watched)
                if name == b"content-length" and name in watched:
                    raise RefusedError(refusals.REPEATED_FIELD)
                watched[name] = value
        if total > limits.header_section:
            raise RefusedError(refusals.LARGE_HEADER)
        version = scope["http_version"]
        check_host(watched.get(b"host"), version)
        has_body = watched.get(b"content-length", b"0") != b"0"
        if b"transfer-encoding" in watched:
            has_body = True
            if version == "1.0":
                raise RefusedError(refusals.CHUNKED_IN_1_0)
        if has_body and scope["type"] == "websocket":
            raise RefusedError(refusals.BAD_UPGRADE)
        scope["headers"] = [field for field in fields if b"_" not in field[0]]
        return watched.get(b"host")


async def _refuse(refusal: refusals.Refusal, kind: str, receive: Receive, send: Send) -> None:
    if kind == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    body = f"{refusal.reason}\n".encode("ascii")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
