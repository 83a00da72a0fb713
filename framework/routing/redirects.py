"""The slash redirect: from `/a` to `/a/`, or back, where only the other one is routed."""

from __future__ import annotations

from framework._http.paths import build_location, get_route_path
from framework.routing.routes import Match
from framework.routing.tree import RouteIndex
from framework.types import Scope

__all__ = [
    "find_slash_redirect",
]


def find_slash_redirect(index: RouteIndex, segments: list[str], scope: Scope) -> str | None:
    """Return where to redirect, None when there is nothing to redirect to."""
    path: str = scope["path"]
    if segments[-1] or len(segments) == 1:
        segments.append("")
        location = path + "/"
    elif len(segments) == 2:  # the root itself
        return None
    else:
        location = path.rstrip("/")
        segments = get_route_path({**scope, "path": location}).split("/")
    candidates = index.find_candidates(segments)
    if not candidates or not location or path.startswith("//"):
        return None
    other = {**scope, "path": location}
    if all(candidate.route.matches(other)[0] is Match.NONE for candidate in candidates):
        return None
    return build_location(location, scope)
