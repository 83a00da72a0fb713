"""Header fields: lookups in any case, sources left alone, everything set is checked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, strategies as st
from starlette import datastructures as starlette

from framework.datastructures import Headers, MutableHeaders

RAW = [(b"a", b"1"), (b"content-type", b"text/plain"), (b"a", b"2"), (b"x-caf\xe9", b"caf\xe9")]
# More lookups than are made before an index is built.
MANY = 12


@pytest.mark.parametrize("factory", [Headers, MutableHeaders])
def test_a_name_is_found_in_any_case_and_its_first_value_counts(factory: type[Headers]) -> None:
    headers = factory(raw=list(RAW))
    for _ in range(MANY):
        assert headers["A"] == headers.get("a") == "1"
        assert headers.getlist("A") == ["1", "2"]
        assert headers.getlist("Content-Type") == ["text/plain"]
        assert headers["X-CAF\xc9"] == "caf\xe9"
        assert "CONTENT-type" in headers
        assert headers.get("b") is None
        assert headers.get("b", default="none") == headers.get("b", "none") == "none"
        assert headers.getlist("b") == []
        assert "b" not in headers
        with pytest.raises(KeyError, match="'B'"):
            headers["B"]


def test_headers_without_a_repeated_name_are_found_with_and_without_an_index() -> None:
    headers = Headers({"A": "1", "B": "2"})
    for _ in range(MANY):
        assert (headers.getlist("a"), headers.getlist("b")) == (["1"], ["2"])
        assert headers.getlist("c") == []


def test_keys_values_and_items_repeat_what_is_repeated() -> None:
    headers = Headers(raw=RAW)
    assert headers.keys() == list(headers) == ["a", "content-type", "a", "x-caf\xe9"]
    assert headers.values() == ["1", "text/plain", "2", "caf\xe9"]
    assert headers.items() == list(zip(headers.keys(), headers.values(), strict=True))
    assert len(headers) == 4
    assert not Headers()


def test_the_representation_shows_what_makes_an_equal_object() -> None:
    assert repr(Headers({"A": "1"})) == "Headers({'a': '1'})"
    assert repr(MutableHeaders()) == "MutableHeaders({})"
    assert repr(Headers(raw=[(b"a", b"1"), (b"a", b"2")])) == (
        "Headers(raw=[(b'a', b'1'), (b'a', b'2')])"
    )


def test_the_order_does_not_count_for_equality() -> None:
    assert Headers(raw=RAW) == MutableHeaders(raw=RAW[::-1])
    assert Headers(raw=RAW) != Headers(raw=RAW[:2])
    assert Headers({"a": "1"}) != {"a": "1"}


def test_a_name_outside_latin_1_is_missing_instead_of_an_error() -> None:
    headers = Headers(raw=[*RAW, (b"?", b"1")])
    assert "→" not in headers
    assert headers.get("→") is None
    assert headers.getlist("→") == []
    with pytest.raises(KeyError):
        headers["→"]


@pytest.mark.parametrize("factory", [Headers, MutableHeaders])
def test_later_changes_of_a_given_list_are_seen(factory: type[Headers]) -> None:
    raw = list(RAW)
    headers = factory(raw=raw)
    for _ in range(MANY):
        assert headers["a"] == "1"
    raw[0] = (b"a", b"changed")
    assert headers["a"] == "changed"
    raw.append((b"new", b"1"))
    assert "new" in headers
    raw.clear()
    assert "a" not in headers


@pytest.mark.parametrize("source", [list, tuple])
def test_a_scope_is_not_changed_by_reading_it(source: type) -> None:
    fields = source(RAW)
    scope: dict[str, Any] = {"headers": fields}
    assert Headers(scope=scope).items() == Headers(raw=RAW).items()
    assert scope == {"headers": fields}
    assert scope["headers"] is fields


def test_an_iterator_of_a_scope_can_be_read_again() -> None:
    scope: dict[str, Any] = {"headers": iter(RAW)}
    assert Headers(scope=scope) == Headers(raw=RAW)
    assert Headers(scope=scope) == Headers(raw=RAW)


def test_a_message_without_headers_has_none() -> None:
    message: dict[str, Any] = {"type": "http.response.start"}
    assert len(Headers(scope=message)) == 0
    assert "headers" not in message


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {}, "raw": []},
        {"headers": {}, "scope": {"headers": []}},
        {"raw": [], "scope": {"headers": []}},
    ],
)
def test_two_sources_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="alternatives"):
        Headers(**arguments)


def test_raw_of_immutable_headers_is_a_copy() -> None:
    headers = Headers(raw=RAW)
    headers.raw.clear()
    assert headers.raw == RAW
    assert not hasattr(headers, "__dict__")


@pytest.mark.parametrize("factory", [Headers, MutableHeaders])
def test_headers_can_be_copied_and_pickled(factory: type[Headers]) -> None:
    headers = factory(raw=list(RAW))
    for _ in range(MANY):
        assert headers["a"] == "1"
    for other in (copy.copy(headers), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        assert other == headers
        assert other["a"] == "1"


def test_a_mutable_copy_is_independent() -> None:
    headers = Headers(raw=RAW)
    changed = headers.mutablecopy()
    changed["a"] = "3"
    assert headers.getlist("a") == ["1", "2"]
    assert changed.getlist("a") == ["3"]


def test_changes_go_into_the_given_list() -> None:
    raw = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    headers = MutableHeaders(raw=raw)
    headers["A"] = "new"
    headers.append("C", "4")
    del headers["b"]
    assert raw == [(b"a", b"new"), (b"c", b"4")]
    assert headers.raw is raw


@pytest.mark.parametrize("fields", [[(b"a", b"1")], ((b"a", b"1"),), iter([(b"a", b"1")])])
def test_changes_of_a_message_are_sent_whatever_its_headers_are(fields: Any) -> None:
    message: dict[str, Any] = {"headers": fields}
    MutableHeaders(scope=message).append("b", "2")
    MutableHeaders(scope=message)["c"] = "3"
    assert message["headers"] == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]


def test_changes_of_a_message_without_headers_are_sent() -> None:
    message: dict[str, Any] = {}
    MutableHeaders(scope=message)["a"] = "1"
    assert message == {"headers": [(b"a", b"1")]}


def test_changing_a_message_leaves_a_list_that_others_share_alone() -> None:
    shared = [(b"a", b"1")]
    MutableHeaders(scope={"headers": shared})["a"] = "2"
    assert shared == [(b"a", b"1")]


def test_lookups_between_changes_see_the_changes() -> None:
    headers = MutableHeaders()
    for number in range(MANY):
        headers["n"] = str(number)
        assert headers["n"] == str(number)
        assert headers.getlist("n") == [str(number)]
        del headers["n"]
        assert "n" not in headers


SETTERS = [
    pytest.param(lambda headers, name, value: headers.__setitem__(name, value), id="setitem"),
    pytest.param(lambda headers, name, value: headers.append(name, value), id="append"),
    pytest.param(lambda headers, name, value: headers.setdefault(name, value), id="setdefault"),
    pytest.param(lambda headers, name, value: headers.update({name: value}), id="update"),
    pytest.param(lambda headers, name, value: headers.__ior__({name: value}), id="ior"),
    pytest.param(lambda headers, name, value: headers | {name: value}, id="or"),
    pytest.param(lambda headers, name, value: MutableHeaders({name: value}), id="init"),
    pytest.param(lambda headers, name, value: Headers({name: value}), id="immutable"),
]


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("location", "/\r\nSet-Cookie: a=b"),
        ("location", "/\n"),
        ("location", "\r"),
        ("location", "a\0b"),
        ("location", "→"),
        ("x\r\ny", "1"),
        ("x y", "1"),
        ("x:", "1"),
        ("", "1"),
        ("→", "1"),
    ],
)
def test_every_way_of_setting_a_field_refuses_what_would_split_the_response(
    setter: Any, name: str, value: str
) -> None:
    headers = MutableHeaders()
    with pytest.raises(ValueError) as raised:
        setter(headers, name, value)
    assert repr(value) in str(raised.value) or repr(name) in str(raised.value)
    assert headers.raw == []


@pytest.mark.parametrize("setter", SETTERS)
def test_every_way_of_setting_a_field_refuses_what_is_no_text(setter: Any) -> None:
    with pytest.raises(TypeError, match="17"):
        setter(MutableHeaders(), "content-length", 17)


def test_add_vary_header_is_refused_like_any_other() -> None:
    headers = MutableHeaders({"vary": "a"})
    with pytest.raises(ValueError, match="control"):
        headers.add_vary_header("b\nc: d")
    assert headers["vary"] == "a"


@pytest.mark.parametrize("other", [[("a", "1")], "a", None])
def test_only_mappings_are_merged(other: Any) -> None:
    headers = MutableHeaders()
    with pytest.raises(TypeError, match="mapping"):
        headers |= other
    with pytest.raises(TypeError, match="mapping"):
        _ = headers | other


NAMES = st.sampled_from(["a", "A", "b", "Content-Type", "vary", "x-caf"])
VALUES = st.text(alphabet="ab ,\xe9\t", max_size=5)
FIELDS = st.lists(st.tuples(NAMES.map(lambda n: n.lower().encode()), VALUES.map(lambda v: v.encode("latin-1"))))  # fmt: skip


@given(FIELDS, st.lists(NAMES, min_size=1, max_size=10))
def test_lookups_answer_as_starlettes(raw: list[tuple[bytes, bytes]], names: list[str]) -> None:
    ours, theirs = Headers(raw=raw), starlette.Headers(raw=raw)
    for name in names:
        assert ours.get(name) == theirs.get(name)
        assert ours.getlist(name) == theirs.getlist(name)
        assert (name in ours) == (name in theirs)
    assert repr(ours) == repr(theirs)
    assert ours.items() == theirs.items()


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "append", "setdefault", "vary", "ior", "or", "get"]),
        NAMES,
        VALUES,
    ),
    max_size=20,
)


def _apply(headers: Any, operation: str, name: str, value: str) -> object:
    merged: Mapping[str, str] = {name: value, "b": "merged"}
    match operation:
        case "set":
            headers[name] = value
        case "delete":
            del headers[name]
        case "append":
            headers.append(name, value)
        case "setdefault":
            return headers.setdefault(name, value)
        case "vary":
            headers.add_vary_header(value)
        case "ior":
            headers |= merged
        case "or":
            return (headers | merged).raw
        case _:
            return headers.get(name)
    return None


@given(FIELDS, OPERATIONS)
def test_any_sequence_of_changes_ends_as_in_starlette(
    raw: list[tuple[bytes, bytes]], steps: list[tuple[str, str, str]]
) -> None:
    ours, theirs = MutableHeaders(raw=list(raw)), starlette.MutableHeaders(raw=list(raw))
    for step in steps:
        assert _apply(ours, *step) == _apply(theirs, *step)
        assert ours.raw == theirs.raw
    assert repr(ours) == repr(theirs)


@given(FIELDS)
def test_a_mapping_makes_the_same_headers_as_starlettes(raw: list[tuple[bytes, bytes]]) -> None:
    mapping = {name.decode().title(): value.decode("latin-1") for name, value in raw}
    assert Headers(mapping).raw == starlette.Headers(mapping).raw
    assert Headers(Headers(raw=raw)).raw == raw
