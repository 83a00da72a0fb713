"""Litestar without OpenAPI and without its logging set-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar import Litestar, MediaType, get

from load.bench.cases import RouteSpec

DISTRIBUTION: Final = "litestar"
WRONG_METHOD_STATUS: Final = 405


async def text() -> str:
    """Answer with text."""
    return "Hello, world!"


async def json() -> dict[str, str]:
    """Answer with JSON."""
    return {"message": "Hello, world!"}


async def params(name: str, id: int) -> str:
    """Answer from two path parameters."""
    return f"{name} {id + 1}"


ENDPOINTS: Final = {"text": text, "json": json, "params": params}


def build(routes: Sequence[RouteSpec]) -> Any:
    """Build the application for a route table."""
    handlers = []
    for spec in routes:
        media_type = MediaType.JSON if spec.kind == "json" else MediaType.TEXT
        path = spec.path.replace("{name}", "{name:str}")
        handlers.append(get(path, media_type=media_type)(ENDPOINTS[spec.kind]))
    return Litestar(route_handlers=handlers, openapi_config=None, logging_config=None)
