"""FastAPI without its documentation routes; dictionaries and strings are returned as users do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from load.bench.cases import RouteSpec

DISTRIBUTION: Final = "fastapi"
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
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for spec in routes:
        options: dict[str, Any] = {}
        if spec.kind != "json":
            options["response_class"] = PlainTextResponse
        path = spec.path.replace(":int", "")
        app.add_api_route(path, ENDPOINTS[spec.kind], methods=["GET"], **options)
    return app
