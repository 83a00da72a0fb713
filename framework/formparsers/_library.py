"""python-multipart, loaded when it is needed: an application without forms does without it."""

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
    library = sys.modules.get(_MODULE)
    # What is in sys.modules is not complete while another thread still imports it.
    if library is None or getattr(library.__spec__, "_initializing", False):
        library = await file_threads.run(_import_library)
    return library


def _import_library() -> ModuleType:
    try:
        return importlib.import_module(_MODULE)
    except ModuleNotFoundError as exc:
        raise RuntimeError(
            "Forms need python-multipart, which is not installed: run `pip install python-multipart`"
        ) from exc
