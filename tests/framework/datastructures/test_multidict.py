"""Multi-dicts keep every value and show the last one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st
from starlette import datastructures as starlette

from framework.datastructures import FormData, ImmutableMultiDict, MultiDict, QueryParams

ITEMS = [("a", 1), ("b", 2), ("a", 3)]


@pytest.mark.parametrize("factory", [ImmutableMultiDict, MultiDict])
def test_the_last_value_is_shown_and_all_are_kept(factory: Any) -> None:
    values = factory(ITEMS)
    assert values["a"] == values.get("a") == 3
    assert values.getlist("a") == [1, 3]
    assert values.multi_items() == ITEMS
    assert list(values) == list(values.keys()) == ["a", "b"]
    assert list(values.values()) == [3, 2]
    assert dict(values) == dict(values.items()) == {"a": 3, "b": 2}
    assert len(values) == 2
    assert "a" in values
    assert "c" not in values
    assert values.get("c") is None
    assert values.get("c", default=0) == values.get("c", 0) == 0
    assert values.getlist("c") == []
    assert repr(values) == f"{factory.__name__}({ITEMS!r})"
    with pytest.raises(KeyError, match="'c'"):
        values["c"]
    assert not hasattr(values, "__dict__")


@pytest.mark.parametrize(
    ("arguments", "keywords", "items"),
    [
        ((), {}, []),
        (([],), {}, []),
        ((None,), {}, []),
        ((ITEMS,), {}, ITEMS),
        ((iter(ITEMS),), {}, ITEMS),
        (({"a": 1, "b": 2},), {}, [("a", 1), ("b", 2)]),
        ((MultiDict(ITEMS),), {}, ITEMS),
        ((), {"a": 1}, [("a", 1)]),
        ((ITEMS,), {"a": 4, "c": 5}, [*ITEMS, ("a", 4), ("c", 5)]),
    ],
)
def test_sources(arguments: Any, keywords: Any, items: list[tuple[str, int]]) -> None:
    assert ImmutableMultiDict(*arguments, **keywords).multi_items() == items


@pytest.mark.parametrize("factory", [ImmutableMultiDict, MultiDict, QueryParams, FormData])
def test_two_sources_are_refused(factory: Any) -> None:
    with pytest.raises(TypeError, match="2 are given"):
        factory([], [])


def test_a_source_is_not_changed() -> None:
    source = list(ITEMS)
    values = MultiDict(source, c=1)
    values.append("d", 2)
    values.pop("a")
    assert source == ITEMS
    other = MultiDict(values)
    other.clear()
    assert values.multi_items() == [("b", 2), ("c", 1), ("d", 2)]


def test_the_order_of_keys_does_not_count_for_equality_and_that_of_values_does() -> None:
    assert MultiDict([("a", 1), ("b", 2), ("a", 3)]) == MultiDict([("b", 2), ("a", 1), ("a", 3)])
    assert MultiDict([("a", 1), ("a", 3)]) != MultiDict([("a", 3), ("a", 1)])
    assert MultiDict([("a", 1)]) != MultiDict([("a", 1), ("a", 1)])
    assert MultiDict({"a": 1}) != {"a": 1}
    assert MultiDict({"a": 1}) != ImmutableMultiDict({"a": 1})


def test_keys_of_different_types_can_be_compared() -> None:
    assert MultiDict([(1, "a"), ("b", 2)]) == MultiDict([("b", 2), (1, "a")])


def test_a_copy_is_independent() -> None:
    values = MultiDict(ITEMS)
    deep = copy.deepcopy(values)
    deep.append("a", 9)
    assert values.multi_items() == ITEMS


def test_deleting_a_missing_key_is_a_key_error_and_popping_it_is_not() -> None:
    values = MultiDict(ITEMS)
    with pytest.raises(KeyError):
        del values["c"]
    assert values.pop("c") is None
    assert values.pop("c", 7) == 7
    assert values.poplist("c") == []
    values.clear()
    with pytest.raises(KeyError):
        values.popitem()


def test_setting_an_empty_list_removes_the_key() -> None:
    values = MultiDict(ITEMS)
    values.setlist("a", [])
    values.setlist("c", [])
    assert values.multi_items() == list(values.items()) == [("b", 2)]


KEYS = st.sampled_from("abc")
PAIRS = st.lists(st.tuples(KEYS, st.integers(0, 9)), max_size=6)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "set",
                "delete",
                "pop",
                "popitem",
                "poplist",
                "clear",
                "setdefault",
                "setlist",
                "append",
                "update",
                "kwargs",
            ]
        ),
        KEYS,
        PAIRS,
    ),
    max_size=15,
)


def _apply(values: Any, operation: str, key: str, pairs: list[tuple[str, int]]) -> object:
    numbers = [number for _, number in pairs]
    try:
        match operation:
            case "set":
                values[key] = len(pairs)
            case "delete":
                del values[key]
            case "append" | "setdefault":
                return getattr(values, operation)(key, len(pairs))
            case "setlist":
                values.setlist(key, numbers)
            case "update":
                values.update(pairs)
            case "kwargs":
                values.update(type(values)(pairs), **{key: 1})
            case "popitem" | "clear":
                return getattr(values, operation)()
            case _:
                return getattr(values, operation)(key)
    except KeyError as exc:
        return repr(exc)
    return None


@given(PAIRS, OPERATIONS)
def test_any_sequence_of_changes_ends_as_in_starlette(
    pairs: list[tuple[str, int]], steps: list[tuple[str, str, list[tuple[str, int]]]]
) -> None:
    ours, theirs = MultiDict(pairs), starlette.MultiDict(pairs)
    for step in steps:
        assert _apply(ours, *step) == _apply(theirs, *step)
        assert ours.multi_items() == theirs.multi_items()
        assert list(ours.items()) == list(theirs.items())


@given(PAIRS, PAIRS)
def test_equal_is_what_starlette_calls_equal(
    one: list[tuple[str, int]], two: list[tuple[str, int]]
) -> None:
    expected = starlette.MultiDict(one) == starlette.MultiDict(two)
    assert (MultiDict(one) == MultiDict(two)) == expected
