"""What the corpora of hostile header fields have in common: reading cases, and the size of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_cases(folder: str) -> dict[str, Any]:
    """Return the cases of a folder beside this file, by name."""
    paths = sorted((Path(__file__).parent / folder).glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def expand(text: Any) -> str:
    """Return a text that may be a list, or be written as `{"repeat": ..., "times": n}`."""
    if isinstance(text, str):
        return text
    if isinstance(text, list):
        return "".join(map(expand, text))
    return expand(text["repeat"]) * int(text["times"])
