"""What a callable is: sync or async, a function or an ASGI application, and what it is called."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType, MethodType
from typing import Any, TypeGuard, TypeVar

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def unwrap_partial(func: Any) -> Any:
    """Return the callable below any number of `functools.partial` layers."""
    while isinstance(func, functools.partial):
        func = func.func
    return func


def is_async_callable(func: Any) -> TypeGuard[Callable[..., Awaitable[Any]]]:
    """Tell whether calling `func` gives something to await (partials and callable objects included)."""
    # PERF: `inspect` takes a microsecond; nearly always this is a plain coroutine function.
    if type(func) is FunctionType and func.__code__.co_flags & inspect.CO_COROUTINE:
        return True
    func = unwrap_partial(func)
    if _is_coroutine_function(func):
        return True
    return callable(func) and _is_coroutine_function(getattr(func, "__call__", None))  # noqa: B004


def _is_coroutine_function(func: Any) -> bool:
    # Mocks and libraries mark what returns a coroutine; `inspect` knows of that since Python 3.12 only.
    return inspect.iscoroutinefunction(func) or type(getattr(func, "_is_coroutine", None)) is object


if sys.version_info >= (3, 12):
    mark_coroutine_function = inspect.markcoroutinefunction
else:

    def mark_coroutine_function(func: FunctionT) -> FunctionT:
        """Mark a function that returns a coroutine as a coroutine function: mocks and wrappers ask."""
        func._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001
        return func


def is_handler_function(endpoint: Any) -> bool:
    """Tell whether `endpoint` is a function of the request; anything else is an ASGI application."""
    endpoint = unwrap_partial(endpoint)
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)


def get_name(endpoint: Callable[..., Any]) -> str:
    """Return the name by which a route to `endpoint` is known unless it is given one."""
    name: str = getattr(endpoint, "__name__", endpoint.__class__.__name__)
    return name


def get_qualified_name(func: Any) -> str:
    """Return module and qualified name of what `func` calls in the end: the same for each call of it."""
    func = unwrap_partial(func)
    if not hasattr(func, "__qualname__"):
        func = type(func)  # a callable object
    module = getattr(func, "__module__", None)  # None: a method of a built-in type
    return f"{module}.{func.__qualname__}" if module else func.__qualname__


def is_plain(method: object, function: object) -> bool:
    """Whether a bound method is the function it was written as: neither overridden nor patched."""
    # By exact type: the wrappers of `wrapt`, which tracing libraries use, show what they wrap.
    return type(method) is MethodType and method.__func__ is function
