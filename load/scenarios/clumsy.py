"""A client that makes every mistake and must be told so, each time with the right 4xx."""

from __future__ import annotations

import random
from typing import Final

from locust import task

from load.scenarios.base import ServiceUser

JSON: Final = "application/json"
# Body, content type, status.
MISTAKES: Final = {
    "broken JSON": ('{"name": "Ada"', JSON, 400),
    "no body": ("", JSON, 400),
    "missing member": ("{}", JSON, 422),
    "wrong type": ('{"name": 7}', JSON, 422),
    "unknown member": ('{"name": "Ada", "age": 36}', JSON, 422),
    "wrong content type": ("name=Ada", "application/x-www-form-urlencoded", 415),
}


class Clumsy(ServiceUser):
    """Sends what cannot be understood."""

    weight = 1

    @task(3)
    def send_mistake(self) -> None:
        """Call POST /hello with a body that does not fit."""
        mistake = random.choice(list(MISTAKES))
        body, content_type, status = MISTAKES[mistake]
        headers = {"Content-Type": content_type}
        self._fail("POST", "/hello", f"/hello, {mistake}", status, body, headers)

    @task(1)
    def miss(self) -> None:
        """Call a path that does not exist."""
        self._fail("GET", f"/hullo/{random.randrange(10_000)}", "/hullo, no such path", 404)

    @task(1)
    def use_wrong_method(self) -> None:
        """Call an existing path with a method it does not have."""
        self._fail("DELETE", "/hello/Ada", "/hello/{name}, wrong method", 405)

    def _fail(
        self,
        method: str,
        path: str,
        route: str,
        status: int,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.call(
            method,
            path,
            route=route,
            status=status,
            media_type="application/problem+json",
            expected={"status": status},
            body=body,
            headers=headers,
        )
