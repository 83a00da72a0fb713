"""An observed application of the framework; each answer says which process has given it."""

from __future__ import annotations

import os

from framework.applications import App
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route


async def show_process(request: Request) -> Response:
    return PlainTextResponse(str(os.getpid()))


app = ObservabilityMiddleware(App(routes=[Route("/items/{id}", show_process)]), access_log=False)
