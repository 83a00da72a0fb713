"""Secrets stay out of the log: by the name of what holds them, in fields and inside texts.

A name is read as words, whatever its spelling: `X-API-Key`, `apiKey` and `api_key` are the same, and so
are `user[password]` and `user%5Bpassword%5D`. The lists below say which names hide their value;
`add_secret_names` adds to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "[redacted]"

# Hide the value wherever the word stands in the name.
SECRET_WORDS: Final = frozenset(
    {
        "apikey",
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
    }
)

# Hide the value where the name ends like this: `access_token`, but neither `token_type` nor `tokens`.
SECRET_ENDINGS: Final = (
    "access_key",
    "access_key_id",
    "account_key",
    "api_key",
    "auth",
    "csrftoken",
    "encryption_key",
    "otp",
    "private_key",
    "session",
    "session_id",
    "session_key",
    "sessionid",
    "sid",
    "sig",
    "signature",
    "signing_key",
    "token",
)

_MAX_KNOWN_NAMES: Final = 2048

_find_words: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+").findall

# Each pattern looks at a character a bounded number of times, whatever the text is.
_find_assignments: Final = re.compile(r"(?<![\w.%\[\]-])([\w.%\[\]-]{1,64})=").finditer
_find_entries: Final = re.compile(
    r"""["']([\w.%\[\]-]{1,64})\\{0,4}["'] ?[:,] ?[\[({]{0,4}b?\\{0,4}"""  # "name": or 'name',
).finditer
_match_value: Final = re.compile(r""""[^"]*"?|'[^']*'?|[^\s&;,"'<>)\]}#]+""").match
_CREDENTIALS: Final = re.compile(r"(?<=://)([^\s/:?#]{0,256}):[^\s/?#]{1,256}@")
_ENTRY_MARKS: Final = ('":', "':", '" :', "',", '",')
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic|digest) +[\w.~+/=-]{16,}")

_known: Final[dict[str, bool]] = {}
_added: Final[set[str]] = set()


def add_secret_names(names: Iterable[str]) -> None:
    """Hide the values of these names too, and of every name that contains one as whole words."""
    _added.update(_normalise(name) for name in names)
    _known.clear()


def is_secret(name: str) -> bool:
    """Say whether the value of this name is hidden."""
    # PERF: names come from code, and are asked for again and again.
    verdict = _known.get(name)
    if verdict is None:
        if len(_known) >= _MAX_KNOWN_NAMES:
            _known.clear()
        verdict = _known[name] = _is_secret(name)
    return verdict


def redact_text(text: str) -> str:
    """Return the text without the values of secrets.

    They are found in queries and wherever there is `name=value` or `"name": value`, as passwords in
    URLs, and behind `Bearer`, `Basic` and `Digest`.
    """
    if "=" in text:
        text = _hide_values(text, _find_assignments(text))
    if any(mark in text for mark in _ENTRY_MARKS):
        text = _hide_values(text, _find_entries(text))
    if "://" in text:
        text = _CREDENTIALS.sub(rf"\1:{REDACTED}@", text)
    if "earer " in text or "asic " in text or "igest " in text or "EARER " in text:
        text = _SCHEME.sub(rf"\1 {REDACTED}", text)
    return text


def _is_secret(name: str) -> bool:
    words = _normalise(unquote(name[:256]))
    if not SECRET_WORDS.isdisjoint(words.split("_")):
        return True
    marked = f"_{words}_"
    return any(marked.endswith(f"_{ending}_") for ending in SECRET_ENDINGS) or any(
        f"_{added}_" in marked for added in _added
    )


def _normalise(name: str) -> str:
    return "_".join(_find_words(name)).lower()


def _hide_values(text: str, names: Iterable[re.Match[str]]) -> str:
    parts = []
    at = 0
    for name in names:
        if name.start() >= at and is_secret(name[1]) and (value := _match_value(text, name.end())):
            parts += [text[at : name.end()], REDACTED]
            at = value.end()
    return "".join([*parts, text[at:]]) if parts else text
