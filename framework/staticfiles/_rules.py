"""Rules about names and header fields of static files; nothing here touches a disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from framework._defaults import MAX_ACCEPT_ENCODING_CHARACTERS
from framework._http.fields import encode_field_value
from framework._http.negotiation import choose_coding

CacheRule = Callable[[str], str | None]

# The codings of siblings, best first among those that a client likes equally, and how they are named.
SUFFIXES: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

_IMMUTABLE: Final = "max-age=31536000, immutable"
# A part of a name that only a build tool makes: at least eight hexadecimal digits, of both kinds, so
# that neither a date nor a word is taken for a hash; then up to two extensions.
_HASHED: Final = re.compile(
    r".[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}(?:\.[0-9A-Za-z]{1,10}){1,2}\Z"
)
_SEPARATORS: Final = re.compile(r"[/\\]")

# No browser sends a longer `Accept`; one that is longer asks for no page.
_MAX_ACCEPT_CHARACTERS: Final = 1024
_REFUSED: Final = re.compile(r"q\s*=\s*0(?:\.0*)?")
_MAX_FIELDS: Final = 256


def is_hidden(path: str) -> bool:
    """Say whether a name in the path is none for the public: `.env`, `.git/config`, `a.txt~`, `#a#`.

    `.well-known` at the beginning is made for the public (RFC 8615).
    """
    for place, name in enumerate(_SEPARATORS.split(path)):
        if name.startswith("."):
            if name not in (".", "..") and (place or name != ".well-known"):
                return True
        elif name.endswith("~") or (name.startswith("#") and name.endswith("#")):
            return True
    return False


def may_be_page(path: str) -> bool:
    """Say whether a path may be one of an application in the browser: it names no file."""
    name = _SEPARATORS.split(path)[-1]
    return path == "." or not ("." in name or path.startswith("..") or is_hidden(path))


def is_hashed(name: str) -> bool:
    """Say whether a file has a hash of its content in its name: `app.3f2a91bc.js`, `app-3f2a91bc.js`."""
    return _HASHED.search(_SEPARATORS.split(name)[-1]) is not None


def build_cache_rule(cache_control: str | CacheRule | None) -> CacheRule | None:
    """Return what gives the `Cache-Control` of a name.

    Raises:
        ValueError: a text that can be no header value.
    """
    if not isinstance(cache_control, str):
        return cache_control
    encode_field_value(cache_control)
    directives = {part.strip().lower() for part in cache_control.split(",")}
    if "no-store" in directives:
        return lambda _: cache_control
    scope = "private" if "private" in directives else "public"
    return partial(_choose_policy, cache_control, f"{scope}, {_IMMUTABLE}")


def _choose_policy(usual: str, hashed: str, name: str) -> str:
    return hashed if is_hashed(name) else usual


def rank_codings(accept_encoding: str) -> tuple[str, ...]:
    """Return the codings of siblings to look for, best first; the file itself is the last resort."""
    if not accept_encoding or len(accept_encoding) > MAX_ACCEPT_ENCODING_CHARACTERS:
        return ()
    return _rank_codings(accept_encoding)


# PERF: browsers send a handful of fields; the result depends on nothing but the field.
@lru_cache(maxsize=_MAX_FIELDS)
def _rank_codings(accept_encoding: str) -> tuple[str, ...]:
    ranked: tuple[str, ...] = ()
    left = tuple(SUFFIXES)
    while (coding := choose_coding(accept_encoding, left).coding) is not None:
        ranked = (*ranked, coding)
        left = tuple(each for each in left if each != coding)
    return ranked


def accepts_page(accept: str) -> bool:
    """Say whether a client asks for a page, as a browser that goes to a URL: `*/*` is not enough."""
    if len(accept) > _MAX_ACCEPT_CHARACTERS:
        return False
    for media_range in accept.lower().split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        if name == "text/html":
            return not any(map(_REFUSED.fullmatch, parameters))
    return False
