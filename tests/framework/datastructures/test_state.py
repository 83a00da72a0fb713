"""`State` is its dictionary, by attribute and by item."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import State as StarletteState

from framework.datastructures import State


def test_attributes_and_items_are_the_same_values() -> None:
    state = State()
    state.pool = "pool"
    state["size"] = 3
    assert state["pool"] == "pool"
    assert state.size == 3
    assert list(state) == ["pool", "size"]
    assert len(state) == 2
    assert "pool" in state
    del state.pool
    del state["size"]
    assert len(state) == 0
    assert not state


def test_changes_go_into_the_given_dictionary_and_its_changes_are_seen() -> None:
    values: dict[str, Any] = {"a": 1}
    state = State(values)
    state.b = 2
    values["c"] = 3
    assert values == {"a": 1, "b": 2, "c": 3}
    assert state.c == 3
    assert state._state is values


def test_two_states_of_one_dictionary_share_it_and_others_share_nothing() -> None:
    values: dict[str, Any] = {}
    one, two, other = State(values), State(values), State()
    one.a = 1
    assert two.a == 1
    assert not hasattr(other, "a")


def test_a_missing_name_is_an_attribute_error_or_a_key_error() -> None:
    state = State()
    with pytest.raises(AttributeError, match="'State' object has no attribute 'pool'"):
        _ = state.pool
    with pytest.raises(AttributeError):
        del state.pool
    with pytest.raises(KeyError):
        _ = state["pool"]
    with pytest.raises(KeyError):
        del state["pool"]
    assert getattr(state, "pool", None) is None


def test_a_copy_has_a_dictionary_of_its_own_and_pickling_keeps_the_values() -> None:
    state = State({"a": [1]})
    shallow, deep, pickled = (
        copy.copy(state),
        copy.deepcopy(state),
        pickle.loads(pickle.dumps(state)),
    )
    shallow.b = 2
    assert not hasattr(state, "b")
    assert shallow.a is state.a
    assert deep.a == pickled.a == [1]
    assert deep.a is not state.a


def test_a_subclass_can_declare_defaults_and_properties() -> None:
    class Typed(State):
        limit: int = 10

        @property
        def double(self) -> int:
            return self.limit * 2

    state = Typed()
    assert state.double == 20
    state.limit = 4
    assert state.double == 8
    assert list(state) == ["limit"]


NAMES = st.sampled_from(["a", "b", "_state", "x y", "é"])
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["setattr", "getattr", "set", "get", "del"]), NAMES, st.integers())
)


def _apply(state: Any, operation: str, name: str, value: int) -> object:
    try:
        match operation:
            case "setattr":
                setattr(state, name, value)
            case "getattr":
                return getattr(state, name)
            case "set":
                state[name] = value
            case "get":
                return state[name]
            case _:
                del state[name]
    except (AttributeError, KeyError) as exc:
        return type(exc)
    return None


@given(OPERATIONS.map(lambda steps: [step for step in steps if step[1] != "_state"]))
def test_any_sequence_of_operations_ends_as_in_starlette(
    steps: list[tuple[str, str, int]],
) -> None:
    ours, theirs = State(), StarletteState()
    for step in steps:
        assert _apply(ours, *step) == _apply(theirs, *step)
    assert dict(ours._state) == theirs._state
    assert list(ours) == list(theirs)
