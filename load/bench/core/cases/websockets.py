"""WebSocket sessions, in-process: the server and its protocol are not measured here."""

from __future__ import annotations

from typing import Any, Final

from load.bench.core.case import Case
from load.bench.core.exchange import Handshake, measure_socket
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

FRAMES: Final = 100


async def exchange_texts(kit: Kit) -> Measurement:
    """Accept, receive and send a hundred texts, close."""

    async def endpoint(websocket: Any) -> None:
        await websocket.accept()
        for _ in range(FRAMES):
            await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = kit.build_app([kit.load("routing").WebSocketRoute("/", endpoint)])
    texts = tuple(f"text {number}" for number in range(FRAMES))
    expected = ["websocket.accept", *texts, "websocket.close"]
    return await measure_socket(app, Handshake("/", texts), expected)


CASES: Final = (Case(f"WebSocket of {FRAMES} texts", exchange_texts, faster=1),)
