"""Who sends a request and what he may do: users, credentials, and `requires` for endpoints."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec
from urllib.parse import urlencode

from framework._callables import is_async_callable
from framework.exceptions import HTTPException
from framework.requests import HTTPConnection, Request
from framework.responses import RedirectResponse, Response
from framework.websockets import WebSocket

__all__ = [
    "AuthCredentials",
    "AuthenticationBackend",
    "AuthenticationError",
    "BaseUser",
    "SimpleUser",
    "UnauthenticatedUser",
    "has_required_scope",
    "requires",
]

_P = ParamSpec("_P")


class AuthenticationError(Exception):
    """A backend refuses what a request brings to identify itself. The text is shown to the client."""


class AuthenticationBackend:
    """How requests are authenticated; subclass it and override `authenticate`."""

    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        """Return credentials and user, or None for a request that brings nothing to identify itself.

        Raises:
            AuthenticationError: it does bring something, which is wrong.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method `authenticate`")


class AuthCredentials:
    """What the sender of a request may do.

    Args:
        scopes: names of rights, as `requires` asks for them; none unless given.

    Raises:
        TypeError: the scopes are one text, of which every letter would become a scope.
    """

    def __init__(self, scopes: Sequence[str] | None = None) -> None:
        if isinstance(scopes, str):
            raise TypeError(f"scopes={scopes!r} is one text; pass a list such as {[scopes]!r}")
        self.scopes = [] if scopes is None else list(scopes)


class BaseUser:
    """A user; a class of your own has these three properties."""

    @property
    def is_authenticated(self) -> bool:
        """Whether it is known who this is."""
        raise NotImplementedError(f"{type(self).__name__} needs a property `is_authenticated`")

    @property
    def display_name(self) -> str:
        """The name to show."""
        raise NotImplementedError(f"{type(self).__name__} needs a property `display_name`")

    @property
    def identity(self) -> str:
        """What tells this user from all others."""
        raise NotImplementedError(f"{type(self).__name__} needs a property `identity`")


class SimpleUser(BaseUser):
    """A user who is known by name."""

    def __init__(self, username: str) -> None:
        self.username = username

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return self.username

    @property
    def identity(self) -> str:
        return self.username


class UnauthenticatedUser(BaseUser):
    """Whoever sends a request without saying who he is."""

    @property
    def is_authenticated(self) -> bool:
        return False

    @property
    def display_name(self) -> str:
        return ""

    @property
    def identity(self) -> str:
        return ""


def has_required_scope(conn: HTTPConnection[Any], scopes: Sequence[str]) -> bool:
    """Say whether the sender of a request has all of these scopes."""
    held = conn.auth.scopes
    return all(scope in held for scope in scopes)


def requires(
    scopes: str | Sequence[str],
    status_code: int = 403,
    redirect: str | None = None,
) -> Callable[[Callable[_P, Any]], Callable[_P, Any]]:
    """Let only those call an endpoint who have all of `scopes`.

    It goes around a function or method, sync or async, with a parameter `request` or `websocket`. A
    WebSocket of others is closed before it is accepted, which the client sees as 403.

    Args:
        status_code: what others get.
        redirect: the name of the route where others are sent instead, with 303; the parameter `next` in
            its query is the URL they asked for. It is the client's own: check it before you go there.

    Raises:
        TypeError: the function has neither parameter.
    """
    return _Requirement(
        [scopes] if isinstance(scopes, str) else list(scopes), status_code, redirect
    )


class _Requirement:
    """A decorator; what the function is gets decided here, not per request."""

    __slots__ = ("redirect", "scopes", "status_code")

    def __init__(self, scopes: list[str], status_code: int, redirect: str | None) -> None:
        self.scopes = scopes
        self.status_code = status_code
        self.redirect = redirect

    def __call__(self, func: Callable[_P, Any]) -> Callable[_P, Any]:
        for place, name in enumerate(inspect.signature(func).parameters):
            if name == "websocket":
                return _guard_websocket(func, _Argument(name, place, WebSocket), self)
            if name == "request":
                guard = _guard_async if is_async_callable(func) else _guard_sync
                return guard(func, _Argument(name, place, Request), self)
        raise TypeError(f"{func!r} has no parameter `request` or `websocket`: add the one it gets")

    def find_refusal(self, request: Request[Any]) -> Response | None:
        """Return the redirect for a request, None if it may pass.

        Raises:
            HTTPException: it may not, and there is no redirect.
        """
        if has_required_scope(request, self.scopes):
            return None
        if self.redirect is None:
            raise HTTPException(status_code=self.status_code)
        query = urlencode({"next": str(request.url)})
        return RedirectResponse(f"{request.url_for(self.redirect)}?{query}", status_code=303)


class _Argument:
    """Where a function gets its connection."""

    __slots__ = ("cls", "name", "place")

    def __init__(self, name: str, place: int, cls: type[HTTPConnection[Any]]) -> None:
        self.name = name
        self.place = place
        self.cls = cls

    def find(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return the connection of a call. Raises `TypeError` for anything else in its place."""
        value = kwargs.get(self.name, args[self.place] if self.place < len(args) else None)
        if not isinstance(value, self.cls):
            raise TypeError(f"{self.name}={value!r} is no {self.cls.__name__}: pass the endpoint's")
        return value


def _guard_websocket(
    func: Callable[_P, Any], argument: _Argument, requirement: _Requirement
) -> Callable[_P, Any]:
    @functools.wraps(func)
    async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        websocket = argument.find(args, kwargs)
        if has_required_scope(websocket, requirement.scopes):
            await func(*args, **kwargs)
        else:
            await websocket.close()

    return guarded


def _guard_async(
    func: Callable[_P, Any], argument: _Argument, requirement: _Requirement
) -> Callable[_P, Any]:
    @functools.wraps(func)
    async def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        refusal = requirement.find_refusal(argument.find(args, kwargs))
        return await func(*args, **kwargs) if refusal is None else refusal

    return guarded


def _guard_sync(
    func: Callable[_P, Any], argument: _Argument, requirement: _Requirement
) -> Callable[_P, Any]:
    @functools.wraps(func)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        refusal = requirement.find_refusal(argument.find(args, kwargs))
        return func(*args, **kwargs) if refusal is None else refusal

    return guarded
