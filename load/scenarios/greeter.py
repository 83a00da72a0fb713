"""A client that uses the example slice as it is meant to be used."""

from __future__ import annotations

import json
import random
from typing import Final
from urllib.parse import quote

from locust import task

from load.scenarios.base import ServiceUser

NAMES: Final = ("Ada", "Grace", "José", "Zoë", "Linus", "O'Neil", "李")
JSON: Final = {"Content-Type": "application/json"}


class Greeter(ServiceUser):
    """Asks to be greeted, by path and by body."""

    weight = 7

    @task(3)
    def greet(self) -> None:
        """Call GET /hello/{name}."""
        name = random.choice(NAMES)
        expected = {"message": f"Hello, {name}!"}
        self.call("GET", f"/hello/{quote(name)}", route="/hello/{name}", expected=expected)

    @task(2)
    def greet_person(self) -> None:
        """Call POST /hello."""
        name = random.choice(NAMES)
        body = json.dumps({"name": name, "language": "fr"})
        expected = {"message": f"Bonjour, {name}!"}
        self.call("POST", "/hello", route="/hello", body=body, headers=JSON, expected=expected)
