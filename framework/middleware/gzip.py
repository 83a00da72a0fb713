"""`GZipMiddleware`: gzip alone, with the options of Starlette."""

from __future__ import annotations

from typing import ClassVar, Final

from framework._defaults import MIN_COMPRESSED_BODY_BYTES, MIN_GZIP_THREAD_BYTES
from framework._http.negotiation import Choice
from framework.middleware.compress import CompressMiddleware
from framework.types import ASGIApp

__all__ = [
    "DEFAULT_EXCLUDED_CONTENT_TYPES",
    "GZipMiddleware",
    "GZipResponder",
    "IdentityResponder",
]

DEFAULT_EXCLUDED_CONTENT_TYPES: Final = (
    "application/grpc",
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "audio/*",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/event-stream",
    "video/*",
)


class GZipMiddleware(CompressMiddleware):
    """`CompressMiddleware` that offers gzip only; what it says about `Vary`, `ETag` and BREACH holds here.

    A body of `minimum_size` is compressed also where that makes it larger, as with Starlette.

    Args:
        minimum_size: bytes; smaller bodies stay as they are. Less than 0 is 0, here and below.
        compresslevel: -1 to 9. 6 takes a third of the time of 9 for a few per cent more bytes.
        thread_minimum_size: bytes; chunks of at least this size are compressed in a thread.
        exclude_content_types: media types that are not compressed, `audio/*` for all of a kind.

    Raises:
        ValueError: a level that there is not.
    """

    may_grow: ClassVar[bool] = True

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int = MIN_COMPRESSED_BODY_BYTES,
        compresslevel: int = 9,
        thread_minimum_size: int = MIN_GZIP_THREAD_BYTES,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        super().__init__(
            app,
            max(minimum_size, 0),
            codings={"gzip": compresslevel},
            thread_minimum_size=max(thread_minimum_size, 0),
            # What is no media type never matches, and CompressMiddleware refuses it.
            excluded_content_types=[each for each in exclude_content_types if "/" in each],
        )
        self.compresslevel = compresslevel
        self.exclude_content_types = exclude_content_types


class IdentityResponder(GZipMiddleware):
    """Send the body as it is: for a middleware that has seen itself that a client takes no gzip."""

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        super().__init__(app, minimum_size, exclude_content_types=exclude_content_types)

    def choose(self, accepted: str) -> Choice:
        """Choose no coding."""
        return Choice(None, allows_identity=True)


class GZipResponder(IdentityResponder):
    """Compress, whatever `Accept-Encoding` says: for a middleware that has read it itself."""

    content_encoding = "gzip"

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        compresslevel: int = 9,
        *,
        thread_minimum_size: int = MIN_GZIP_THREAD_BYTES,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        GZipMiddleware.__init__(
            self,
            app,
            minimum_size,
            compresslevel,
            thread_minimum_size,
            exclude_content_types=exclude_content_types,
        )

    def choose(self, accepted: str) -> Choice:
        """Choose gzip."""
        return Choice("gzip", allows_identity=True)
