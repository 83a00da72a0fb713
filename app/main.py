"""The composition root: the only module that sees every slice."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.hello.routes import routes as hello_routes
from app.jobs.starting import start_count
from app.jobs.store import Jobs
from app.middleware import PROBES, build_middleware
from app.places import build_channels_url, build_shared_folder
from app.problems import EXCEPTION_HANDLERS
from app.settings import Settings, load_settings
from app.system.live.counter import SharedCounter
from app.system.live.endpoints import LiveEndpoints
from app.system.routes import SystemEndpoints
from app.tracing import send_spans
from framework.applications import App
from framework.channels import Channels
from framework.observability.health import readiness
from framework.observability.logging import configure_logging
from framework.observability.metrics import publish_statistics
from framework.observability.middleware import ObservabilityMiddleware
from framework.routing import BaseRoute
from framework.types import ASGIApp

CHANNEL_COUNTERS: Final = ("published", "delivered", "dropped", "missed", "closed", "reconnects")


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Open before the first request what the service needs, close it after the last."""
    async with app.state.tracing(), app.state.channels:
        readiness.set_ready()
        yield
        await app.state.jobs.close()


def create_app(settings: Settings) -> App:
    """Return the service without observability, as most tests want it."""
    jobs = Jobs(settings.jobs_url)
    channels = Channels(build_channels_url(settings))
    publish_statistics("channels", channels.statistics, counters=CHANNEL_COUNTERS)
    system = SystemEndpoints(settings, examples=("/hello/world",))
    routes: list[BaseRoute] = [
        *system.routes,
        *hello_routes,
    ]
    if settings.debug or settings.demo:
        live = LiveEndpoints(
            channels=channels,
            counter=SharedCounter(build_shared_folder(settings, "live") / "counter"),
            start_job=functools.partial(start_count, jobs),
            read_job=jobs.read,
        )
        routes += live.routes
    app = App(
        debug=settings.debug,
        routes=routes,
        middleware=build_middleware(settings),
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
        max_body_size=settings.max_body_bytes,
    )
    app.state.jobs = jobs
    app.state.channels = channels
    app.state.tracing = functools.partial(send_spans, settings)
    return app


def create_service(settings: Settings) -> ASGIApp:
    """Return the service as it is deployed: request ids, access log and metrics around it all."""
    configure_logging(level=settings.log_level, format=settings.log_format)
    return ObservabilityMiddleware(
        create_app(settings), quiet_paths=() if settings.log_probes else PROBES
    )


app = create_service(load_settings())
