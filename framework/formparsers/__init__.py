"""Forms: urlencoded and multipart, into `FormData` or part by part as they arrive.

Multipart is parsed by python-multipart, which is loaded when the first such form arrives.
"""

from __future__ import annotations

from framework.exceptions import MultiPartException
from framework.formparsers._multipart import FormMessage, MultiPartParser
from framework.formparsers._parts import MultipartPart
from framework.formparsers._streaming import MultipartStream, StreamedPart
from framework.formparsers._urlencoded import FormParser

__all__ = [
    "FormMessage",
    "FormParser",
    "MultiPartException",
    "MultiPartParser",
    "MultipartPart",
    "MultipartStream",
    "StreamedPart",
]
