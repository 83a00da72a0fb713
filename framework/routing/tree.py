"""The route index: finds the routes that may answer a path without asking every route.

Static paths stand in one dict. All other templates stand in a tree of path segments, which only
*narrows* the routes down to candidates; the candidates are then tried in the order of registration, so
that the first registered route that matches wins, exactly as a scan of all routes would decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from re import Pattern
from typing import Any

from framework.convertors import Convertor
from framework.routing.patterns import PathPattern, convert_params

__all__ = [
    "Candidate",
    "RouteIndex",
]


class Candidate:
    """One registered route as the index sees it.

    Attributes:
        position: its place in the order of registration.
        route: the route, handed back as it is.
        methods: what it answers to; None for every method.
        pattern: its template; None for a route that only its own `matches` understands.
        regex: decides where `captures` cannot; None when only the route's own `matches` can.
        is_direct: whether the router may call the route's `app` itself.
    """

    __slots__ = (
        "captures",
        "convertors",
        "is_direct",
        "methods",
        "pattern",
        "position",
        "regex",
        "route",
    )

    def __init__(
        self,
        position: int,
        route: Any,
        methods: Iterable[str] | None = None,
        pattern: PathPattern | None = None,
        regex: Pattern[str] | None = None,
        convertors: dict[str, Convertor[Any]] | None = None,
        *,
        is_direct: bool = False,
    ) -> None:
        self.position = position
        self.route = route
        self.methods = None if methods is None else frozenset(methods)
        self.pattern = pattern
        self.captures = None if pattern is None else pattern.captures
        self.regex = regex
        self.convertors = convertors or {}
        self.is_direct = is_direct

    def find_params(self, path: str, segments: list[str]) -> Any:
        """Return the path parameters, None when the path does not match."""
        captures = self.captures
        if captures is None:
            match = self.regex.match(path) if self.regex is not None else None
            return None if match is None else convert_params(match, self.convertors)
        params: dict[str, Any] = {}
        for position, name, find in captures:
            value: Any = segments[position]
            if find is not None:
                value = find(value)
                if value is None:
                    return None
            params[name] = value
        return params


class _Node:
    __slots__ = ("any", "closed", "open", "static")

    def __init__(self) -> None:
        self.static: dict[str, _Node] = {}
        self.any: _Node | None = None
        # Candidates whose template ends here, and those that go on in their own way.
        self.closed: list[Candidate] = []
        self.open: list[Candidate] = []


class RouteIndex:
    """An immutable index over routes in the order of registration."""

    __slots__ = ("_root", "static")

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._root = _Node()
        everything = list(candidates)
        for candidate in everything:
            self._add(candidate)
        # PERF: path -> method -> route for what needs no walk. A path stands here only up to the first
        # candidate that needs more than an equal path, so the dict never overrules an earlier route.
        self.static: dict[str, dict[str, Any]] = {}
        for candidate in everything:
            pattern = candidate.pattern
            if pattern is not None and not pattern.is_open and None not in pattern.segments:
                path = "/" + "/".join(str(segment) for segment in pattern.segments)
                if path not in self.static:
                    self.static[path] = self._build_method_table(path)

    def _add(self, candidate: Candidate) -> None:
        node, pattern = self._root, candidate.pattern
        if pattern is None:
            node.open.append(candidate)
            return
        for segment in pattern.segments:
            if segment is None:
                if node.any is None:
                    node.any = _Node()
                node = node.any
            else:
                node = node.static.setdefault(segment, _Node())
        (node.open if pattern.is_open else node.closed).append(candidate)

    def _build_method_table(self, path: str) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for candidate in self.find_candidates(path.split("/")):
            if candidate.captures != [] or not candidate.methods or not candidate.is_direct:
                break
            for method in candidate.methods:
                table.setdefault(method, candidate.route)
        return table

    def find_candidates(self, segments: list[str]) -> list[Candidate]:
        """Return the routes that may match `path.split("/")`, in the order of registration."""
        node = self._root
        found = node.open
        # PERF: one straight walk as long as each segment leaves a single way to go, which is nearly
        # always; at a fork _collect starts over.
        rest = iter(segments)
        if next(rest):  # no leading slash (`*`, `foo/a`): no template matches
            return found
        for segment in rest:
            child = node.static.get(segment)
            if child is None:
                child = node.any
                if child is None or not segment:
                    return found
            elif node.any is not None and segment:
                return self._find_forked(segments)
            node = child
            if node.open:
                found = sorted(found + node.open, key=_position)
        if not node.closed:
            return found
        return sorted(found + node.closed, key=_position) if found else node.closed

    def _find_forked(self, segments: list[str]) -> list[Candidate]:
        found = self._root.open.copy()
        _collect(self._root, segments, 1, found)
        found.sort(key=_position)
        return found


def _collect(node: _Node, segments: list[str], depth: int, found: list[Candidate]) -> None:
    """Add the candidates below `node`; each node is reached at most once, so this is bounded."""
    if depth == len(segments):
        found.extend(node.closed)
        return
    segment = segments[depth]
    branches = [node.static.get(segment), node.any if segment else None]
    for child in branches:
        if child is not None:
            found.extend(child.open)
            _collect(child, segments, depth + 1, found)


def _position(candidate: Candidate) -> int:
    return candidate.position
