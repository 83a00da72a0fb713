"""However a form is cut into chunks, it is the same form, or refused for the same reason."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, strategies as st
from python_multipart import multipart

from framework.exceptions import HTTPException
from tests.framework.formparsers.forms import (
    BOUNDARY,
    MULTIPART,
    URLENCODED,
    build_field,
    build_file,
    build_form,
    build_part,
    build_request,
    cut,
    read_items,
)

pytestmark = pytest.mark.anyio

B = BOUNDARY.encode()
TRICKY = (
    b"",
    b"\r",
    b"\r\n",
    b"\r\n--",
    b"\r\n--" + B[:-1],
    b"\r\n--" + B + b"x",
    b"\r\n--" + B + b"\rx",
    b"\r\n--" + B + b"-x",
    b"\r\r\n--" + B[:5] + b"\r\n--" + B[:9],
    b"--" + B,
    b"\0\xff\n\n\r\r",
)
FORM = build_form(
    build_field("a", b"1"),
    build_field("empty", b""),
    *[build_file("f", content) for content in TRICKY],
    build_part(b"x", 'content-disposition:form-data;name="b;\\"";x="\\\\"', "X-Long: " + "y" * 50),
)
MALFORMED = (
    b"\r\nabc" + FORM,
    b"abc\r\n" + FORM,
    FORM[:-4],
    FORM[:-5] + b"x\r\n",
    FORM[:300],
    FORM.replace(b"\r\n", b"\n"),
    build_form(b"--" + B + b"\r\nno colon\r\n\r\nx\r\n"),
    build_form(build_part(b"x", "X-No-Name: 1")),
    build_form(build_part(b"x", "Content-Disposition: form-data; name=a\nX: y")),
    build_form(build_part(b"x", "Bad Name: form-data; name=a")),
)


async def read(chunks: list[bytes], content_type: str = MULTIPART) -> Any:
    """Return what the form holds, or why it is refused."""
    try:
        async with build_request(chunks, content_type).form() as form:
            return await read_items(form)
    except HTTPException as exc:
        return exc.status_code


async def read_stream(chunks: list[bytes]) -> Any:
    """Do the same part by part."""
    items: list[tuple[str, Any]] = []
    try:
        async for part in build_request(chunks).multipart():
            content = b"".join([chunk async for chunk in part])
            if part.filename is None:
                items.append((part.name, content.decode("latin-1")))
            else:
                file = (part.filename, part.content_type, len(content), content)
                items.append((part.name, file))
    except HTTPException as exc:
        return exc.status_code
    return items


async def test_the_form_is_read_right_in_one_piece() -> None:
    items = await read([FORM])
    assert [item[1] for item in items[:2]] == ["1", ""]
    assert [item[1][3] for item in items[2:-1]] == list(TRICKY)
    assert items[-1] == ('b;"', "x")


async def test_a_form_is_the_same_cut_at_every_byte() -> None:
    whole = await read([FORM])
    for at in range(1, len(FORM)):
        assert await read([FORM[:at], FORM[at:]]) == whole, at


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 41, 42, 43, 100])
async def test_a_form_is_the_same_in_chunks_of_any_size(size: int) -> None:
    whole = await read([FORM])
    assert await read(cut(FORM, size)) == whole
    assert await read_stream(cut(FORM, size)) == whole


@pytest.mark.parametrize("number", range(len(MALFORMED)))
async def test_a_malformed_form_is_refused_however_it_is_cut(number: int) -> None:
    body = MALFORMED[number]
    assert await read([body]) == 400
    for size in (1, 2, 3, 10, 50):
        assert await read(cut(body, size)) == 400, size
        assert await read_stream(cut(body, size)) == 400, size
    for at in range(1, min(len(body), 200)):
        assert await read([body[:at], body[at:]]) == 400, at


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n"])
async def test_a_body_without_anything_is_a_form_without_anything(body: bytes) -> None:
    assert await read([body]) == []
    assert await read_stream([body]) == []


async def test_a_form_cut_off_anywhere_is_refused() -> None:
    end = len(FORM) - 2  # the line end behind the last boundary may be missing
    assert await read([FORM[:0]]) == []  # nothing of a form is lost
    for at in range(1, end):
        assert await read([FORM[:at]]) == 400, at
    assert isinstance(await read([FORM[:end]]), list)


PIECES = st.sampled_from([b"\r", b"\n", b"-", b"--", B, b"\r\n--" + B, b"a", b"\0", B[:3]])
CONTENTS = st.lists(PIECES, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 2000), max_size=8)


def cut_at(body: bytes, places: list[int]) -> list[bytes]:
    """Return the body cut at these places."""
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


@given(contents=st.lists(CONTENTS, max_size=4), cuts=CUTS)
async def test_any_content_gives_the_same_however_it_is_cut(
    contents: list[bytes], cuts: list[int]
) -> None:
    body = build_form(*[build_file("f", content) for content in contents])
    whole = await read([body])
    assert await read(cut_at(body, cuts)) == whole
    assert await read_stream(cut_at(body, cuts)) == whole


HEADER_FIELDS = (
    b'Content-Disposition: form-data; name="a"',
    b'Content-Disposition: form-data; name="f"; filename="\xc3\xa9 (1).bin"',
    b'Content-Disposition: form-data; name=""',
    b'Content-Disposition:  form-data; name="blanks" ',
    b'content-disposition: form-data; name="lower"',
    b'Content-Disposition: form-data; name="a\nb"',
    b'Content-Disposition: form-data; name="a\0"',
    b'Content-Disposition: form-data; name="a" ; filename="b"',
    b'Content-Disposition: form-data; filename="b"; name="a"',
    b'Content-Disposition: form-data; name="' + b"n" * 4200 + b'"',
    b"Content-Type: text/plain; charset=utf-8",
    b"Content-Type:  text/html ",
    b"Content-Type: ",
    b"Content-Type: a\nb",
    b"Content-Length: 3",
    b"\r",
    b"",
    b"no colon",
)


async def read_heads(chunks: list[bytes]) -> Any:
    """Return the names, header fields and contents of the parts, or why the form is refused."""
    try:
        return [
            (part.name, part.filename, part.headers.raw, await part.read())
            async for part in build_request(chunks).multipart()
        ]
    except HTTPException as exc:
        return exc.status_code


@pytest.mark.parametrize("first", HEADER_FIELDS, ids=range(len(HEADER_FIELDS)))
async def test_any_header_fields_are_read_as_by_the_library(first: bytes) -> None:
    """In single bytes everything but the content of parts goes through python-multipart."""
    before, behind = build_field("before", b""), build_field("behind", b"--" + B)
    for second in HEADER_FIELDS:
        head = b"".join(field + b"\r\n" for field in (first, second))
        part = b"--" + B + b"\r\n" + head + b"\r\nx\r\n"
        body = build_form(before, part, part, behind)
        assert await read_heads([body]) == await read_heads(cut(body, 1)), (first, second)


async def test_the_usual_parts_do_not_go_through_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []
    write = multipart.MultipartParser.write

    def count(self: Any, data: bytes) -> int:
        counts.append(len(data))
        return write(self, data)

    monkeypatch.setattr(multipart.MultipartParser, "write", count)
    fields = [build_field(name, b"x" * 1000) for name in "abc"]
    body = build_form(*fields, build_file("f", b"\r\n" * 50_000), build_field("d", b""))
    assert len(await read([body])) == 5
    assert sum(counts) < 200


@given(
    body=st.lists(st.sampled_from([b"a", b"=", b"&", b"+", b"%", b"%41", b"%C3%A9", b"\xe9"])),
    cuts=CUTS,
)
async def test_an_urlencoded_form_is_the_same_however_it_is_cut(
    body: list[bytes], cuts: list[int]
) -> None:
    text = b"".join(body)
    assert await read(cut_at(text, cuts), URLENCODED) == await read([text], URLENCODED)
