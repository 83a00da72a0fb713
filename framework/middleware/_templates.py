"""The template of the route that a request has matched so far."""

from __future__ import annotations

from typing import Any

from framework.types import Scope


def find_template(scope: Scope) -> str:
    """Return the template of the matched route, mounts included; "" before routing and without one."""
    prefix: str = scope.get("framework.route_prefix", "")
    route: Any = scope.get("route")
    # The template of a mount, which has routes, is in the prefix already.
    if route is None or hasattr(route, "routes"):
        return prefix
    path: str = getattr(route, "path", "")
    return prefix + path
