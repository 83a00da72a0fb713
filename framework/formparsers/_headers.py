"""What the header fields of a form and of its parts say (RFC 7578)."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Final

from framework._defaults import (
    MAX_BOUNDARY_CHARACTERS,
    MAX_FORM_CONTENT_TYPE_CHARACTERS,
    MAX_PART_HEADER_PARAMETERS,
)
from framework.exceptions import MultiPartException

# PERF: these save python-multipart's own parser for header fields as all clients write them. Both read
# them alike, to which `tests/framework/formparsers/test_headers.py` holds them.
_USUAL_CONTENT_TYPE = re.compile(
    r"multipart/form-data; ?boundary=([0-9A-Za-z'()+_./:=?-]+)", re.ASCII
)
_USUAL_DISPOSITION = re.compile(rb'form-data; name="([^"\\]*)"(?:; filename="([^"\\]*)")?')

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

# Decoding anything else that a client names would let it choose how text that looks harmless is read.
_CODECS: Final = {
    b"utf-8": "utf-8",
    b"utf8": "utf-8",
    b"us-ascii": "utf-8",
    b"ascii": "utf-8",
    b"iso-8859-1": "latin-1",
    b"latin-1": "latin-1",
    b"latin1": "latin-1",
}


def find_boundary(library: ModuleType, content_type: str) -> tuple[bytes, str]:
    """Return the boundary of a multipart form and the codec of its text.

    Raises:
        MultiPartException: there is no usable boundary, or a charset that is not accepted.
    """
    if len(content_type) > MAX_FORM_CONTENT_TYPE_CHARACTERS:
        raise MultiPartException("The Content-Type of the form is too long.")
    usual = _USUAL_CONTENT_TYPE.fullmatch(content_type)
    if usual is not None and len(usual[1]) <= MAX_BOUNDARY_CHARACTERS:
        return usual[1].encode(), "utf-8"
    _, options = library.parse_options_header(content_type)
    boundary: bytes = options.get(b"boundary", b"")
    if not boundary:
        raise MultiPartException("Missing boundary in multipart.")
    if _CONTROL.search(boundary):
        raise MultiPartException("The boundary of the form holds a control character.")
    if len(boundary) > MAX_BOUNDARY_CHARACTERS:
        raise MultiPartException(
            f"The boundary of the form is longer than {MAX_BOUNDARY_CHARACTERS} characters."
        )
    codec = _CODECS.get(options.get(b"charset", b"utf-8").lower())
    if codec is None:
        raise MultiPartException("The charset of the form is neither UTF-8 nor ISO-8859-1.")
    return boundary, codec


def read_disposition(library: ModuleType, value: bytes | None) -> tuple[bytes, bytes | None]:
    """Return the name of a part and its file name, None where the part is no file.

    Raises:
        MultiPartException: the name is missing, or there is more than anybody needs.
    """
    usual = _USUAL_DISPOSITION.fullmatch(value or b"")
    if usual is not None:
        return usual[1], usual[2]
    if value is not None and value.count(b";") > MAX_PART_HEADER_PARAMETERS:
        raise MultiPartException("The Content-Disposition of a part has too many parameters.")
    _, options = library.parse_options_header(value)
    try:
        return options[b"name"], options.get(b"filename")
    except KeyError:
        raise MultiPartException(
            'The Content-Disposition header field "name" must be provided.'
        ) from None


def decode_text(text: bytes | bytearray, codec: str) -> str:
    """Return text of a form; what is not in its codec is read as Latin-1, which takes everything."""
    try:
        return text.decode(codec)
    except UnicodeDecodeError:
        return text.decode("latin-1")
