"""Which parser reads HTTP: `httptools`, or `zttp` in protocols under the same deadlines."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, Final, Literal

from framework.server.http.limits import HttpLimits
from framework.server.http.protocol import HardenedHttpProtocol
from framework.server.preflight import find_missing_packages

__all__ = ["HTTPTOOLS", "ZTTP", "HttpParser", "choose_protocol"]

HttpParser = Literal["httptools", "zttp"]

HTTPTOOLS: Final = "httptools"
ZTTP: Final = "zttp"

_ZTTP_MODULE: Final = "framework.server.http.zttp"


def choose_protocol(parser: HttpParser, limits: HttpLimits) -> Callable[..., Any]:
    """Return what makes the protocol of a connection, as uvicorn's configuration takes it.

    With `zttp` connections may also begin in HTTP/2 (by ALPN or with prior knowledge). Deadlines are
    the same; limits of headers are those of `HeaderGuard`.

    Raises:
        ImportError: the package is not installed; nothing else is taken in its place.
    """
    if parser == ZTTP:
        if (problem := find_missing_packages("HTTP=zttp", {ZTTP: ZTTP}, load=True)) is not None:
            raise ImportError(problem)
        # Loaded only here: the package may be missing.
        module: Any = importlib.import_module(_ZTTP_MODULE)
        protocol = functools.partial(module.PrefaceProtocol, limits=limits)
        # uvicorn asks for it, to offer both versions in TLS handshakes.
        protocol.__dict__["alpn_protocols"] = module.PrefaceProtocol.alpn_protocols
        return protocol
    return functools.partial(HardenedHttpProtocol, limits=limits)
