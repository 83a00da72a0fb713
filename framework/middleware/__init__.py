"""`Middleware`: a middleware class and its options, kept until the stack is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ParamSpec, Protocol

from framework.types import ASGIApp

__all__ = ["Middleware"]

P = ParamSpec("P")


class _MiddlewareFactory(Protocol[P]):
    def __call__(self, app: ASGIApp, /, *args: P.args, **kwargs: P.kwargs) -> ASGIApp: ...


class Middleware:
    """One layer of a stack: the factory (usually a class) and what it is called with after the app."""

    __slots__ = ("args", "cls", "kwargs")

    def __init__(self, cls: _MiddlewareFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs

    def __iter__(self) -> Iterator[Any]:
        return iter((self.cls, self.args, self.kwargs))

    def __repr__(self) -> str:
        name = getattr(self.cls, "__name__", repr(self.cls))
        options = [repr(value) for value in self.args]
        # A key that is no `Secret` must not reach a log by way of the stack it is used in.
        options += [
            f"{key}='**********'" if "secret" in key else f"{key}={value!r}"
            for key, value in self.kwargs.items()
        ]
        return f"{self.__class__.__name__}({', '.join([name, *options])})"
