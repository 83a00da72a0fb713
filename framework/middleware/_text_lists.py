"""Options that are lists of texts, where a single text is passed easily by mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from logging import Logger

_BETWEEN = re.compile(r"[,\s]+")


def read_texts(logger: Logger, name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of a list; of a single text those between its commas and blanks, with a warning.

    A text is a collection of texts too, its letters. What comes of them (`"a" in "ab"`) seems to work.
    """
    if not isinstance(value, str):
        return tuple(value)
    texts = tuple(text for text in _BETWEEN.split(value) if text)
    if texts != ("*",):
        logger.warning("%s=%r is one text: pass a list of them; read as %r", name, value, texts)
    return texts
