"""Urlencoded forms (the URL Standard, section 5)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable

from framework._defaults import MAX_FORM_BUFFERED_BYTES, MAX_FORM_FIELDS, MAX_FORM_PART_BYTES
from framework._http.queries import parse_query
from framework.datastructures import FormData, Headers, UploadFile
from framework.exceptions import MultiPartException, RequestBodyTooLarge

__all__ = ["FormParser"]

_SEPARATORS = re.compile(rb"&&+")


class FormParser:
    """Parses an urlencoded form; its text is UTF-8, whatever charset the client names.

    Args:
        headers: the header fields of the request.
        stream: the chunks of the body.
        max_fields: the largest number of fields.
        max_part_size: the largest size of a field, name and value together, in bytes.
    """

    def __init__(
        self,
        headers: Headers,
        stream: AsyncIterable[bytes],
        *,
        max_fields: int | float = MAX_FORM_FIELDS,  # noqa: PYI041
        max_part_size: int = MAX_FORM_PART_BYTES,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self._items: list[tuple[str, str | UploadFile]] = []

    async def parse(self) -> FormData:
        """Read the body and return its fields.

        Raises:
            MultiPartException: a limit is exceeded.
            RequestBodyTooLarge: the form is over `MAX_FORM_BUFFERED_BYTES`.
        """
        total = 0
        # The field at the end of what came, which may not be complete, and its size in bytes.
        pieces: list[bytes] = []
        pending = 0
        async for chunk in self.stream:
            total += len(chunk)
            if total > MAX_FORM_BUFFERED_BYTES:
                raise RequestBodyTooLarge(MAX_FORM_BUFFERED_BYTES)
            end = chunk.rfind(b"&")
            if end >= 0:
                pieces.append(chunk[:end])
                self._take(b"".join(pieces))
                chunk = chunk[end + 1 :]  # noqa: PLW2901
                pieces, pending = [], 0
            pieces.append(chunk)
            pending += len(chunk)
            if pending > self.max_part_size + 1:
                raise self._refuse_size()
        self._take(b"".join(pieces))
        return FormData(self._items)

    def _take(self, text: bytes) -> None:
        """Take complete fields.

        PERF: the limits are kept by counting in the whole text; fields are looked at one by one only
        where one of them could be too large.
        """
        left = self.max_fields - len(self._items)
        if text.count(b"&") >= left:
            text = _SEPARATORS.sub(b"&", text).strip(b"&")
            if text.count(b"&") >= left and text:
                raise MultiPartException(
                    f"Too many fields. Maximum number of fields is {self.max_fields}."
                )
        if len(text) > self.max_part_size:
            for field in text.split(b"&"):
                if len(field) - (b"=" in field) > self.max_part_size:
                    raise self._refuse_size()
        self._items += parse_query(text.decode("latin-1"))

    def _refuse_size(self) -> MultiPartException:
        return MultiPartException(f"Field exceeded maximum size of {self.max_part_size // 1024}KB.")
