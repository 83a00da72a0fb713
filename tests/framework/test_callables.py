"""Sync or async, function or application: what a callable is taken for."""

from __future__ import annotations

import functools
from typing import Any
from unittest import mock

import pytest

from framework._callables import (
    get_name,
    get_qualified_name,
    is_async_callable,
    is_handler_function,
    unwrap_partial,
)


def sync() -> None: ...


async def coroutine() -> None: ...


async def generator() -> Any:
    yield 1


class Sync:
    def __call__(self) -> None: ...

    def method(self) -> None: ...

    async def coroutine(self) -> None: ...


class Async:
    async def __call__(self) -> None: ...


CALLABLES: list[tuple[Any, bool, bool]] = [
    (sync, False, True),
    (coroutine, True, True),
    (generator, False, True),
    (lambda: None, False, True),
    (functools.partial(sync), False, True),
    (functools.partial(functools.partial(coroutine)), True, True),
    (Sync, False, False),
    (Sync(), False, False),
    (Sync().method, False, True),
    (Sync().coroutine, True, True),
    (Async(), True, False),
    (functools.partial(Async()), True, False),
    (print, False, False),
    (mock.create_autospec(coroutine), True, True),
    (mock.create_autospec(sync), False, True),
    (mock.AsyncMock(), True, False),
    (mock.MagicMock(), False, False),
]


@pytest.mark.parametrize(("func", "is_async", "is_handler"), CALLABLES)
def test_a_callable_is_known(func: Any, is_async: bool, is_handler: bool) -> None:
    assert is_async_callable(func) is is_async
    assert is_handler_function(func) is is_handler


def test_what_cannot_be_called_is_not_async() -> None:
    assert not is_async_callable(None)


def test_partials_are_unwrapped() -> None:
    assert unwrap_partial(functools.partial(functools.partial(print, 1), 2)) is print
    assert unwrap_partial(sync) is sync


def test_names_are_those_of_functions_and_classes() -> None:
    assert get_name(sync) == "sync"
    assert get_name(Sync) == "Sync"
    assert get_name(Sync()) == "Sync"
    assert get_name(functools.partial(sync)) == "partial"


def test_qualified_names_tell_what_is_called_in_the_end() -> None:
    assert get_qualified_name(functools.partial(functools.partial(sync))).endswith(".sync")
    assert get_qualified_name(Sync().method) == f"{__name__}.Sync.method"
    assert get_qualified_name(Sync()) == get_qualified_name(Sync) == f"{__name__}.Sync"
    assert get_qualified_name(print) == "builtins.print"
    assert get_qualified_name([].append) == "list.append"
