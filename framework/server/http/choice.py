"""Which parser reads HTTP: `httptools` in the hardened protocol, or uvicorn's protocols with `zttp`."""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

from framework.server.http.limits import HttpLimits
from framework.server.http.protocol import HardenedHttpProtocol
from framework.server.preflight import find_missing_package

__all__ = ["HTTPTOOLS", "ZTTP", "HttpParser", "choose_protocol"]

HttpParser = Literal["httptools", "zttp"]

HTTPTOOLS: Final = "httptools"
ZTTP: Final = "zttp"


def choose_protocol(parser: HttpParser, limits: HttpLimits) -> dict[str, Any]:
    """Return the options of uvicorn's configuration for a parser.

    With `zttp` connections may also begin in HTTP/2 (by ALPN or with prior knowledge). The limits of
    `HeaderGuard` are in force then, and no deadline but the one of idle connections.

    Raises:
        ImportError: the package is not installed; nothing else is taken in its place.
    """
    if parser == ZTTP:
        if (problem := find_missing_package(ZTTP)) is not None:
            raise ImportError(problem)
        return {"http": ZTTP, "http2": True}
    return {"http": functools.partial(HardenedHttpProtocol, limits=limits), "http2": False}
