"""`SecurityHeadersMiddleware`: the header fields that make a browser careful."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from framework._http.fields import encode_field
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DEFAULT_SECURITY_HEADERS", "SecurityHeadersMiddleware"]

# What is sent where nothing else is asked for. Not in it: `includeSubDomains`, which would take every
# subdomain of the host along, and Cross-Origin-Embedder-Policy, which most pages have to prepare for.
DEFAULT_SECURITY_HEADERS: Final[Mapping[str, str | None]] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Content-Security-Policy-Report-Only": None,
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": None,
}

# An option that is not given: as the same middleware further out has it, else the default.
_NOT_GIVEN: Any = ...

_SENDER_SCOPE_KEY: Final = "framework.security_headers"
_TRANSPORT: Final = b"strict-transport-security"
_NONCE: Final = "{nonce}"
_NONCE_SOURCE: Final = "'nonce-{nonce}'"

Fields = tuple[tuple[bytes, bytes], ...]


class SecurityHeadersMiddleware:
    """Add security header fields to every response, error pages, files and streams included.

    Each option is the value of the field of that name, None to leave it out. A field that the response
    has already is not touched. The same middleware around a mount or a route changes the options that it
    is given and leaves the others: `Middleware(SecurityHeadersMiddleware, frame_options=None)`.

    In both policies for content, `'nonce-{nonce}'` stands for a nonce that each request has anew; it is
    the text `request.state.csp_nonce`, for `<script nonce=...>`. A 304 has no such policy, since the
    page that it keeps alive has an older nonce.

    Args:
        strict_transport_security: sent over TLS only (RFC 6797 section 7.2).
        content_security_policy: see `DEFAULT_SECURITY_HEADERS` for the default of this and of the rest.

    Raises:
        ValueError: a value with a control character or line end, or a brace in a policy that does not
            stand for a nonce.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        content_security_policy: str | None = _NOT_GIVEN,
        content_security_policy_report_only: str | None = _NOT_GIVEN,
        strict_transport_security: str | None = _NOT_GIVEN,
        content_type_options: str | None = _NOT_GIVEN,
        frame_options: str | None = _NOT_GIVEN,
        referrer_policy: str | None = _NOT_GIVEN,
        permissions_policy: str | None = _NOT_GIVEN,
        cross_origin_opener_policy: str | None = _NOT_GIVEN,
        cross_origin_resource_policy: str | None = _NOT_GIVEN,
        cross_origin_embedder_policy: str | None = _NOT_GIVEN,
    ) -> None:
        self.app = app
        given = (
            content_security_policy,
            content_security_policy_report_only,
            strict_transport_security,
            content_type_options,
            frame_options,
            referrer_policy,
            permissions_policy,
            cross_origin_opener_policy,
            cross_origin_resource_policy,
            cross_origin_embedder_policy,
        )
        self.changes = {
            name: value
            for name, value in zip(DEFAULT_SECURITY_HEADERS, given, strict=True)
            if value is not _NOT_GIVEN
        }
        self._own = _Fields({**DEFAULT_SECURITY_HEADERS, **self.changes})
        # The fields of this layer inside another one, which is the same for every request.
        self._merged: tuple[_Fields, _Fields] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        outer: _Sender | None = scope.get(_SENDER_SCOPE_KEY)
        if outer is not None:
            outer.fields = self._merge(outer.fields)
            outer.prepare_nonce(scope)
            await self.app(scope, receive, send)
            return
        sender = _Sender(self._own, scope, send)
        scope[_SENDER_SCOPE_KEY] = sender
        sender.prepare_nonce(scope)
        await self.app(scope, receive, sender)

    def _merge(self, outer: _Fields) -> _Fields:
        if self._merged is None or self._merged[0] is not outer:
            self._merged = outer, _Fields({**outer.values, **self.changes})
        return self._merged[1]


class _Fields:
    """Header fields, encoded: over TLS and without, and policies that a nonce is missing in."""

    __slots__ = ("encrypted", "names", "plain", "policies", "values")

    def __init__(self, values: Mapping[str, str | None]) -> None:
        self.values = values
        fields: list[tuple[bytes, bytes]] = []
        policies: list[tuple[bytes, tuple[bytes, ...]]] = []
        for name, value in values.items():
            if value is None:
                continue
            key, text = encode_field(name, value)
            if name.startswith("Content-Security-Policy") and _has_nonce(name, value):
                policies.append((key, tuple(text.split(_NONCE.encode()))))
            else:
                fields.append((key, text))
        self.policies = tuple(policies)
        self.encrypted: Fields = tuple(fields)
        self.plain: Fields = tuple(field for field in fields if field[0] != _TRANSPORT)
        self.names = frozenset(name for name, _ in (*fields, *policies))

    def build(self, status: int, nonce: bytes, *, encrypted: bool) -> Fields:
        """Return the fields of one response."""
        fields = self.encrypted if encrypted else self.plain
        if not self.policies or status == 304:
            return fields
        return (*fields, *((name, nonce.join(parts)) for name, parts in self.policies))


def _has_nonce(name: str, policy: str) -> bool:
    rest = policy.replace(_NONCE_SOURCE, "")
    if "{" in rest or "}" in rest:
        raise ValueError(
            f"{name} {policy!r}: braces stand in {_NONCE_SOURCE!r} only, quotation marks included"
        )
    return rest != policy


class _Sender:
    """The `send` of one request; a layer further in may change its fields before the response starts."""

    __slots__ = ("encrypted", "fields", "nonce", "send")

    def __init__(self, fields: _Fields, scope: Scope, send: Send) -> None:
        self.fields = fields
        self.send = send
        self.encrypted = scope.get("scheme") == "https"
        self.nonce = b""

    def prepare_nonce(self, scope: Scope) -> None:
        """Make the nonce if a policy needs one and there is none yet."""
        if self.fields.policies and not self.nonce:
            nonce = secrets.token_urlsafe(16)
            scope.setdefault("state", {})["csp_nonce"] = nonce
            self.nonce = nonce.encode()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            fields = self.fields.build(message["status"], self.nonce, encrypted=self.encrypted)
            present = {name for name, _ in headers}
            # PERF: most responses have none of them, so nothing is looked up one by one.
            if self.fields.names.isdisjoint(present):
                headers.extend(fields)
            else:
                headers.extend(field for field in fields if field[0] not in present)
            # A message of its own: the application may send the same one to others.
            message = {**message, "headers": headers}
        await self.send(message)
