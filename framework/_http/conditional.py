"""Validators of a file and the conditions on them (RFC 9110 sections 8.8 and 13)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from framework._http.dates import format_date, parse_date

try:
    # `hashlib` loads OpenSSL first, which is a 25th of all the time that an import takes.
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5

_MAX_FILES: Final = 1024

# An entity tag, without the mark of a weak one (RFC 9110 section 8.8.3).
_TAG: Final = re.compile(r'"[^"]*"')


@lru_cache(maxsize=_MAX_FILES)
def build_validators(modified: float, size: int) -> tuple[str, str]:
    """Return `ETag` and `Last-Modified` of a file; the tag is a strong one.

    PERF: saves a digest and the formatting of a date for files that are asked for again. The result
    depends on nothing but the arguments.

    Args:
        modified: when it was changed last, in seconds since the epoch, as `st_mtime` has it.
        size: in bytes.
    """
    digest = md5(f"{modified}-{size}".encode(), usedforsecurity=False).hexdigest()
    return f'"{digest}"', format_date(modified)


def allows_range(if_range: str | None, etag: str | None, last_modified: str | None) -> bool:
    """Say whether `If-Range` lets a `Range` field stand (RFC 9110 section 13.1.5).

    The tag is compared strongly: a weak one, on either side, allows nothing. A date has to be the very
    text that was sent.
    """
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return if_range == etag
    return not if_range.startswith("W/") and if_range == last_modified


def is_unchanged(
    if_none_match: str | None,
    if_modified_since: str | None,
    etag: str | None,
    last_modified: str | None,
) -> bool:
    """Say whether a client has what GET or HEAD would send: 304 (RFC 9110 section 13.2.2).

    Tags are compared weakly. With `If-None-Match` the date does not count; a date that cannot be read
    is ignored.
    """
    if if_none_match:
        if if_none_match.strip() == "*":
            return True
        return etag is not None and etag.removeprefix("W/") in _TAG.findall(if_none_match)
    since = None if if_modified_since is None else parse_date(if_modified_since)
    modified = None if last_modified is None else parse_date(last_modified)
    return since is not None and modified is not None and since >= modified
