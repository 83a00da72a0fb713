"""Routes that no request can reach, because an earlier one takes every request they could get."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from framework._defaults import MAX_HIDDEN_ROUTES_LOGGED
from framework.routing.patterns import PathPattern, SegmentFinder, find_float, find_int
from framework.routing.routes import BaseRoute
from framework.routing.tree import Candidate, RouteIndex

__all__ = [
    "find_hidden_routes",
    "log_hidden_routes",
]

_logger = logging.getLogger("framework.routing")

# No template holds this as a text, so it leads only to routes that take any segment.
_ANY = "\0"


def log_hidden_routes(routes: Sequence[BaseRoute]) -> None:
    """Log a warning for each hidden route, also below mounts.

    Never an error: applications with such routes do run.
    """
    hidden = list(_describe_hidden(routes, "", {}))
    for late, early in hidden[:MAX_HIDDEN_ROUTES_LOGGED]:
        _logger.warning("%s is never reached: %s stands before it and takes its place", late, early)
    if len(hidden) > MAX_HIDDEN_ROUTES_LOGGED:
        _logger.warning("%d more routes are never reached", len(hidden) - MAX_HIDDEN_ROUTES_LOGGED)


def find_hidden_routes(routes: Sequence[BaseRoute]) -> Iterator[tuple[BaseRoute, BaseRoute]]:
    """Yield each route that one earlier route hides, and that one.

    What is found is certain, but for paths with a line end, which a mount or `{name:path}` lets pass.
    What only several routes together hide, or what depends on convertors, hosts or routes of other
    people's make, is not found.
    """
    candidates = [route.as_candidate(position) for position, route in enumerate(routes)]
    for kind in ("http", "websocket"):
        index = RouteIndex(each for each in candidates if each.scope_type in ("", kind))
        for late in candidates:
            # A mount is in both indexes and is asked about in one.
            if late.pattern is None or kind != (late.scope_type or "http"):
                continue
            for early in index.find_candidates(_build_probe(late.pattern)):
                if early.position < late.position and _hides(early, late):
                    yield late.route, early.route
                    break


def _describe_hidden(
    routes: Sequence[BaseRoute], prefix: str, seen: dict[int, object]
) -> Iterator[tuple[str, str]]:
    seen[id(routes)] = routes  # each once: an application may be mounted twice, also in itself
    for late, early in find_hidden_routes(routes):
        yield _describe(late, prefix), _describe(early, prefix)
    for route in routes:
        below = getattr(route, "routes", None)
        # A mounted application of another framework has routes that are none of ours.
        if not isinstance(below, list) or id(below) in seen:
            continue
        if all(isinstance(each, BaseRoute) for each in below):
            yield from _describe_hidden(below, prefix + _find_place(route), seen)


def _build_probe(pattern: PathPattern) -> list[str]:
    """Return the segments of a path that leads to every route that could hide this one."""
    segments = ["", *(_ANY if text is None else text for text in pattern.segments)]
    return [*segments, _ANY] if pattern.is_open else segments


def _hides(early: Candidate, late: Candidate) -> bool:
    if early.pattern is None or late.pattern is None:
        return False
    if early.methods and not (late.methods and early.methods >= late.methods):
        return False
    return _covers(early.pattern, late.pattern)


def _covers(early: PathPattern, late: PathPattern) -> bool:
    """Say whether every path of `late` is one of `early`; False where that is not certain."""
    known = len(early.segments)
    if early.takes_rest:
        # Something has to follow the slash behind the known segments.
        if len(late.segments) + late.is_open <= known:
            return False
    elif not early.is_segmental or late.is_open or len(late.segments) != known:
        return False
    finders = {position: find for position, _, find in early.captures}
    late_finders = {position: find for position, _, find in late.captures}
    for position, (text, wanted) in enumerate(
        zip(early.segments, late.segments, strict=False), start=1
    ):
        if text is not None:
            if text != wanted:
                return False
        elif position not in finders or not _takes(
            finders[position], wanted, late_finders.get(position, _takes_text)
        ):
            return False
    return True


def _takes_text(text: str) -> Any:
    """Stand in for the finder of a segment that mixes text and parameters."""
    return text


def _takes(find: SegmentFinder | None, text: str | None, late: SegmentFinder | None) -> bool:
    """Say whether a parameter takes a text, or (None) all that a later parameter takes."""
    if text is not None:
        return bool(text) if find is None else find(text) is not None
    return find is None or find is late or (find is find_float and late is find_int)


def _find_place(route: Any) -> str:
    place: str = getattr(route, "path", getattr(route, "host", ""))
    return place


def _describe(route: Any, prefix: str) -> str:
    methods = ",".join(sorted(getattr(route, "methods", None) or ()))
    words = (type(route).__name__, methods, prefix + _find_place(route) or "/")
    return " ".join(filter(None, words))
