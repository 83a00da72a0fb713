"""Where the processes of this service meet on one machine."""

from __future__ import annotations

import re
from pathlib import Path

from app.settings import Settings
from framework.folders import build_private_path


def build_service_id(settings: Settings) -> str:
    """Return a name that no other service of the machine has."""
    address = settings.uds or f"{settings.host}-{settings.port}"
    return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{settings.service_name}-{address}")


def build_shared_folder(settings: Settings, purpose: str) -> Path:
    """Return the path of a folder that all workers of this service share; in memory if there is some."""
    return build_private_path(f"{build_service_id(settings)}-{purpose}")


def build_channels_url(settings: Settings) -> str:
    """Return where channels go: what is set, else the workers of this machine."""
    return settings.channels_url or f"unix://{build_shared_folder(settings, 'channels')}"
