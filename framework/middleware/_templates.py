"""The template of the route that a request has matched so far."""

from __future__ import annotations

from typing import Any

from framework.types import Scope


def find_template(scope: Scope) -> str:
    """Return the template of the matched route, mounts included; "" before routing and without one."""
    route: Any = scope.get("route")
    path: str | None = getattr(route, "path", None)
    if path is None:
        return ""
    prefix: str | None = scope.get("framework.route_prefix")
    if not prefix:
        return path or "/"
    # A mount has routes; its own path is in the prefix already.
    return prefix if hasattr(route, "routes") else prefix + path
