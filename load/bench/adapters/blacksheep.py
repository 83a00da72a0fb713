"""BlackSheep with parameters bound by name and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from blacksheep import Application, Response, Router, json as json_response, text as text_response

from load.bench.cases import RouteSpec

DISTRIBUTION: Final = "blacksheep"
WRONG_METHOD_STATUS: Final = 404  # its router keeps one table a method


async def text() -> Response:
    """Answer with text."""
    return text_response("Hello, world!")


async def json() -> Response:
    """Answer with JSON."""
    return json_response({"message": "Hello, world!"})


async def params(name: str, id: int) -> Response:
    """Answer from two path parameters."""
    return text_response(f"{name} {id + 1}")


ENDPOINTS: Final = {"text": text, "json": json, "params": params}


def build(routes: Sequence[RouteSpec]) -> Any:
    """Build the application for a route table."""
    router = Router()
    app = Application(router=router)
    for spec in routes:
        router.add_get(spec.path.replace(":int", ""), ENDPOINTS[spec.kind])
    return app
