"""What is loaded when the first form arrives: an application without forms does without it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Final

from framework.concurrency import file_threads

_MODULE: Final = "python_multipart.multipart"


async def load_library() -> ModuleType:
    """Return the parsers of python-multipart.

    Raises:
        RuntimeError: it is not installed.
    """
    try:
        return await load_module(_MODULE)
    except ModuleNotFoundError as exc:
        raise RuntimeError(
            "Forms need python-multipart, which is not installed: run `pip install python-multipart`"
        ) from exc


async def load_module(name: str) -> ModuleType:
    """Return a module; the first time it is imported in a thread."""
    module = sys.modules.get(name)
    # What is in sys.modules is not complete while another thread still imports it.
    if module is None or getattr(module.__spec__, "_initializing", False):
        module = await file_threads.run(importlib.import_module, name)
    return module
