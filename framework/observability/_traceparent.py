"""The header fields of W3C Trace Context, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MAX_STATE_CHARACTERS: Final = 512
_MAX_STATE_MEMBERS: Final = 32

# A version above 00 may have more behind a further hyphen; ff is none.
_match_parent: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}"
    rb"-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?P<more>-[\x20-\x7e]*)?"
).fullmatch
_match_member: Final = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
).fullmatch


def parse_traceparent(value: bytes) -> tuple[str, str, int] | None:
    """Return trace id, id of the caller's span and flags; None when the field is not valid.

    W3C Trace Context, section 3.2: lower-case hexadecimal digits, no id of zeros, no version ff.
    """
    match = _match_parent(value)
    if match is None or (value.startswith(b"00") and match["more"] is not None):
        return None
    return match[1].decode(), match[2].decode(), int(match[3], 16)


def parse_tracestate(values: Iterable[bytes]) -> str | None:
    """Return the fields joined to one, None when there is nothing in them that may be handed on.

    W3C Trace Context, section 3.3: at most 32 members with different keys; at most 512 characters.
    """
    text = b",".join(values).decode("latin-1")
    if len(text) > _MAX_STATE_CHARACTERS:
        return None
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MAX_STATE_MEMBERS or len(keys) < len(members):
        return None
    return ",".join(members) or None if all(map(_match_member, members)) else None
