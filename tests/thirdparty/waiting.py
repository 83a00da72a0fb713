"""The checks that wait for modules of the framework, and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.thirdparty import alias

NEEDED_MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "check_fastapi_middleware.py": (
            "middleware.cors",
            "middleware.gzip",
            "middleware.httpsredirect",
            "middleware.sessions",
            "middleware.trustedhost",
            "templating",
        ),
        "check_slowapi.py": ("config",),
    }
)


def find_missing(check: str) -> list[str]:
    """Return the modules that a check waits for and that are not built."""
    return [name for name in NEEDED_MODULES.get(check, ()) if not alias.is_built(name)]
