"""Responses whose body is known before the first byte is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from framework._http.cookies import build_set_cookie
from framework._http.fields import encode_field
from framework.background import BackgroundTask
from framework.datastructures import URL, MutableHeaders
from framework.types import Message, Receive, Scope, Send

__all__ = [
    "DenialSend",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "SameSite",
    "encode_json",
]

SameSite = Literal["lax", "strict", "none"]

# What RFC 3986 lets stand in a URL, plus "%": the location may be quoted already.
_LOCATION_SAFE = ":/%#?=@[]!$&'()*+,;"

_CACHED_LENGTHS = 2048
_CONTENT_LENGTHS = [(b"content-length", b"%d" % length) for length in range(_CACHED_LENGTHS)]


def _build_content_type(media_type: str, charset: str) -> tuple[bytes, bytes]:
    if media_type.startswith("text/") and "charset=" not in media_type.lower():
        media_type += "; charset=" + charset
    return encode_field("content-type", media_type)


class _Shared:
    __slots__ = ("content_type", "is_text", "media_type")

    def __init__(self, media_type: str, charset: str, *, is_text: bool) -> None:
        self.media_type = media_type
        self.content_type = _build_content_type(media_type, charset)
        # Whether `render` does nothing but encode a text in UTF-8.
        self.is_text = is_text


class Response:
    """An HTTP response, itself an ASGI application.

    Args:
        content: the body: bytes, text in `charset`, a memoryview, or None for an empty one.
        status_code: 200 unless given.
        headers: fields to send; `content-length` and `content-type` are added unless they are here.
        media_type: the content type; `text/*` gets the charset added.
        background: what to run after the response has been sent.

    Raises:
        ValueError: a header name or value holds CR, LF or NUL (RFC 9110 section 5.5).
    """

    media_type: str | None = None
    charset = "utf-8"
    body: bytes | memoryview
    raw_headers: list[tuple[bytes, bytes]]
    _headers: MutableHeaders

    # What the responses of a class have in common; None where `init_headers` has its own way.
    _shared: _Shared | None = None

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.background = background
        shared = self._shared
        if shared is None or headers is not None or status_code != 200:
            self.body = self.render(content)
            self.init_headers(headers)
            return
        # PERF: what nearly every response looks like: its two fields are shared tuples.
        if shared.is_text and content.__class__ is str:
            self.body = content.encode()
        else:
            self.body = self.render(content)
        length = len(self.body)
        if length < _CACHED_LENGTHS and shared.media_type is self.media_type:
            self.raw_headers = [_CONTENT_LENGTHS[length], shared.content_type]
        else:
            self.init_headers(headers)

    def render(self, content: Any) -> bytes | memoryview:
        """Return the body for `content`; subclasses give it their own meaning."""
        if content is None:
            return b""
        if isinstance(content, bytes):
            return content
        if isinstance(content, memoryview):
            return content.cast("B") if content.c_contiguous else content.tobytes()
        encoded: bytes = content.encode(self.charset)
        return encoded

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set `raw_headers`: the given fields, then content-length and content-type if missing."""
        raw = [encode_field(name, value) for name, value in (headers or {}).items()]
        names = {name for name, _ in raw}
        body = getattr(self, "body", None)
        if body is not None and b"content-length" not in names and self._may_have_content():
            raw.append((b"content-length", b"%d" % len(body)))
        if self.media_type is not None and b"content-type" not in names:
            raw.append(_build_content_type(self.media_type, self.charset))
        self.raw_headers = raw

    def _may_have_content(self) -> bool:
        # RFC 9110 section 8.6: no content-length where there can be no content.
        return self.status_code >= 200 and self.status_code not in (204, 304)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._shared = None
        if cls.media_type is not None and cls.init_headers is Response.init_headers:
            is_text = cls.render is Response.render and cls.charset == "utf-8"
            cls._shared = _Shared(cls.media_type, cls.charset, is_text=is_text)

    @property
    def headers(self) -> MutableHeaders:
        """The header fields; changes are sent."""
        try:
            return self._headers
        except AttributeError:
            self._headers = MutableHeaders(raw=self.raw_headers)
            return self._headers

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | None = None,
        expires: datetime | str | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Add a `Set-Cookie` field (RFC 6265).

        Args:
            max_age: seconds; `expires`: a time, a date text, or seconds from now.
            partitioned: keep the cookie apart for each top-level site (CHIPS); any Python version.

        Raises:
            ValueError: a name or attribute that could not stand in the field as it is.
        """
        cookie = build_set_cookie(
            key,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.raw_headers.append((b"set-cookie", cookie.encode("latin-1")))

    def delete_cookie(
        self,
        key: str,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Make the browser drop a cookie; path, domain and flags must be those it was set with."""
        self.set_cookie(
            key,
            max_age=0,
            expires=0,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            send = DenialSend(send)
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": self.body})
        if self.background is not None:
            await self.background()


class DenialSend:
    """Send an HTTP response to a WebSocket handshake (ASGI: WebSocket Denial Response)."""

    __slots__ = ("send",)

    def __init__(self, send: Send) -> None:
        self.send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "http.response.body"):
            message = {**message, "type": "websocket." + message["type"]}
        await self.send(message)


class HTMLResponse(Response):
    """A page."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """A text."""

    media_type = "text/plain"


_TO_BUILTIN: Final[tuple[tuple[type, Any], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)


def _as_builtin(value: Any) -> Any:
    """Return a value of a subclass of str, int or float (which msgspec refuses) as that type.

    Never by a `__str__` of its own: `json` takes the content, too.
    """
    for builtin, convert in _TO_BUILTIN:
        if isinstance(value, builtin):
            return convert(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encode_json = msgspec.json.Encoder(enc_hook=_as_builtin).encode

_BINARY = frozenset({bytes, bytearray, memoryview})


def encode_json(content: Any) -> bytes:
    """Return a value as JSON.

    Raises:
        TypeError: JSON has no form for it; also for bytes, which are encoded already more often than
            not. Bytes within a value become base64 text: to find them would take thrice the time.
    """
    if content.__class__ in _BINARY:
        raise TypeError(f"Object of type {type(content).__name__} is not JSON serializable")
    try:
        return _encode_json(content)
    except TypeError:
        # Keys that only the standard library turns into text (None, True), or its clear error.
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")


class JSONResponse(Response):
    """A value as JSON: what the standard library encodes and what msgspec does.

    That is dates, times, UUIDs, decimals (as text), enums, sets, data classes and structs.

    NaN and the infinities become `null`, which is what JSON has for them (RFC 8259 section 6).
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(content, status_code, headers, media_type, background)

    def render(self, content: Any) -> bytes:
        return encode_json(content)


class RedirectResponse(Response):
    """A redirect to `url`, absolute or relative; 307 keeps method and body."""

    def __init__(
        self,
        url: str | URL,
        status_code: int = 307,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(b"", status_code, headers, None, background)
        self.headers["location"] = quote(str(url), safe=_LOCATION_SAFE)
