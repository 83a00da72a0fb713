"""`SessionMiddleware`: a small dictionary for each client, kept in a signed cookie."""

from __future__ import annotations

import logging
from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from typing import Any, Final, Literal, Self

from framework._defaults import SESSION_COOKIE_WARNING_BYTES, SESSION_MAX_AGE_SECONDS
from framework._http.hosts import is_private
from framework._http.vary import add_vary
from framework.datastructures import Secret
from framework.exceptions import HTTPException
from framework.middleware._host import find_request_host
from framework.middleware._session_cookie import SessionCookie
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Session", "SessionMiddleware"]

_logger = logging.getLogger(__name__)

# The messages that carry the fields of an answer; a WebSocket is accepted, or gets a response.
_ACCEPT: Final = "websocket.accept"
_STARTS: Final = ("http.response.start", "websocket.http.response.start", _ACCEPT)


class SessionMiddleware:
    """Give each request a `session`: a dictionary of JSON values that the client carries in a cookie.

    The cookie is signed, not encrypted: the client can read it, and can replay an old one until it
    expires, so keep no secrets in it and no right that has to be revocable. It is verified when the
    session is first used and written when the session has changed, nested values included; what a
    request changed before it failed with a 500 is not. A cookie that is forged, expired, too large or
    malformed is an empty session. Options that browsers or attackers make nothing of but harm are
    warned of in the log.

    Args:
        secret_key: 16 bytes or more, which nobody can guess; or several, of which the first signs and
            all verify, so that a key can be replaced: put the new one in front, and drop the old one
            after `max_age`.
        session_cookie: the name of the cookie.
        max_age: seconds after the last change until the session ends, 14 days unless given; None until
            the browser is closed. `request.session.mark_modified()` starts it anew.
        same_site: which requests of other sites bring the cookie.
        https_only: send the cookie over TLS only (`Secure`). None: always, but for plain HTTP where
            the application runs with `debug` or the request is for a private host: an IP address, a
            name without a dot such as `testserver`, or one below `localhost`.
        domain: the host whose subdomains get the cookie too; None: this host alone.
        partitioned: keep the cookie apart for each top-level site (CHIPS).

    Raises:
        ValueError: an attribute that could not stand in a cookie, or a list without a key.
    """

    def __init__(
        self,
        app: ASGIApp,
        secret_key: str | Secret | Sequence[str | Secret],
        session_cookie: str = "session",
        max_age: int | None = SESSION_MAX_AGE_SECONDS,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool | None = None,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        self.app = app
        self.cookie = SessionCookie(
            secret_key,
            session_cookie,
            max_age=max_age,
            path=path,
            same_site=same_site,
            domain=domain,
            partitioned=partitioned,
        )
        if https_only is None and self.cookie.must_be_secure:
            https_only = True
        if not https_only and self.cookie.must_be_secure:
            _logger.warning(
                "https_only=%r with session_cookie=%r, same_site=%r, partitioned=%r: browsers drop such "
                "a cookie without Secure; leave https_only out",
                *(https_only, session_cookie, same_site, partitioned),
            )
        self.https_only = https_only
        self.has_warned = False
        # For subclasses that read and write cookies by themselves.
        self.signer = self.cookie.signer
        self.session_cookie = session_cookie
        self.max_age = max_age
        self.path = path
        self.security_flags = self.cookie.join_flags(secure=bool(https_only))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        session = scope["session"] = Session()
        session._unread = self.cookie, scope["headers"]  # noqa: SLF001
        sender = _Sender(self, session, scope, send)
        try:
            await self.app(scope, receive, sender)
        except HTTPException:
            raise  # of middleware: it is answered as that of an endpoint, whose session is kept
        except BaseException:
            sender.has_failed = True
            raise

    def is_secure(self, scope: Scope) -> bool:
        """Say whether the cookie of this request is for TLS only."""
        if self.https_only is not None:
            return self.https_only
        if scope.get("scheme") in ("https", "wss"):
            return True
        if getattr(scope.get("app"), "debug", False):
            return False
        host = find_request_host(scope)
        return host is None or not is_private(host.host)

    def warn_if_large(self, field: str) -> None:
        """Say once that browsers may drop cookies of this size."""
        if len(field) > SESSION_COOKIE_WARNING_BYTES and not self.has_warned:
            self.has_warned = True
            _logger.warning(
                "the session cookie %r has %d bytes: browsers drop what is over %d. Keep an id in the "
                "session and the data in a database",
                self.cookie.name,
                len(field),
                SESSION_COOKIE_WARNING_BYTES,
            )


class _Sender:
    """The `send` of one request: adds what the session asks for to the fields of the answer."""

    __slots__ = ("has_failed", "middleware", "scope", "send", "session")

    def __init__(
        self, middleware: SessionMiddleware, session: Session, scope: Scope, send: Send
    ) -> None:
        self.middleware = middleware
        self.session: Session | None = session
        self.scope = scope
        self.send = send
        # The 500 of what fails comes through here as well: half of a change is not kept.
        self.has_failed = False

    async def __call__(self, message: Message) -> None:
        session = self.session
        if session is not None and session.accessed and message["type"] in _STARTS:
            # Once: a session that cannot be encoded must not take the error page along.
            self.session = None
            headers = list(message.get("headers", ()))
            if message["type"] != _ACCEPT:  # which no cache keeps
                add_vary(headers, b"Cookie")
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"private"))
            field = None if self.has_failed else self._build_cookie(session)
            if field is not None:
                headers.append((b"set-cookie", field.encode("latin-1")))
            # A message of its own: the application may send the same one to others.
            message = {**message, "headers": headers}
        await self.send(message)

    def _build_cookie(self, session: Session) -> str | None:
        """Return the `Set-Cookie` value that the session needs, None where the client's cookie stands."""
        cookie = self.middleware.cookie
        if not session.modified and not session.may_have_changed():
            return None
        if not session:
            if session.stored is None:
                return None
            return cookie.build_deletion(secure=self.middleware.is_secure(self.scope))
        encoded = cookie.encode(session)
        if not session.modified and encoded == session.stored:
            return None
        field = cookie.build(encoded, secure=self.middleware.is_secure(self.scope))
        self.middleware.warn_if_large(field)
        return field


