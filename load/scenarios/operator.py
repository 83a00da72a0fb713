"""Whoever runs the service: probes, a look at the version, and the landing page."""

from __future__ import annotations

from locust import task

from load.scenarios.base import ServiceUser


class Operator(ServiceUser):
    """Watches the service."""

    weight = 2

    @task(2)
    def is_alive(self) -> None:
        """Call GET /livez."""
        self.call("GET", "/livez", route="/livez", media_type="text/plain")

    @task(2)
    def is_ready(self) -> None:
        """Call GET /readyz."""
        self.call("GET", "/readyz", route="/readyz")

    @task(1)
    def read_version(self) -> None:
        """Call GET /version."""
        self.call("GET", "/version", route="/version")

    @task(1)
    def read_landing_page(self) -> None:
        """Call GET /."""
        self.call("GET", "/", route="/", media_type="text/html")
