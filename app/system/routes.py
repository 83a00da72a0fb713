"""`/`, `/livez`, `/readyz`, `/version`, `/worker` and `/readme`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.settings import Settings
from app.system.facts import build_facts, read_worker
from app.system.landing import LandingPage
from framework.observability.health import readiness
from framework.observability.metrics import set_build_info
from framework.requests import Request
from framework.responses import HTMLResponse, JSONResponse, PlainTextResponse
from framework.routing import Route

README: Final = Path(__file__).parents[2] / "README.md"

_NOT_STORED: Final = {"Cache-Control": "no-store"}

# A browser keeps its connection and with it its worker. Where the answer is about the worker, the
# connection ends with it, so that the next request can reach another one.
_LAST_ON_CONNECTION: Final = {**_NOT_STORED, "Connection": "close"}


class SystemEndpoints:
    """The endpoints that every service has.

    Args:
        settings: those of the service.
        examples: paths of other slices that the landing page links to.
        readme: the file that `/readme` shows; without it there is no `/readme`.
    """

    def __init__(
        self, settings: Settings, *, examples: Sequence[str] = (), readme: Path = README
    ) -> None:
        self.build = build_facts(settings)
        self.readiness_timeout = settings.readiness_timeout
        # Read once: a request does not wait for a disk.
        self.readme_text = readme.read_text(encoding="utf-8") if readme.is_file() else None
        self.landing = LandingPage(
            self.build, settings, examples=examples, has_readme=self.readme_text is not None
        )
        set_build_info(version=self.build.version, revision=self.build.revision)

    @property
    def routes(self) -> list[Route]:
        """The routes of these endpoints."""
        routes = [
            Route("/", self.show_landing_page),
            Route("/livez", self.is_alive),
            Route("/readyz", self.is_ready),
            Route("/version", self.show_version),
            Route("/worker", self.show_worker),
        ]
        if self.readme_text is not None:
            routes.append(Route("/readme", self.show_readme))
        return routes

    async def show_landing_page(self, request: Request) -> HTMLResponse:
        """Show a person what runs here."""
        page = self.landing.render(read_worker(), readiness.state, hostname=request.url.hostname)
        return HTMLResponse(page, headers={**_LAST_ON_CONNECTION, **self.landing.headers})

    async def is_alive(self, request: Request) -> PlainTextResponse:
        """Say that this process answers. It touches nothing: no dependency makes it fail."""
        return PlainTextResponse("alive\n", headers=_NOT_STORED)

    async def is_ready(self, request: Request) -> JSONResponse:
        """Say whether this process wants requests: 503 while it starts or ends, or a check fails."""
        is_ready, details = await readiness.report(self.readiness_timeout)
        return JSONResponse(details, 200 if is_ready else 503, headers=_NOT_STORED)

    async def show_version(self, request: Request) -> JSONResponse:
        """Say what was built."""
        return JSONResponse(self.build, headers=_NOT_STORED)

    async def show_worker(self, request: Request) -> JSONResponse:
        """Say which process answers."""
        return JSONResponse(read_worker(), headers=_LAST_ON_CONNECTION)

    async def show_readme(self, request: Request) -> PlainTextResponse:
        """Show the documentation as it was written."""
        return PlainTextResponse(self.readme_text, headers={"X-Content-Type-Options": "nosniff"})
