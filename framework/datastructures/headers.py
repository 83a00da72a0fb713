"""`Headers` and `MutableHeaders`: the header fields of an ASGI scope or message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final, Self, TypeVar, overload

from framework._http.fields import FIELD_KEYS, encode_field

__all__ = ["Headers", "MutableHeaders"]

_T = TypeVar("_T")
RawHeaders = list[tuple[bytes, bytes]]

_SCANS_BEFORE_INDEX: Final = 5


class Headers(Mapping[str, str]):
    """Header fields by name, in any case; a name may occur more than once.

    At most one source; it is not changed, and later changes of a given list are seen.

    Args:
        headers: names and values as text; checked.
        raw: fields as ASGI has them: names in lower case, everything latin-1. Not copied.
        scope: an ASGI scope or message, whose `headers` are used; none when it has no such key.

    Raises:
        TypeError: more than one source, or a name or value that is not text.
        ValueError: a name that is not a token, or a value with a control character.
    """

    __slots__ = ("_index", "_indexed", "_list", "_scans")

    _list: RawHeaders
    _scans: int  # lookups left that scan the list, before there is an index
    _index: dict[bytes, bytes]  # the first value of each name
    _indexed: RawHeaders | None  # the list as it was when it was indexed

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: RawHeaders | None = None,
        scope: MutableMapping[str, Any] | None = None,
    ) -> None:
        self._indexed = None
        self._scans = _SCANS_BEFORE_INDEX
        if raw is not None:
            self._list = raw
        elif scope is not None:
            self._list = self._read_scope(scope)
        elif headers is not None:
            self._list = [encode_field(name, value) for name, value in headers.items()]
            return
        else:
            self._list = []
            return
        if headers is not None or (raw is not None and scope is not None):
            raise TypeError("headers, raw and scope are alternatives: pass one of them")

    @staticmethod
    def _read_scope(scope: MutableMapping[str, Any]) -> RawHeaders:
        fields = scope.get("headers", ())
        if isinstance(fields, list):
            return fields
        if isinstance(fields, Iterator):
            # Reading an iterator empties it, so the scope keeps what was read.
            scope["headers"] = fields = list(fields)
            return fields
        return list(fields)

    @property
    def raw(self) -> RawHeaders:
        """A copy of the fields as ASGI has them."""
        return list(self._list)

    def keys(self) -> list[str]:  # type: ignore[override]
        """Return the names, repeated ones as often as they occur."""
        return [name.decode("latin-1") for name, _ in self._list]

    def values(self) -> list[str]:  # type: ignore[override]
        """Return the values in the order of the fields."""
        return [value.decode("latin-1") for _, value in self._list]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Return names and values in the order of the fields."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._list]

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: str | _T) -> str | _T: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of the first field with this name, `default` when there is none."""
        name = FIELD_KEYS[key]
        # PERF: the first lookups scan the list, further ones use an index: it costs as much as five
        # scans, and most requests have no sixth lookup. Comparing the list with the indexed copy runs
        # in C over identical tuples and keeps answers right when somebody changes the list.
        if self._scans:
            self._scans -= 1
            for field, value in self._list:
                if field == name:
                    return value.decode("latin-1")
            return default
        index = self._index if self._list == self._indexed else self._build_index()
        found = index.get(name)
        return default if found is None else found.decode("latin-1")

    def _build_index(self) -> dict[bytes, bytes]:
        self._indexed = self._list[:]
        # Reversed, because of several fields of one name the first one counts.
        self._index = dict(reversed(self._indexed))
        return self._index

    def getlist(self, key: str) -> list[str]:
        """Return the values of all fields with this name, in order."""
        name = FIELD_KEYS[key]
        if self._scans:
            self._scans -= 1
        else:
            index = self._index if self._list == self._indexed else self._build_index()
            if len(index) == len(self._list):  # no name occurs twice
                found = index.get(name)
                return [] if found is None else [found.decode("latin-1")]
        return [value.decode("latin-1") for field, value in self._list if field == name]

    def mutablecopy(self) -> MutableHeaders:
        """Return a copy that can be changed."""
        return MutableHeaders(raw=self._list[:])

    def __getitem__(self, key: str) -> str:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        name = FIELD_KEYS[key]
        if self._scans:
            self._scans -= 1
            for field, _ in self._list:  # noqa: SIM110  (a generator costs as much as the scan)
                if field == name:
                    return True
            return False
        return name in (self._index if self._list == self._indexed else self._build_index())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return False
        return sorted(self._list) == sorted(other._list)

    def __repr__(self) -> str:
        by_name = dict(self.items())
        if len(by_name) == len(self):
            return f"{self.__class__.__name__}({by_name!r})"
        return f"{self.__class__.__name__}(raw={self.raw!r})"


class MutableHeaders(Headers):
    """Header fields that can be changed. What is set is checked.

    With `raw` the given list itself is changed. With `scope` the message gets a list of its own, even
    when it had none, so that changes are sent and a list shared by many messages stays as it is.
    """

    __slots__ = ()

    @staticmethod
    def _read_scope(scope: MutableMapping[str, Any]) -> RawHeaders:
        fields: RawHeaders = list(scope.get("headers", ()))
        scope["headers"] = fields
        return fields

    @property
    def raw(self) -> RawHeaders:
        """The list of fields itself."""
        return self._list

    def __setitem__(self, key: str, value: str) -> None:
        """Set the field where its first one stands, or at the end; further ones are removed."""
        field = encode_field(key, value)
        for position, (name, _) in enumerate(self._list):
            if name == field[0]:
                self._list[position] = field
                rest = position + 1
                self._list[rest:] = [other for other in self._list[rest:] if other[0] != name]
                return
        self._list.append(field)

    def __delitem__(self, key: str) -> None:
        """Remove all fields with this name; there need not be one."""
        name = FIELD_KEYS[key]
        self._list[:] = [field for field in self._list if field[0] != name]

    def __ior__(self, other: Mapping[str, str]) -> Self:
        _check_mapping(other)
        self.update(other)
        return self

    def __or__(self, other: Mapping[str, str]) -> MutableHeaders:
        _check_mapping(other)
        result = self.mutablecopy()
        result.update(other)
        return result

    def setdefault(self, key: str, value: str) -> str:
        """Return the value of the field, which is set to `value` when there is none."""
        field = encode_field(key, value)
        present = self.get(key)
        if present is not None:
            return present
        self._list.append(field)
        return value

    def update(self, other: Mapping[str, str]) -> None:
        """Set each field of `other`."""
        for key, value in other.items():
            self[key] = value

    def append(self, key: str, value: str) -> None:
        """Add a field, whatever fields with this name there are."""
        self._list.append(encode_field(key, value))

    def add_vary_header(self, vary: str) -> None:
        """Add `vary` to the `Vary` field."""
        self["vary"] = ", ".join([*self.getlist("vary"), vary])


def _check_mapping(other: object) -> None:
    if not isinstance(other, Mapping):
        raise TypeError(f"headers are merged with a mapping, not with {other!r}")
