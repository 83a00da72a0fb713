"""The route index: finds the routes that may answer a path without asking every route.

Static paths stand in one dict. All other templates stand in a tree of path segments, which only
*narrows* the routes down to candidates; the candidates are then tried in the order of registration, so
that the first registered route that matches wins, exactly as a scan of all routes would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from framework._defaults import MAX_INT_DIGITS
from framework.routing.patterns import PathPattern, find_int

__all__ = [
    "NO_CANDIDATES",
    "Candidate",
    "RouteIndex",
]


class Candidate:
    """One registered route as the index sees it.

    Attributes:
        position: its place in the order of registration.
        route: the route, handed back as it is.
        pattern: its template; None for a route that only its own `matches` understands.
        methods: what it answers to; empty for every method.
        scope_type: the kind of connection it answers to, `http` or `websocket`; empty for both.
        captures: its parameters by segment.
        is_simple: whether segments and method alone decide, so that `route.matches` need not be asked,
            and the router may call `route.app` without going through `route.handle`.
    """

    __slots__ = (
        "captures",
        "is_simple",
        "methods",
        "pattern",
        "position",
        "route",
        "scope_type",
    )

    def __init__(
        self,
        position: int,
        route: Any,
        pattern: PathPattern | None = None,
        methods: Iterable[str] = (),
        *,
        scope_type: str = "",
        is_direct: bool = False,
    ) -> None:
        self.position = position
        self.route = route
        self.pattern = pattern
        self.methods = frozenset(methods)
        self.scope_type = scope_type
        self.captures = () if pattern is None else tuple(pattern.captures)
        is_segmental = pattern is not None and pattern.is_segmental
        self.is_simple = is_direct and is_segmental and bool(self.methods)

    @property
    def segments(self) -> list[str | None]:
        """The segments of the template, with the empty one before the leading slash."""
        return ["", *self.pattern.segments] if self.pattern is not None else []

    def find_params(self, segments: list[str]) -> dict[str, Any] | None:
        """Return the parameters of a path that leads here, None when it does not match after all."""
        params: dict[str, Any] = {}
        for position, name, find in self.captures:
            text = segments[position]
            if find is None:
                if not text:
                    return None
                params[name] = text
            elif find is find_int:
                # PERF: `find_int`, without the call.
                if len(text) > MAX_INT_DIGITS or not (text.isdigit() and text.isascii()):
                    return None
                params[name] = int(text)
            else:
                params[name] = value = find(text)
                if value is None:
                    return None
        return params


# Picks the known segments out of a path, and the candidates by what it picks.
_Shape = tuple[Callable[[Sequence[str | None]], Any], dict[Any, list[Candidate]]]
NO_CANDIDATES: list[Candidate] = []


class _Node(dict[str, "_Node"]):
    """A segment of the tree. The items are the nodes below it for segments of a known text."""

    __slots__ = ("any", "closed", "is_only_way", "open")

    def __init__(self) -> None:
        super().__init__()
        # The node below for any other segment.
        self.any: _Node | None = None
        # Candidates whose template ends here, and those that go on in their own way.
        self.closed: list[Candidate] = []
        self.open: list[Candidate] = []
        # Whether a walk that comes here has passed no candidate and no second way. Set in the end.
        self.is_only_way = False

    def seal(self, *, is_only_way: bool) -> None:
        """Decide here and below, once, what needs no decision at request time."""
        self.is_only_way = is_only_way and not self.open
        for child in self.values():
            child.seal(is_only_way=self.is_only_way and self.any is None)
        if self.any is not None:
            self.any.seal(is_only_way=self.is_only_way)


class RouteIndex:
    """An immutable index over routes in the order of registration."""

    __slots__ = ("_top", "shapes", "static")

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._top = _Node()
        self._top[""] = _Node()
        everything = list(candidates)
        for candidate in everything:
            self._add(candidate)
        self._top.seal(is_only_way=True)
        self.shapes = {} if any(map(_is_open, everything)) else _build_shapes(everything)
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
        pattern = candidate.pattern
        if pattern is None:
            self._top.open.append(candidate)
            return
        node = self._top[""]  # a path starts with a slash: before it there is an empty segment
        for segment in pattern.segments:
            if segment is None:
                if node.any is None:
                    node.any = _Node()
                node = node.any
            else:
                node = node.setdefault(segment, _Node())
        (node.open if pattern.is_open else node.closed).append(candidate)

    def _build_method_table(self, path: str) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for candidate in self.find_candidates(path.split("/")):
            if candidate.captures or not candidate.is_simple:
                break
            for method in candidate.methods:
                table.setdefault(method, candidate.route)
        return table

    def find_candidates(self, segments: list[str]) -> list[Candidate]:
        """Return the routes that may match `path.split("/")`, in the order of registration.

        The list belongs to the index and must not be changed.
        """
        shape = self.shapes.get(len(segments))
        if shape is not None:
            pick, table = shape
            return table.get(pick(segments), NO_CANDIDATES)
        # PERF: one straight walk, as nearly every path has a single way to go.
        node = self._top
        for segment in segments:
            if (child := node.get(segment)) is None and (child := node.any) is None:
                return NO_CANDIDATES if node.is_only_way else self._find_forked(segments)
            node = child
        return node.closed if node.is_only_way else self._find_forked(segments)

    def _find_forked(self, segments: list[str]) -> list[Candidate]:
        found: list[Candidate] = []
        _collect(self._top, segments, 0, found)
        found.sort(key=_position)
        return found


def _is_open(candidate: Candidate) -> bool:
    return candidate.pattern is None or candidate.pattern.is_open


def _build_shapes(candidates: list[Candidate]) -> dict[int, _Shape]:
    """Return, by number of segments, the look-up for templates that are known in the same places.

    PERF: where all templates of one length agree on which of their segments are known, these segments
    together are the key of the candidates, and no walk is needed.
    """
    places: dict[int, set[tuple[int, ...]]] = {}
    for candidate in candidates:
        known = tuple(i for i, text in enumerate(candidate.segments) if text is not None)
        places.setdefault(len(candidate.segments), set()).add(known)
    shapes: dict[int, _Shape] = {
        length: (itemgetter(*known.pop()), {})
        for length, known in places.items()
        if len(known) == 1
    }
    for candidate in candidates:
        if len(candidate.segments) in shapes:
            pick, table = shapes[len(candidate.segments)]
            table.setdefault(pick(candidate.segments), []).append(candidate)
    return shapes


def _collect(node: _Node, segments: list[str], depth: int, found: list[Candidate]) -> None:
    """Add the candidates at and below `node`; each node is reached at most once: this is bounded."""
    found.extend(node.open)
    if depth == len(segments):
        found.extend(node.closed)
        return
    segment = segments[depth]
    for child in (node.get(segment), node.any if segment else None):
        if child is not None:
            _collect(child, segments, depth + 1, found)


def _position(candidate: Candidate) -> int:
    return candidate.position
