"""`RouteList`: the routes of a router, in order, with their index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, SupportsIndex

from framework.routing.routes import BaseRoute
from framework.routing.tree import RouteIndex

__all__ = [
    "RouteList",
]


class RouteList(list[BaseRoute]):
    """The routes of a router. Any change, also after start-up, makes the router build its index anew."""

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        super().__init__(routes)
        self.route_index: RouteIndex | None = None
        # Built together with the former; of no value while that is None.
        self.websocket_index = RouteIndex(())

    def build_index(self) -> RouteIndex:
        """Build both indexes, keep them until the next change, and return the one for HTTP."""
        candidates = [route.as_candidate(position) for position, route in enumerate(self)]
        self.websocket_index = RouteIndex(each for each in candidates if each.scope_type != "http")
        self.route_index = RouteIndex(each for each in candidates if each.scope_type != "websocket")
        return self.route_index

    def find_websocket_index(self) -> RouteIndex:
        """Return the index of what answers to WebSockets, up to date."""
        if self.route_index is None:
            self.build_index()
        return self.websocket_index

    def append(self, route: BaseRoute) -> None:
        self.route_index = None
        super().append(route)

    def extend(self, routes: Iterable[BaseRoute]) -> None:
        self.route_index = None
        super().extend(routes)

    def insert(self, position: SupportsIndex, route: BaseRoute) -> None:
        self.route_index = None
        super().insert(position, route)

    def remove(self, route: BaseRoute) -> None:
        self.route_index = None
        super().remove(route)

    def pop(self, position: SupportsIndex = -1) -> BaseRoute:
        self.route_index = None
        return super().pop(position)

    def clear(self) -> None:
        self.route_index = None
        super().clear()

    def reverse(self) -> None:
        self.route_index = None
        super().reverse()

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        self.route_index = None
        super().sort(key=key, reverse=reverse)

    def __setitem__(self, position: Any, route: Any) -> None:
        self.route_index = None
        super().__setitem__(position, route)

    def __delitem__(self, position: SupportsIndex | slice) -> None:
        self.route_index = None
        super().__delitem__(position)

    def __iadd__(self, routes: Iterable[BaseRoute]) -> Self:  # type: ignore[override, misc]
        self.extend(routes)
        return self

    def __imul__(self, times: SupportsIndex) -> Self:
        self.route_index = None
        super().__imul__(times)
        return self
