"""Falcon's ASGI application with resource classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import falcon
from falcon.asgi import App, Request, Response

from load.bench.cases import RouteSpec

DISTRIBUTION: Final = "falcon"
WRONG_METHOD_STATUS: Final = 405


class Text:
    """Answer with text."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer GET."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "Hello, world!"


class Json:
    """Answer with JSON."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer GET."""
        resp.media = {"message": "Hello, world!"}


class Params:
    """Answer from two path parameters."""

    async def on_get(self, req: Request, resp: Response, name: str, id: int) -> None:
        """Answer GET."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{name} {id + 1}"


ENDPOINTS: Final = {"text": Text(), "json": Json(), "params": Params()}


def build(routes: Sequence[RouteSpec]) -> Any:
    """Build the application for a route table."""
    app = App()
    for spec in routes:
        app.add_route(spec.path, ENDPOINTS[spec.kind])
    return app
