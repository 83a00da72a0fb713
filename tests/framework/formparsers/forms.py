"""Forms for tests: bodies, and requests that carry them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from framework.datastructures import FormData, UploadFile
from framework.requests import Request
from tests.framework.asgi import Channel, build_scope

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"


def build_part(content: bytes, *headers: str, boundary: str = BOUNDARY) -> bytes:
    """Return a part with its header fields."""
    head = "".join(f"{header}\r\n" for header in headers)
    return f"--{boundary}\r\n{head}\r\n".encode() + content + b"\r\n"


def build_field(name: str, content: bytes, *, boundary: str = BOUNDARY) -> bytes:
    """Return a part that is no file."""
    header = f'Content-Disposition: form-data; name="{name}"'
    return build_part(content, header, boundary=boundary)


def build_file(name: str, content: bytes, filename: str = "a.bin") -> bytes:
    """Return a part that is a file."""
    return build_part(
        content,
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"',
        "Content-Type: application/octet-stream",
    )


def build_form(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    """Return a whole form."""
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def cut(body: bytes, size: int) -> list[bytes]:
    """Return the body in chunks of `size` bytes."""
    return [body[start : start + size] for start in range(0, len(body), size)] or [b""]


def build_request(
    chunks: Sequence[bytes] | Iterator[bytes],
    content_type: str = MULTIPART,
    *,
    is_complete: bool = True,
    **scope: Any,
) -> Request[Any]:
    """Return a request whose body arrives in these chunks."""
    fields = build_scope("/", "POST", ("content-type", content_type), **scope)
    return Request(fields, Channel(*chunks, is_complete=is_complete).receive)


async def read_items(form: FormData) -> list[tuple[str, Any]]:
    """Return what a form holds, files as name, media type, size and content."""
    items: list[tuple[str, Any]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read()
            items.append((name, (value.filename, value.content_type, value.size, content)))
        else:
            items.append((name, value))
    return items
