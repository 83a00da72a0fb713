"""The HTTP client library: `httpx2` or, with a warning, its predecessor `httpx`."""

from __future__ import annotations

import warnings

from framework.exceptions import StarletteDeprecationWarning

try:
    import httpx2
    from httpx2 import _types as types
    from httpx2._client import UseClientDefault
except ModuleNotFoundError:
    try:
        import httpx as httpx2  # type: ignore[no-redef]
        from httpx import _types as types  # type: ignore[no-redef]
        from httpx._client import UseClientDefault  # type: ignore[no-redef]
    except ModuleNotFoundError:
        raise RuntimeError(
            "The test client needs httpx2, which is not installed: run `pip install httpx2`"
        ) from None
    warnings.warn(
        "The test client uses httpx, which is deprecated: run `pip install httpx2`",
        StarletteDeprecationWarning,
        stacklevel=2,
    )

__all__ = ["UseClientDefault", "httpx2", "types"]
