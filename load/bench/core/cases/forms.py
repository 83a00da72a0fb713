"""Forms: urlencoded, multipart, and an upload that must not be held in memory."""

from __future__ import annotations

import random
from typing import Any, Final

from load.bench.core.calls import Program
from load.bench.core.case import Case
from load.bench.core.exchange import Request, join_lines, measure_request, split
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

BOUNDARY: Final = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
FILE_BYTES: Final = 1_000_000
UPLOAD_MB: Final = 100
UPLOAD: Final = f"multipart, {UPLOAD_MB} MB upload"
MEMORY_BAR_MB: Final = 8


def build_app(kit: Kit) -> Any:
    """Answer with the number of fields and, when there is a file, its size."""
    response = kit.load("responses").PlainTextResponse

    async def endpoint(request: Any) -> Any:
        async with request.form() as form:
            file = form.get("file")
            return response(f"{len(form)} {file.size if file is not None else 0}")

    return kit.build_app([kit.build_route(endpoint, methods=("POST",))])


def build_form(content_type: bytes, length: int, body: tuple[bytes, ...]) -> Request:
    """Return the request that posts a form."""
    headers = (
        (b"content-type", content_type),
        (b"content-length", str(length).encode("ascii")),
    )
    return Request("/", "POST", headers=headers, body=body)


def build_multipart(fields: int, chunk: bytes, repeated: int) -> Request:
    """Return a form of some fields and one file, which is a chunk many times over."""
    lines = []
    for number in range(fields):
        lines += [b"--" + BOUNDARY, b'Content-Disposition: form-data; name="field%d"' % number]
        lines += [b"", b"value number %d" % number]
    lines += [b"--" + BOUNDARY, b'Content-Disposition: form-data; name="file"; filename="a.bin"']
    head = join_lines([*lines, b"Content-Type: application/octet-stream", b""])
    tail = join_lines([b"", b"--" + BOUNDARY + b"--"])
    pieces = split(chunk) * repeated
    length = len(head) + len(chunk) * repeated + len(tail)
    content_type = b"multipart/form-data; boundary=" + BOUNDARY
    return build_form(content_type, length, (head, *pieces, tail))


async def urlencoded(kit: Kit) -> Measurement:
    """Twenty fields, one of them with something to decode."""
    pairs = [b"field%d=value+number+%d" % (number, number) for number in range(19)]
    body = b"&".join([*pairs, b"name=Zo%C3%AB"])
    request = build_form(b"application/x-www-form-urlencoded", len(body), (body,))
    return await measure_request(build_app(kit), request, b"20 0")


async def multipart(kit: Kit) -> Measurement:
    """Five fields and a file of 1 MB, which stays in memory on both sides."""
    content = random.Random(7).randbytes(FILE_BYTES)
    request = build_multipart(5, content, 1)
    return await measure_request(build_app(kit), request, b"6 %d" % FILE_BYTES)


def build_upload(megabytes: int) -> Request:
    """Return the upload of a file that goes to disk."""
    return build_multipart(1, random.Random(7).randbytes(62_500), megabytes * 16)


async def upload(kit: Kit) -> Measurement:
    """A file of 100 MB."""
    answer = b"2 %d" % (UPLOAD_MB * 1_000_000)
    return await measure_request(build_app(kit), build_upload(UPLOAD_MB), answer, is_long=True)


async def grow(kit: Kit) -> Measurement:
    """How much the peak of the resident memory grows over a first, small upload."""
    return Program("-m", "load.bench.core.memory", kit.subject)


CASES: Final = (
    Case("form, 20 fields", urlencoded, faster=1.2),
    Case("multipart, 5 fields and 1 MB", multipart, faster=1.5),
    Case(UPLOAD, upload, faster=1.5, unit="ms", every=5),
    Case(f"{UPLOAD}, memory", grow, at_most=MEMORY_BAR_MB, unit="MB", every=5),
)
