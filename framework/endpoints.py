"""`HTTPEndpoint` and `WebSocketEndpoint`: endpoints as classes, with a method for each thing to do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, Literal

from framework._callables import is_async_callable
from framework._websocket_session import run_session
from framework.concurrency import run_in_threadpool
from framework.exceptions import HTTPException, WebSocketDisconnect, WebSocketException
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.types import Message, Receive, Scope, Send
from framework.websockets import WebSocket
from framework.websockets._frames import take_bytes, take_either, take_json, take_text

__all__ = [
    "HTTPEndpoint",
    "WebSocketEndpoint",
]

# The names of handlers, by method; in the order in which `Allow` lists them.
_HANDLER_NAMES: Final = {
    method: method.lower()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")
}


class HTTPEndpoint:
    """An ASGI application whose methods `get`, `post` and so on answer the HTTP methods of their names.

    Each takes the request and returns a response; a sync one runs in a worker thread. HEAD falls to
    `get` where there is no `head`. Any other method is answered with 405. A class serves as the
    endpoint of a `Route`; there is one instance for each request.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"{type(self).__name__} answers HTTP requests, not {scope['type']!r}")
        self.scope = scope
        self.receive = receive
        self.send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Answer the request with the method for it."""
        request = Request(self.scope, self.receive, self.send)
        handler = self._find_handler(request.method) or self.method_not_allowed
        # PERF: one look-up by name, and a flag of the function (what a bound method wraps) tells its
        # kind. Nothing is kept for the class, so a method that is put in its place later is called.
        if is_async_callable(getattr(handler, "__func__", handler)):
            response = await handler(request)
        else:
            response = await run_in_threadpool(handler, request)
        await response(self.scope, self.receive, self.send)

    def _find_handler(self, method: str) -> Callable[[Request[Any]], Any] | None:
        name = _HANDLER_NAMES.get(method)
        handler = None if name is None else getattr(self, name, None)
        if handler is None and method == "HEAD":
            handler = getattr(self, "get", None)
        return handler

    async def method_not_allowed(self, request: Request[Any]) -> Response:
        """Answer a method that has no handler: 405, with the methods there are.

        Raises:
            HTTPException: below an application, whose handlers answer it.
        """
        allowed = (method for method in _HANDLER_NAMES if self._find_handler(method) is not None)
        headers = {"Allow": ", ".join(allowed)}
        if "app" in self.scope:
            raise HTTPException(405, headers=headers)
        return PlainTextResponse("Method Not Allowed", status_code=405, headers=headers)


class WebSocketEndpoint:
    """An ASGI application whose methods are called as a WebSocket goes along.

    Attributes:
        encoding: what a frame is turned into for `on_receive`: `"text"` or `"bytes"` (a frame of the
            other kind closes with 1003), `"json"` of either kind (what is not JSON closes with 1007),
            or None for the text or the bytes as they come.
    """

    encoding: Literal["text", "bytes", "json"] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.encoding not in _DECODERS and cls.decode is WebSocketEndpoint.decode:
            raise ValueError(
                f"encoding={cls.encoding!r} of {cls.__name__} is none of 'text', 'bytes', 'json' and "
                "None; override decode() for another one"
            )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise ValueError(f"{type(self).__name__} answers WebSockets, not {scope['type']!r}")
        self.scope = scope
        self.receive = receive
        self.send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Serve the WebSocket until one side closes it."""
        websocket = WebSocket(self.scope, self.receive, self.send)
        await run_session(websocket, self._serve, self.receive, self.send)

    async def _serve(self, websocket: WebSocket[Any]) -> None:
        await self.on_connect(websocket)
        close_code = 1000
        try:
            close_code = await self._receive_all(websocket)
        except (WebSocketException, WebSocketDisconnect) as exc:
            close_code = exc.code
            raise
        except Exception:
            close_code = 1011
            raise
        finally:
            await self.on_disconnect(websocket, close_code)

    async def _receive_all(self, websocket: WebSocket[Any]) -> int:
        """Hand each frame to `on_receive`; return the code that the peer closed with."""
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.receive":
                await self.on_receive(websocket, await self.decode(websocket, message))
            elif message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1000)

    async def decode(self, websocket: WebSocket[Any], message: Message) -> Any:
        """Return what `on_receive` is given for a `websocket.receive` message.

        Raises:
            UnexpectedFrame: a frame of the wrong kind; closes with 1003.
            WebSocketJSONDecodeError: a frame that is not JSON (RFC 8259); closes with 1007.
        """
        return _DECODERS[self.encoding](message)

    async def on_connect(self, websocket: WebSocket[Any]) -> None:
        """Accept or close the WebSocket; accepts as it stands."""
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket[Any], data: Any) -> None:
        """Take what came in a frame; does nothing as it stands."""

    async def on_disconnect(self, websocket: WebSocket[Any], close_code: int) -> None:
        """Clean up when the WebSocket has ended; 1011 when that is our fault. Does nothing as it stands."""


_DECODERS: Final[dict[str | None, Callable[[Message], Any]]] = {
    "text": take_text,
    "bytes": take_bytes,
    "json": take_json,
    None: take_either,
}
