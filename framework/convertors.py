"""Convertors: what a path parameter may look like, and the Python value it becomes.

A value that a convertor cannot convert (`ValueError`) means that the route does not match; it is
never an error of the server.
"""

from __future__ import annotations

import math
import uuid
from typing import Any, ClassVar, Generic, TypeVar

from framework._defaults import MAX_FLOAT_CHARACTERS, MAX_INT_DIGITS

__all__ = [
    "CONVERTOR_TYPES",
    "Convertor",
    "FloatConvertor",
    "IntegerConvertor",
    "PathConvertor",
    "StringConvertor",
    "UUIDConvertor",
    "register_url_convertor",
]

T = TypeVar("T")


class Convertor(Generic[T]):
    """Base class: `regex` says which text matches, `convert` and `to_string` go both ways."""

    regex: ClassVar[str] = ""

    def convert(self, value: str) -> T:
        """Return the value of a text that matched `regex`. Raises `ValueError`: the route does not match."""
        raise TypeError(f"{type(self).__name__} must define convert(value)")

    def to_string(self, value: T) -> str:
        """Return the text of `value` for a URL. Raises `ValueError` when no URL could carry it."""
        raise TypeError(f"{type(self).__name__} must define to_string(value)")


class StringConvertor(Convertor[str]):
    """Any text without a slash, at least one character: `{name}` or `{name:str}`."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        value = str(value)
        if "/" in value:
            raise ValueError(f"path parameter {value!r} holds a slash; declare it as {{name:path}}")
        if not value:
            raise ValueError("a path parameter must not be empty; declare it as {name:path}")
        return value


class PathConvertor(Convertor[str]):
    """The rest of the path, slashes included, possibly empty: `{name:path}`."""

    regex = ".*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return str(value)


class IntegerConvertor(Convertor[int]):
    """A whole number in at most `MAX_INT_DIGITS` ASCII digits, no sign: `{name:int}`."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        if len(value) > MAX_INT_DIGITS:
            raise ValueError(f"{len(value)} digits; at most {MAX_INT_DIGITS} are accepted")
        return int(value)

    def to_string(self, value: int) -> str:
        value = int(value)
        if value < 0:
            raise ValueError(f"negative integers such as {value!r} are not supported in a path")
        return str(value)


class FloatConvertor(Convertor[float]):
    """A decimal number without sign or exponent: `{name:float}`."""

    regex = r"[0-9]+(\.[0-9]+)?"

    def convert(self, value: str) -> float:
        if len(value) > MAX_FLOAT_CHARACTERS:
            raise ValueError(
                f"{len(value)} characters; at most {MAX_FLOAT_CHARACTERS} are accepted"
            )
        return float(value)

    def to_string(self, value: float) -> str:
        value = float(value)
        if value < 0.0:
            raise ValueError(f"negative floats such as {value!r} are not supported in a path")
        if not math.isfinite(value):
            raise ValueError(f"{value!r} cannot be written in a path")
        return f"{value:0.20f}".rstrip("0").rstrip(".")


class UUIDConvertor(Convertor[uuid.UUID]):
    """A UUID with or without hyphens, in either case (RFC 9562): `{name:uuid}`."""

    regex = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"

    def convert(self, value: str) -> uuid.UUID:
        return uuid.UUID(value)

    def to_string(self, value: uuid.UUID) -> str:
        return str(value)


CONVERTOR_TYPES: dict[str, Convertor[Any]] = {
    "str": StringConvertor(),
    "path": PathConvertor(),
    "int": IntegerConvertor(),
    "float": FloatConvertor(),
    "uuid": UUIDConvertor(),
}


def register_url_convertor(key: str, convertor: Convertor[Any]) -> None:
    """Make `convertor` available to routes created from now on as `{name:key}`."""
    CONVERTOR_TYPES[key] = convertor
