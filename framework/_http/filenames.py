"""Names of uploaded files, which come from the client and are anything."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_FILENAME_BYTES: Final = 255
"""The longest name, in UTF-8, that the usual file systems take."""

_MAX_EXTENSION_BYTES: Final = 32
_RESERVED_CHARACTERS = re.compile(r'[<>:"|?*]')
# Names of devices on Windows, there with any extension.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$) *(?:\.|\Z)", re.IGNORECASE)


def find_safe_filename(filename: str | None) -> str | None:
    """Return a file name that is safe to store a file under, None when nothing usable is left.

    It is one path component on every system: no separators, no control or invisible characters, no
    leading dot, no name of a Windows device, at most `MAX_FILENAME_BYTES`. It may still be taken:
    whoever stores the file decides what happens to another one of that name.
    """
    # Compatibility forms first: what looks like a slash must not become one later.
    name = unicodedata.normalize("NFKC", _drop_invisible(filename or ""))
    name = re.split(r"[/\\]", name)[-1]
    name = _RESERVED_CHARACTERS.sub("_", " ".join(name.split()))
    # Dots and blanks at the end are dropped by Windows, which would make another name of it.
    name = _shorten(name.strip(". ")).rstrip(". ")
    if _DEVICE.match(name):
        name = _shorten("_" + name).rstrip(". ")
    return name or None


def _drop_invisible(text: str) -> str:
    # Control and format characters (also those that reverse text), surrogates, unassigned ones.
    return "".join(
        character
        for character in text
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )


def _shorten(name: str) -> str:
    """Cut the stem so that the name fits; the extension is kept."""
    encoded = name.encode()
    if len(encoded) <= MAX_FILENAME_BYTES:
        return name
    stem, dot, extension = encoded.rpartition(b".")
    if not stem or len(extension) > _MAX_EXTENSION_BYTES:
        return encoded[:MAX_FILENAME_BYTES].decode(errors="ignore")
    stem = stem[: MAX_FILENAME_BYTES - len(extension) - 1]
    return (stem + dot + extension).decode(errors="ignore")
