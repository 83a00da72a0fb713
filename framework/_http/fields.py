"""Header fields (RFC 9110 section 5): from text to the checked bytes of an ASGI message."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_MAX_KEYS: Final = 1024
_MAX_KEY_CHARACTERS: Final = 64


class _FieldKeys(dict[str, bytes]):
    """Field names as people write them -> as ASGI has them: lower case, latin-1.

    PERF: saves `lower()` and `encode()` on every header lookup. An entry depends on nothing but its
    name; number and length are capped, so names that clients choose cannot fill memory.
    """

    __slots__ = ()

    def __missing__(self, name: str) -> bytes:
        # What latin-1 does not have becomes a backslash, which is in no field name: not found.
        key = name.lower().encode("latin-1", "backslashreplace")
        if len(self) < _MAX_KEYS and len(name) <= _MAX_KEY_CHARACTERS:
            self[name] = key
        return key


FIELD_KEYS: Final = _FieldKeys()


@lru_cache(maxsize=_MAX_KEYS)
def encode_field_name(name: object) -> bytes:
    """Return a field name in lower case.

    Raises:
        TypeError: it is not text.
        ValueError: it is not a token (RFC 9110 section 5.6.2).
    """
    if not isinstance(name, str):
        raise TypeError(f"header name {name!r} is not text: pass a str")
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"header name {name!r} is not a token: use letters, digits and hyphens (RFC 9110)"
        )
    return name.lower().encode("ascii")


def encode_field_value(value: object) -> bytes:
    """Return a field value as latin-1 bytes.

    Raises:
        TypeError: it is not text.
        ValueError: it holds CR, LF, NUL or another control character but tab (RFC 9110 section
            5.5), which could start a new field or a new response; or it is not latin-1.
    """
    if not isinstance(value, str):
        raise TypeError(f"header value {value!r} is not text: pass str(...) of it")
    # PERF: most values are printable, and asking that is cheaper than searching.
    if not value.isprintable() and _CONTROL.search(value):
        raise ValueError(f"header value {value!r} holds a control character: remove or encode it")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            f"header value {value!r} is not latin-1: percent-encode it (RFC 8187)"
        ) from None


def encode_field(name: object, value: object) -> tuple[bytes, bytes]:
    """Return a field as an ASGI message has it. Raises as the two functions above."""
    return encode_field_name(name), encode_field_value(value)
