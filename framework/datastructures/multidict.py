"""Dictionaries whose keys may have several values: query parameters, forms."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar, overload
from urllib.parse import urlencode

from framework._http.queries import parse_query

__all__ = ["ImmutableMultiDict", "MultiDict", "QueryParams"]

_K = TypeVar("_K")
_V_co = TypeVar("_V_co", covariant=True)
_T = TypeVar("_T")


class ImmutableMultiDict(Mapping[_K, _V_co]):
    """A mapping that keeps every value of a key, and shows the last one where it shows one.

    Args:
        *args: nothing, or one mapping, multi-dict or iterable of pairs.
        **kwargs: further items.
    """

    __slots__ = ("_dict", "_list")

    _dict: dict[_K, _V_co]
    _list: list[tuple[_K, _V_co]]

    def __init__(
        self,
        *args: ImmutableMultiDict[_K, _V_co] | Mapping[_K, _V_co] | Iterable[tuple[_K, _V_co]],
        **kwargs: Any,
    ) -> None:
        self._list = _read_items(_take_source(args), kwargs)
        self._dict = dict(self._list)

    @overload
    def get(self, key: _K) -> _V_co | None: ...
    @overload
    def get(self, key: _K, default: _V_co | _T) -> _V_co | _T: ...
    def get(self, key: _K, default: Any = None) -> Any:
        """Return the last value of the key, `default` when it has none."""
        return self._dict.get(key, default)

    def getlist(self, key: Any) -> list[_V_co]:
        """Return all values of the key, in order."""
        return [value for name, value in self._list if name == key]

    def keys(self) -> KeysView[_K]:
        """Return the different keys."""
        return self._dict.keys()

    def values(self) -> ValuesView[_V_co]:
        """Return the last value of each key."""
        return self._dict.values()

    def items(self) -> ItemsView[_K, _V_co]:
        """Return each key with its last value."""
        return self._dict.items()

    def multi_items(self) -> list[tuple[_K, _V_co]]:
        """Return all keys and values, in order."""
        return list(self._list)

    def __getitem__(self, key: _K) -> _V_co:
        return self._dict[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[_K]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __eq__(self, other: object) -> bool:
        """Compare the values of each key in order; the order of the keys does not count."""
        if not isinstance(other, self.__class__):
            return False
        return _group(self._list) == _group(other._list)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.multi_items()!r})"


def _take_source(args: tuple[Any, ...]) -> Any:
    if len(args) > 1:
        raise TypeError(f"one source of items is taken, {len(args)} are given: {args!r}")
    return args[0] if args else None


def _read_items(source: Any, extra: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return all items of a multi-dict, a mapping or an iterable of pairs, then the extra ones."""
    if not source:
        items = []
    elif hasattr(source, "multi_items"):
        items = list(source.multi_items())
    elif hasattr(source, "items"):
        items = list(source.items())
    else:
        items = list(source)
    items.extend(extra.items())
    return items


def _group(items: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in items:
        groups.setdefault(key, []).append(value)
    return groups


class MultiDict(ImmutableMultiDict[Any, Any]):
    """A multi-dict that can be changed."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.setlist(key, [value])

    def __delitem__(self, key: Any) -> None:
        del self._dict[key]
        self._drop(key)

    def _drop(self, key: Any) -> None:
        self._list = [item for item in self._list if item[0] != key]

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove all values of the key; return the last one, `default` when it had none."""
        self._drop(key)
        return self._dict.pop(key, default)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the newest key with all its values; return it and its last value."""
        key, value = self._dict.popitem()
        self._drop(key)
        return key, value

    def poplist(self, key: Any) -> list[Any]:
        """Remove and return all values of the key."""
        values = self.getlist(key)
        self.pop(key)
        return values

    def clear(self) -> None:
        """Remove everything."""
        self._dict.clear()
        self._list.clear()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the last value of the key, which gets `default` when it has none."""
        if key not in self._dict:
            self.append(key, default)
        return self._dict[key]

    def setlist(self, key: Any, values: list[Any]) -> None:
        """Give the key these values and no other; without values the key is removed."""
        self._drop(key)
        if values:
            self._list.extend((key, value) for value in values)
            self._dict[key] = values[-1]
        else:
            self._dict.pop(key, None)

    def append(self, key: Any, value: Any) -> None:
        """Add a value to those of the key."""
        self._list.append((key, value))
        self._dict[key] = value

    def update(
        self, *args: MultiDict | Mapping[Any, Any] | list[tuple[Any, Any]], **kwargs: Any
    ) -> None:
        """Give each key of the argument, which is anything that makes a multi-dict, its new values."""
        new = MultiDict(*args, **kwargs)
        self._list = [item for item in self._list if item[0] not in new._dict] + new._list
        self._dict.update(new._dict)


class QueryParams(ImmutableMultiDict[str, str]):
    """The parameters of a query string.

    Args:
        *args: nothing, or one query string (text, or bytes as in an ASGI scope), mapping, multi-dict or
            iterable of pairs. Any query string is taken: see `parse_query`.
        **kwargs: further parameters.
    """

    __slots__ = ()

    def __init__(
        self,
        *args: ImmutableMultiDict[Any, Any]
        | Mapping[Any, Any]
        | list[tuple[Any, Any]]
        | str
        | bytes,
        **kwargs: Any,
    ) -> None:
        source = args[0] if len(args) == 1 else _take_source(args)
        if isinstance(source, bytes):
            source = source.decode("latin-1")
        if isinstance(source, str):
            self._list = parse_query(source)
            source = None
        else:
            self._list = []
        if source or kwargs:
            items = _read_items(source, kwargs)
            self._list.extend((str(key), str(value)) for key, value in items)
        self._dict = dict(self._list)

    def __str__(self) -> str:
        return urlencode(self._list)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({str(self)!r})"
