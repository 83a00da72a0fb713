"""Content codings: gzip, and what the installed packages add (brotli, zstandard).

Zstandard is in the standard library from Python 3.14. A coding whose package is not there is not
offered; that is no error, as every client takes gzip or the body as it is. Without zlib-ng, gzip is
that of the standard library.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, ClassVar, Final, Protocol

try:
    import brotli
except ImportError:
    brotli = None

zlib: Any
try:
    from zlib_ng import zlib_ng as zlib  # the same names and format, two to four times as fast
except ImportError:
    import zlib

zstd: Any
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    try:
        import zstandard as zstd
    except ImportError:
        zstd = None

# The window of a brotli stream, as a power of two (bytes): what it keeps in memory is about twice that.
_BROTLI_WINDOW_BITS: Final = 18

# A zstandard context is kept for bodies below this size (bytes), which need little memory.
_REUSED_CONTEXT_BYTES: Final = 64 * 1024

_GZIP_WINDOW_BITS: Final = 16 + zlib.MAX_WBITS


class Stream(Protocol):
    """A body that is compressed chunk by chunk; what comes out can be decoded up to here at once."""

    def __call__(self, chunk: bytes, is_last: bool, /) -> bytes: ...


class Coding(Protocol):
    """A content coding at one level."""

    levels: ClassVar[range]

    def __init__(self, level: int) -> None: ...

    def compress(self, body: bytes) -> bytes:
        """Return a whole body, compressed."""

    def start(self) -> Stream:
        """Begin a body whose chunks come one after the other."""


class Gzip:
    """RFC 1952, without name and time: equal bodies give equal bytes."""

    __slots__ = ("level",)
    levels: ClassVar[range] = range(-1, 10)

    def __init__(self, level: int) -> None:
        self.level = level

    def compress(self, body: bytes) -> bytes:
        # PERF: one call needs no stream object and no second buffer: a tenth less for 1 KB of JSON.
        compressed: bytes = zlib.compress(body, self.level, _GZIP_WINDOW_BITS)
        return compressed

    def start(self) -> Stream:
        return _GzipStream(self.level)


class _GzipStream:
    __slots__ = ("_stream",)

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW_BITS)

    def __call__(self, chunk: bytes, is_last: bool, /) -> bytes:
        mode = zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH
        compressed: bytes = self._stream.compress(chunk) + self._stream.flush(mode)
        return compressed


class Brotli:
    """RFC 7932."""

    __slots__ = ("level",)
    levels: ClassVar[range] = range(12)

    def __init__(self, level: int) -> None:
        self.level = level

    def compress(self, body: bytes) -> bytes:
        compressed: bytes = brotli.compress(body, quality=self.level, lgwin=_BROTLI_WINDOW_BITS)
        return compressed

    def start(self) -> Stream:
        return _BrotliStream(self.level)


class _BrotliStream:
    __slots__ = ("_stream",)

    def __init__(self, level: int) -> None:
        self._stream = brotli.Compressor(quality=level, lgwin=_BROTLI_WINDOW_BITS)

    def __call__(self, chunk: bytes, is_last: bool, /) -> bytes:
        stream = self._stream
        compressed: bytes = stream.process(chunk) + (stream.finish() if is_last else stream.flush())
        return compressed


class Zstd:
    """RFC 8878; no level above 19, whose windows are larger than clients accept (RFC 9659)."""

    __slots__ = ("_contexts", "level")
    levels: ClassVar[range] = range(1, 20)

    def __init__(self, level: int) -> None:
        self.level = level
        self._contexts = threading.local()

    def compress(self, body: bytes) -> bytes:
        if sys.version_info >= (3, 14):
            return zstd.compress(body, self.level)
        if len(body) >= _REUSED_CONTEXT_BYTES:
            return _compress_zstd(zstd.ZstdCompressor(level=self.level), body)
        # PERF: making a context costs more than compressing 1 KB with it. A context serves one call at
        # a time, so each thread has its own; what it has seen does not reach the next body.
        try:
            context = self._contexts.value
        except AttributeError:
            context = self._contexts.value = zstd.ZstdCompressor(level=self.level)
        return _compress_zstd(context, body)

    def start(self) -> Stream:
        return _ZstdStream(self.level)


def _compress_zstd(context: Any, body: bytes) -> bytes:
    compressed: bytes = context.compress(body)
    return compressed


class _ZstdStream:
    __slots__ = ("_stream",)

    def __init__(self, level: int) -> None:
        self._stream: Any = zstd.ZstdCompressor(level=level)
        if sys.version_info < (3, 14):
            self._stream = self._stream.compressobj()

    def __call__(self, chunk: bytes, is_last: bool, /) -> bytes:
        stream = self._stream
        compressed: bytes
        if sys.version_info >= (3, 14):
            mode = stream.FLUSH_FRAME if is_last else stream.FLUSH_BLOCK
            compressed = stream.compress(chunk, mode)
        else:
            mode = zstd.COMPRESSOBJ_FLUSH_FINISH if is_last else zstd.COMPRESSOBJ_FLUSH_BLOCK
            compressed = stream.compress(chunk) + stream.flush(mode)
        return compressed


CODINGS: Final[dict[str, type[Coding]]] = {"zstd": Zstd, "br": Brotli, "gzip": Gzip}

# Codings that cannot be offered here.
MISSING: Final = frozenset(
    name for name, package in (("zstd", zstd), ("br", brotli)) if package is None
)
