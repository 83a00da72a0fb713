"""`CORSMiddleware`: which other origins may read responses (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from typing import Final

from framework._defaults import MAX_ORIGIN_CHARACTERS
from framework._http.fields import encode_field_name, encode_field_value
from framework._http.vary import add_vary
from framework.datastructures import Headers
from framework.middleware._text_lists import read_texts
from framework.responses import PlainTextResponse, Response
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ALL_METHODS", "SAFELISTED_HEADERS", "CORSMiddleware"]

ALL_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
SAFELISTED_HEADERS: Final = {"Accept", "Accept-Language", "Content-Language", "Content-Type"}

_Field = tuple[bytes, bytes]

_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
_ALLOW_CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")
_VARY: Final = (b"vary", b"Origin")
_PREFLIGHT_VARY: Final = (
    b"vary",
    (
        b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
        b"Access-Control-Request-Private-Network"
    ),
)

# What a response may have already, from its endpoint or a second middleware like this one.
_OWN_NAMES: Final = frozenset(
    {b"vary", _ALLOW_ORIGIN, _ALLOW_CREDENTIALS[0], b"access-control-expose-headers"}
)

_logger = logging.getLogger(__name__)

# An origin as browsers write it (RFC 6454 section 6.1): lower case, no path, not even a slash.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.\-]*://(?:[a-z0-9._~\-]*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?", re.ASCII
)
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")

# What a list of header names may be made of (RFC 9110 section 5.6).
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z, \t]*", re.ASCII)


class CORSMiddleware:
    """Let scripts of other origins read responses, and answer the preflights of browsers.

    Every answer varies by `Origin`, with or without that field in the request, so a cache never hands
    an answer for one origin to another. What an endpoint says itself about CORS is replaced for an
    allowed origin, never doubled. A foreign origin gets its answer without any CORS field: the browser
    keeps it from the script. It is no access control; others than browsers take no notice. An option
    that is unwise, or never matches what browsers send, is a warning in the log.

    Args:
        allow_origins: origins as browsers write them, such as `https://example.org:8443`, or `"*"` for
            all. `"null"`, which sandboxed frames and files send, is allowed only when it stands here.
        allow_methods: methods beside those that need no preflight; `"*"` for `ALL_METHODS`.
        allow_headers: request fields beside `SAFELISTED_HEADERS`; `"*"` for whatever is asked for.
        allow_credentials: let cookies and HTTP authentication pass. Together with `"*"` as origin each
            origin is allowed by its name, since browsers take no `*` then: any site can act as the user.
        allow_origin_regex: pattern of the whole origin. What is no origin is not matched with it.
        allow_private_network: let public sites reach this server in a private network.
        expose_headers: response fields that scripts may read; with credentials `"*"` is no wildcard.
        max_age: seconds that a browser remembers a preflight; -1 for not at all.

    Raises:
        ValueError: something that cannot stand in a header field, or a pattern that is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_origins: Collection[str] = (),
        allow_methods: Collection[str] = ("GET",),
        allow_headers: Collection[str] = (),
        allow_credentials: bool = False,
        allow_origin_regex: str | None = None,
        allow_private_network: bool = False,
        expose_headers: Collection[str] = (),
        max_age: int = 600,
    ) -> None:
        self.app = app
        self.allow_origins = _read_origins(allow_origins)
        self.allow_all_origins = "*" in self.allow_origins
        self.allow_methods = _read_methods(allow_methods)
        names = _read_names("allow_headers", allow_headers)
        self.allow_all_headers = "*" in names
        self.allow_credentials = allow_credentials
        self.allow_origin_regex = _compile(allow_origin_regex)
        self.allow_private_network = allow_private_network
        exposed = _read_names("expose_headers", expose_headers)
        if allow_credentials and self.allow_all_origins:
            _logger.warning(
                "allow_origins has '*' together with allow_credentials=True, which lets every site "
                "act as its visitors: list the origins, or use allow_origin_regex"
            )
        if allow_credentials and "*" in exposed:
            _logger.warning(
                "expose_headers has '*' together with allow_credentials=True, which browsers take for "
                "the name of a field: list the fields"
            )
        self._sends_star = self.allow_all_origins and not allow_credentials
        allowed = {name.lower(): name for name in (*names, *SAFELISTED_HEADERS)}
        self.allow_headers = frozenset(allowed)
        self._fields = self._build_fields(exposed)
        self._preflight_fields = self._build_preflight_fields(sorted(allowed.values()), max_age)

    def _build_fields(self, exposed: Collection[str]) -> tuple[_Field, ...]:
        fields: list[_Field] = [(_ALLOW_ORIGIN, b"*")] if self._sends_star else []
        if self.allow_credentials:
            fields.append(_ALLOW_CREDENTIALS)
        if exposed:
            fields.append((b"access-control-expose-headers", ", ".join(exposed).encode()))
        return tuple(fields)

    def _build_preflight_fields(self, allowed: list[str], max_age: int) -> tuple[_Field, ...]:
        fields: list[_Field] = [_PREFLIGHT_VARY]
        if self._sends_star:
            fields.append((_ALLOW_ORIGIN, b"*"))
        fields.append((b"access-control-allow-methods", ", ".join(self.allow_methods).encode()))
        fields.append((b"access-control-max-age", b"%d" % max_age))
        if not self.allow_all_headers:
            fields.append((b"access-control-allow-headers", ", ".join(allowed).encode()))
        if self.allow_credentials:
            fields.append(_ALLOW_CREDENTIALS)
        return tuple(fields)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        fields: tuple[_Field, ...] = ()
        if origins:
            if scope["method"] == "OPTIONS":
                headers = Headers(scope=scope)
                if "access-control-request-method" in headers:
                    await self.preflight_response(headers)(scope, receive, send)
                    return
            if self._sends_star:
                fields = self._fields
            # Two of them are none that anybody could be right about.
            elif len(origins) == 1 and self.is_allowed_origin(origins[0].decode("latin-1")):
                fields = (*self._fields, (_ALLOW_ORIGIN, origins[0]))
        await self.app(scope, receive, _CORSSend(fields, send))

    def is_allowed_origin(self, origin: str) -> bool:
        """Say whether an origin may read responses; a subclass may ask somewhere else."""
        if self.allow_all_origins or origin in self.allow_origins:
            return True
        pattern = self.allow_origin_regex
        if pattern is None or len(origin) > MAX_ORIGIN_CHARACTERS:
            return False
        return _ORIGIN.fullmatch(origin) is not None and pattern.fullmatch(origin) is not None

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight: 200, or 400 that names what is not allowed."""
        fields = list(self._preflight_fields)
        failures = []
        origins = request_headers.getlist("origin")
        if len(origins) != 1 or not self.is_allowed_origin(origins[0]):
            failures.append("origin")
        elif not self._sends_star:
            fields.append((_ALLOW_ORIGIN, origins[0].encode("latin-1")))
        if request_headers["access-control-request-method"] not in self.allow_methods:
            failures.append("method")
        requested = request_headers.getlist("access-control-request-headers")
        if requested:
            names = ", ".join(requested)
            if not self._allows_headers(names):
                failures.append("headers")
            elif self.allow_all_headers:
                fields.append((b"access-control-allow-headers", names.encode()))
        if "access-control-request-private-network" in request_headers:
            if self.allow_private_network:
                fields.append((b"access-control-allow-private-network", b"true"))
            else:
                failures.append("private-network")
        if "origin" in failures:
            fields = [_PREFLIGHT_VARY]
        if failures:
            text = "Disallowed CORS " + ", ".join(failures)
            response = PlainTextResponse(text, status_code=400)
        else:
            response = PlainTextResponse("OK")
        response.raw_headers = [*fields, *response.raw_headers]
        return response

    def _allows_headers(self, names: str) -> bool:
        if not _NAMES.fullmatch(names):
            return False
        if self.allow_all_headers:
            return True
        # A recipient ignores empty members of a list (RFC 9110 section 5.6.1.2).
        wanted = {name.strip() for name in names.lower().split(",")} - {""}
        return wanted <= self.allow_headers


class _CORSSend:
    """Adds the fields that one origin gets, and `Vary`."""

    __slots__ = ("fields", "send")

    def __init__(self, fields: tuple[_Field, ...], send: Send) -> None:
        self.fields = fields
        self.send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # A message of its own: the application may send the same one to other origins.
            message = {**message, "headers": self._add_fields(message.get("headers", ()))}
        await self.send(message)

    def _add_fields(self, given: Iterable[_Field]) -> list[_Field]:
        fields = list(given)
        for name, _ in fields:
            if name in _OWN_NAMES:
                break
        else:
            # PERF: nearly no response has one of these fields, so there is nothing to merge.
            return [*fields, *self.fields, _VARY]
        replaced = {name for name, _ in self.fields}
        fields = [field for field in fields if field[0] not in replaced]
        fields += self.fields
        add_vary(fields, b"Origin")
        return fields


def _read_origins(origins: Collection[str]) -> frozenset[str]:
    listed = frozenset(read_texts(_logger, "allow_origins", origins))
    for origin in listed - {"*", "null"}:
        if "*" in origin:
            _logger.warning(
                "allow_origins has %r, which no browser sends: for a pattern use allow_origin_regex, '*' "
                "alone is every origin",
                origin,
            )
        elif not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin):
            _logger.warning(
                "allow_origins has %r, which no browser sends: write scheme://host or "
                "scheme://host:port in lower case, without a path, slash or default port",
                origin,
            )
    return listed


def _read_methods(methods: Collection[str]) -> tuple[str, ...]:
    listed = _read_names("allow_methods", methods)
    if "*" in listed:
        return ALL_METHODS
    for method in listed:
        if method not in ALL_METHODS and method.upper() in ALL_METHODS:
            _logger.warning("allow_methods has %r: write %r", method, method.upper())
    return listed


def _read_names(name: str, values: Collection[str]) -> tuple[str, ...]:
    listed = read_texts(_logger, name, values)
    for value in listed:
        encode_field_value(value)  # what is no name may stand there, unless it breaks the field
        try:
            encode_field_name(value)
        except ValueError:
            _logger.warning("%s has %r: write names such as 'X-Request-ID'", name, value)
    return listed


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"allow_origin_regex={pattern!r} is no pattern: {exc}") from None
