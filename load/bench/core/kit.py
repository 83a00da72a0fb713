"""One of the two libraries, under the names of ours."""

from __future__ import annotations

import importlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

LIBRARIES: Final = {"slipway": "framework", "starlette": "starlette"}
APPLICATIONS: Final = {"slipway": "App", "starlette": "Starlette"}


@dataclass(frozen=True, slots=True)
class Kit:
    """What a case is built with: the library, and what is closed when the run ends."""

    subject: str
    stack: AsyncExitStack

    def load(self, module: str) -> Any:
        """Return a module of the library, such as `routing`."""
        return importlib.import_module(f"{LIBRARIES[self.subject]}.{module}")

    def build_app(self, routes: list[Any], **options: Any) -> Any:
        """Return an application."""
        module = self.load("applications")
        return getattr(module, APPLICATIONS[self.subject])(routes=routes, **options)

    def build_route(self, endpoint: Any, *, methods: tuple[str, ...] = ("GET",)) -> Any:
        """Return a route to an endpoint at `/`."""
        return self.load("routing").Route("/", endpoint, methods=list(methods))

    def make_folder(self) -> Path:
        """Return an empty folder that lives until the run ends."""
        return Path(self.stack.enter_context(TemporaryDirectory()))
