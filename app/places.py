"""Where the processes of this service meet on one machine."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

from app.settings import Settings

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made in it is private and checked


def build_service_id(settings: Settings) -> str:
    """Return a name that no other service of the machine has."""
    text = f"{settings.service_name}-{settings.host}-{settings.port}"
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text)


def build_shared_folder(settings: Settings) -> Path:
    """Return the path of a folder that all workers of this service share; in memory if there is some."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"{build_service_id(settings)}-shared-{os.getuid()}"


def build_channels_url(settings: Settings) -> str:
    """Return where channels go: what is set, else the workers of this machine."""
    return settings.channels_url or f"unix://{build_shared_folder(settings) / 'channels'}"
