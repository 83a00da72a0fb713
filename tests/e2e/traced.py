"""An application that asks a database and another service: itself."""

from __future__ import annotations

import sqlite3
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.opentelemetry import OpenTelemetryMiddleware
from framework.observability.telemetry import send_spans
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route


def ask(request: Request[Any]) -> JSONResponse:
    """Answer with what the database and the other service say."""
    with sqlite3.connect(":memory:") as connection:
        cursor = connection.cursor()  # `Connection.execute` is not seen
        (number,) = cursor.execute("SELECT 7").fetchone()
    with urllib.request.urlopen(f"{request.base_url}told") as answer:
        told = answer.read().decode()
    return JSONResponse({"number": number, "told": told})


def tell(request: Request[Any]) -> JSONResponse:
    """Answer with the trace that the request belongs to."""
    return JSONResponse(request.headers.get("traceparent", ""))


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Send spans."""
    async with send_spans("traced"):
        yield


app = App(
    routes=[Route("/ask", ask), Route("/told", tell)],
    middleware=[Middleware(OpenTelemetryMiddleware)],
    lifespan=lifespan,
)
