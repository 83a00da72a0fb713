"""`Entrance`: what stands before each layer of a stack."""

from __future__ import annotations

from framework.middleware.exceptions import INNER_SEND_SCOPE_KEY
from framework.types import ASGIApp, Receive, Scope, Send


class Entrance:
    """Notes what a layer sends through: if it fails, that is where the error page is sent."""

    __slots__ = ("app",)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.note(scope, send)
        await self.app(scope, receive, send)

    def note(self, scope: Scope, send: Send) -> None:
        """Note it for a layer that is entered by another way."""
        if INNER_SEND_SCOPE_KEY in scope:
            scope[INNER_SEND_SCOPE_KEY][0] = send
