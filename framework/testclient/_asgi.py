"""Telling ASGI 3 apps from ASGI 2 apps."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from framework.types import ASGIApp, Receive, Scope, Send

ASGIInstance = Callable[[Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], ASGIInstance]
ASGI3App = ASGIApp


def find_asgi3(app: Callable[..., Any]) -> ASGIApp:
    """Return the app as an ASGI 3 callable: an ASGI 2 one takes the scope alone."""
    try:
        signature = inspect.signature(app)
    except ValueError:  # compiled, without a signature
        return app
    except TypeError:
        if not callable(app):
            raise
        # It is in a slot, where `signature` finds a descriptor, as in Sentry's middleware.
        instance: Any = app
        signature = inspect.signature(instance.__call__)
    if accepts(signature, 3):
        return app
    if accepts(signature, 1):
        return ASGI2Adapter(app)
    raise TypeError(f"{app!r} is no ASGI app; it has to accept (scope, receive, send).")


def accepts(signature: inspect.Signature, count: int) -> bool:
    """Say whether a callable with this signature takes so many positional arguments."""
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


class ASGI2Adapter:
    """Calls an ASGI 2 app as if it were an ASGI 3 one."""

    def __init__(self, app: ASGI2App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope)(receive, send)
