"""The type of the `client_factory` fixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from framework.testclient import TestClient
from framework.types import ASGIApp


class ClientFactory(Protocol):
    """Builds a `TestClient` that runs its application on the backend under test."""

    def __call__(
        self,
        app: ASGIApp,
        base_url: str = ...,
        raise_server_exceptions: bool = ...,
        root_path: str = ...,
        *,
        cookies: Mapping[str, str] | None = ...,
        headers: dict[str, str] | None = ...,
        follow_redirects: bool = ...,
        client: tuple[str, int] = ...,
        **options: Any,
    ) -> TestClient: ...
