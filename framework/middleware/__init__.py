"""`Middleware`: a middleware class and its options, kept until the stack is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any, ParamSpec, Protocol

from framework.types import ASGIApp

__all__ = ["Middleware"]

P = ParamSpec("P")


class _MiddlewareFactory(Protocol[P]):
    def __call__(self, app: ASGIApp, /, *args: P.args, **kwargs: P.kwargs) -> ASGIApp: ...


class Middleware:
    """One layer of a stack: the factory (usually a class) and what it is called with after the app."""

    def __init__(self, cls: _MiddlewareFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs

    def __iter__(self) -> Iterator[Any]:
        return iter((self.cls, self.args, self.kwargs))

    def __repr__(self) -> str:
        name = getattr(self.cls, "__name__", repr(self.cls))
        named = zip(chain(_list_parameters(self.cls), repeat("")), self.args, strict=False)
        options = [_describe(key, value) for key, value in named]
        options += [f"{key}={_describe(key, value)}" for key, value in self.kwargs.items()]
        return f"{self.__class__.__name__}({', '.join([name, *options])})"


def _describe(name: str, value: object) -> str:
    # A key that is no `Secret` must not reach a log by way of the stack it is used in.
    return "'**********'" if "secret" in name else repr(value)


def _list_parameters(factory: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters behind the application; none where nobody can tell."""
    try:
        return list(inspect.signature(factory).parameters)[1:]
    except (TypeError, ValueError):
        return []
