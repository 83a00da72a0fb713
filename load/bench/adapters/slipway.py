"""Our own framework, written like the Starlette application beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from framework.applications import App
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse
from framework.routing import Route
from load.bench.cases import RouteSpec

DISTRIBUTION: Final = None
WRONG_METHOD_STATUS: Final = 405


async def text(request: Request[Any]) -> PlainTextResponse:
    """Answer with text."""
    return PlainTextResponse("Hello, world!")


async def json(request: Request[Any]) -> JSONResponse:
    """Answer with JSON."""
    return JSONResponse({"message": "Hello, world!"})


async def params(request: Request[Any]) -> PlainTextResponse:
    """Answer from two path parameters."""
    values = request.path_params
    return PlainTextResponse(f"{values['name']} {values['id'] + 1}")


ENDPOINTS: Final = {"text": text, "json": json, "params": params}


def build(routes: Sequence[RouteSpec]) -> Any:
    """Build the application for a route table."""
    return App(routes=[Route(spec.path, ENDPOINTS[spec.kind]) for spec in routes])
