"""One server process of `load.bench sockets`: `... sockets_worker SYSTEM DESCRIPTOR PEERS`.

PEERS is the folder of their packages; what we have ourselves, they share. All systems have the same server: ours, with its HTTP and its WebSocket protocol.
"""

from __future__ import annotations

import gc
import importlib
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from uvicorn import Config, Server

from framework.applications import App
from framework.exceptions import WebSocketDisconnect
from framework.routing import WebSocketRoute
from framework.server.http.choice import HTTPTOOLS, choose_protocol
from framework.server.http.limits import HttpLimits
from framework.server.websockets import HardenedWebSocketProtocol
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket

OUTBOX: Final = 64


async def echo_bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo texts without a framework."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def echo(websocket: Any) -> None:
    """Echo texts as the documentation of Starlette does."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def build_slipway() -> Any:
    """Build the application on this framework; `/broadcast` sends what one says to all the others."""
    everybody: list[WebSocket[Any]] = []

    async def broadcast(websocket: WebSocket[Any]) -> None:
        async with websocket.open(inbox=16, outbox=OUTBOX):
            everybody.append(websocket)
            try:
                async for message in websocket:
                    for other in everybody:
                        if other is not websocket and isinstance(message, str):
                            await send_if_open(other, message)
            finally:
                everybody.remove(websocket)

    return App(routes=[WebSocketRoute("/", echo), WebSocketRoute("/broadcast", broadcast)])


async def send_if_open(websocket: WebSocket[Any], text: str) -> None:
    """Send to somebody who may be gone."""
    try:
        await websocket.send_text(text)
    except (WebSocketDisconnect, RuntimeError):
        return


def build_starlette() -> Any:
    """Build the application on Starlette."""
    routing = importlib.import_module("starlette.routing")
    applications = importlib.import_module("starlette.applications")
    return applications.Starlette(routes=[routing.WebSocketRoute("/", echo)])


def build_fastapi() -> Any:
    """Build the application on FastAPI."""
    fastapi = importlib.import_module("fastapi")
    app = fastapi.FastAPI()

    async def endpoint(websocket: Any) -> None:
        await echo(websocket)

    endpoint.__annotations__ = {"websocket": fastapi.WebSocket, "return": None}
    app.websocket("/")(endpoint)
    return app


def build_litestar() -> Any:
    """Build the application on Litestar."""
    litestar = importlib.import_module("litestar")

    async def endpoint(socket: Any) -> None:
        await socket.accept()
        async for text in socket.iter_data():
            await socket.send_text(text)

    endpoint.__annotations__ = {"socket": litestar.WebSocket, "return": None}
    return litestar.Litestar(route_handlers=[litestar.websocket("/")(endpoint)])


SYSTEMS: Final[dict[str, Callable[[], Any]]] = {
    "bare": lambda: echo_bare,
    "slipway": build_slipway,
    "starlette": build_starlette,
    "fastapi": build_fastapi,
    "litestar": build_litestar,
}


def main() -> None:
    """Serve until the end."""
    system, descriptor, peers = sys.argv[1:]
    sys.path.append(peers)
    logging.disable(logging.INFO)  # one of the systems turns it on
    protocol: Any = choose_protocol(HTTPTOOLS, HttpLimits())
    config = Config(
        SYSTEMS[system](),
        loop="uvloop",
        ws=HardenedWebSocketProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ws_ping_interval=None,  # the clients answer none
        http=protocol,
    )
    # What is measured is what is in use, not what waits for a collection.
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
    print("ready", flush=True)
    Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


if __name__ == "__main__":
    main()
