"""Small values: an address, a secret, a list written as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import shlex
from typing import Any, NamedTuple

__all__ = ["Address", "CommaSeparatedStrings", "Secret"]


class Address(NamedTuple):
    """Host and port of a peer."""

    host: str
    port: int


class Secret:
    """Text that does not appear in tracebacks, debug pages and representations.

    `str(secret)` is the text itself: call it where the text is needed, and nowhere else.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}('**********')"

    def __str__(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)


class CommaSeparatedStrings(Sequence[str]):
    """The items of a text such as `a, "b, c"`, or of a sequence.

    Raises:
        ValueError: a quotation mark is not closed.
    """

    __slots__ = ("_items",)

    def __init__(self, value: str | Sequence[str]) -> None:
        if not isinstance(value, str):
            self._items = list(value)
            return
        splitter = shlex(value, posix=True)
        splitter.whitespace = ","
        splitter.whitespace_split = True
        splitter.commenters = ""  # a `#` is part of an item; by default the rest would be lost
        try:
            self._items = [item.strip() for item in splitter]
        except ValueError as exc:
            raise ValueError(f"{value!r} is no comma-separated list: {exc}") from None

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int | slice) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._items!r})"

    def __str__(self) -> str:
        return ", ".join(map(repr, self._items))
