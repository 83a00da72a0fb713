"""`State`: values shared by name, as attributes or as items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["State"]


class State:
    """Named values of an application or a request.

    Args:
        state: the dictionary to show; changes go into it. A new one unless given.

    PERF: the dictionary *is* the instance's `__dict__`, so reading one costs what any attribute costs.
    """

    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        if state is not None:
            object.__setattr__(self, "__dict__", state)

    @property
    def _state(self) -> dict[str, Any]:
        # The name under which other people's code reads the dictionary.
        return self.__dict__

    def __getattr__(self, key: str) -> Any:
        # Called for missing names only; declares to type checkers that any name may exist.
        raise AttributeError(f"{self.__class__.__name__!r} object has no attribute {key!r}")

    def __setattr__(self, key: str, value: Any) -> None:
        # Does what is done anyway; declares to type checkers that any name may be set.
        self.__dict__[key] = value

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.__dict__[key] = value

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)