class Session(dict[str, Any]):
    """The session: a dictionary that is read from the cookie when it is first used.

    `accessed`: it was used, so the answer depends on the cookie. `modified`: it was changed; changes in
    nested lists and dictionaries are noticed too, when the answer starts.

    PERF: a request that does not touch its session costs no signature. Every reading method loads
    first; once loaded, `request.session` is a dictionary like any other, also to code written in C.
    """

    __slots__ = ("_unread", "accessed", "modified", "stored")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accessed = False
        self.modified = False
        # The JSON that the client's cookie holds; None without a valid one.
        self.stored: bytes | None = None
        self._unread: tuple[SessionCookie, Sequence[tuple[bytes, bytes]]] | None = None

    def mark_accessed(self) -> None:
        """Note that the answer depends on the session."""
        self.accessed = True
        if self._unread is not None:
            cookie, headers = self._unread
            self._unread = None
            found = cookie.read(headers)
            if found is not None:
                data, self.stored = found
                super().update(data)

    def mark_modified(self) -> None:
        """Have the cookie written, also when nothing has changed."""
        self.mark_accessed()
        self.modified = True

    def may_have_changed(self) -> bool:
        """Say whether a nested value could have been changed in place."""
        return any(isinstance(value, dict | list) for value in super().values())

    def __setitem__(self, key: str, value: Any) -> None:
        self.mark_modified()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self.mark_modified()
        super().__delitem__(key)

    def clear(self) -> None:
        self.mark_modified()
        super().clear()

    def pop(self, key: str, *args: Any) -> Any:
        if key in self:
            self.mark_modified()
        return super().pop(key, *args)

    def popitem(self) -> tuple[str, Any]:
        self.mark_accessed()
        item = super().popitem()
        self.mark_modified()
        return item

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self.mark_modified()
        return super().setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.mark_modified()
        super().update(*args, **kwargs)

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[override]
        self.mark_modified()
        return super().__ior__(other)

    def __getitem__(self, key: str) -> Any:
        self.mark_accessed()
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None, /) -> Any:
        self.mark_accessed()
        return super().get(key, default)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        self.mark_accessed()
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self.mark_accessed()
        return super().values()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        self.mark_accessed()
        return super().items()

    def copy(self) -> dict[str, Any]:
        self.mark_accessed()
        return super().copy()

    def __contains__(self, key: object) -> bool:
        self.mark_accessed()
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self.mark_accessed()
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self.mark_accessed()
        return super().__reversed__()

    def __len__(self) -> int:
        self.mark_accessed()
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self.mark_accessed()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self.mark_accessed()
        return super().__ne__(other)

    def __or__(self, other: Any) -> Any:
        self.mark_accessed()
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:
        self.mark_accessed()
        return super().__ror__(other)

    def __repr__(self) -> str:
        self.mark_accessed()
        return super().__repr__()
