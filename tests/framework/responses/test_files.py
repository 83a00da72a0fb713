"""`FileResponse`: what is sent of a file, and what is not."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework.background import BackgroundTask
from framework.responses import FileResponse
from framework.types import Message
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 800  # a little over three chunks
SMALL = b"0123456789" * 5


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_bytes(SMALL)
    return path


def list_open(path: Path) -> list[str]:
    """Return the descriptors of this process that are open on a file."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if str(link.readlink()).removesuffix(" (deleted)") == str(path):
                found.append(link.name)
    return found


async def get(
    path: Path, *headers: tuple[str, str], method: str = "GET", **changes: Any
) -> Channel:
    return await call(FileResponse(path), build_scope("/", method, *headers, **changes))


async def test_a_small_file_is_one_message(small: Path) -> None:
    channel = await get(small)
    assert [message["type"] for message in channel.messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert channel.body == SMALL
    assert channel.headers[b"content-length"] == b"50"
    assert channel.headers[b"content-type"] == b"text/plain; charset=utf-8"
    assert channel.headers[b"accept-ranges"] == b"bytes"
    assert {b"etag", b"last-modified"} <= channel.headers.keys()
    assert not list_open(small)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 204_800])
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_a_file_of_any_size_arrives_whole(tmp_path: Path, size: int, spec: str) -> None:
    path = tmp_path / "file"
    await anyio.Path(path).write_bytes(CONTENT[:size])
    channel = await get(path, asgi={"version": "3.0", "spec_version": spec})
    assert channel.body == CONTENT[:size]
    assert channel.headers[b"content-length"] == b"%d" % size
    assert [message["more_body"] for message in channel.messages[1:]][-1] is False
    assert all(message["more_body"] for message in channel.messages[1:-1])
    assert not list_open(path)


async def test_head_gets_the_header_fields_of_get(large: Path) -> None:
    got, headed = await get(large), await get(large, method="HEAD")
    assert headed.messages[0] == got.messages[0]
    assert headed.body == b""
    ranged = await get(large, ("range", "bytes=0-9"), method="HEAD")
    assert (ranged.status, ranged.headers[b"content-length"]) == (206, b"10")
    assert ranged.body == b""
    assert not list_open(large)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (5, 70_000), (65_536, 131_072), (204_799, 204_800)]
)
async def test_a_range_is_a_part_of_the_file(large: Path, start: int, end: int) -> None:
    channel = await get(large, ("range", f"bytes={start}-{end - 1}"))
    assert channel.status == 206
    assert channel.body == CONTENT[start:end]
    assert channel.headers[b"content-range"] == b"bytes %d-%d/204800" % (start, end - 1)
    assert channel.headers[b"content-length"] == b"%d" % (end - start)
    assert not channel.messages[-1]["more_body"]
    assert not list_open(large)


async def test_several_ranges_are_several_parts(large: Path) -> None:
    channel = await get(large, ("range", "bytes=70000-140000,0-9,5-14"))
    assert channel.status == 206
    kind, boundary = channel.headers[b"content-type"].split(b"; boundary=")
    assert kind == b"multipart/byteranges"
    assert channel.headers[b"content-length"] == b"%d" % len(channel.body)
    head = b"\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes "
    assert channel.body == b"".join(
        [
            b"--%s%s0-14/204800\r\n\r\n%s\r\n" % (boundary, head, CONTENT[:15]),
            b"--%s%s70000-140000/204800\r\n\r\n" % (boundary, head),
            CONTENT[70_000:140_001],
            b"\r\n--%s--" % boundary,
        ]
    )
    assert not list_open(large)


async def test_a_hundred_times_the_whole_file_is_sent_once(large: Path) -> None:
    channel = await get(large, ("range", "bytes=" + ",".join(["0-"] * 100)))
    assert (channel.status, channel.body) == (206, CONTENT)


@pytest.mark.parametrize(
    ("field", "status", "fields"),
    [
        ("bytes=5-2", 400, {}),
        ("nonsense", 400, {}),
        ("bytes=50-", 416, {b"content-range": b"bytes */50"}),
        ("bytes=-0", 416, {b"content-range": b"bytes */50"}),
        ("items=0-1", 200, {b"content-length": b"50"}),
        ("bytes=" + ",".join(["0-0"] * 101), 200, {b"content-length": b"50"}),
    ],
)
async def test_a_range_that_cannot_be_served_is_answered(
    small: Path, field: str, status: int, fields: dict[bytes, bytes]
) -> None:
    channel = await get(small, ("range", field))
    assert channel.status == status
    assert channel.headers.items() >= fields.items()
    assert not list_open(small)


async def test_ranges_are_for_successful_get_and_head_only(small: Path) -> None:
    assert (await get(small, ("range", "bytes=0-1"), method="POST")).status == 200
    response = FileResponse(small, status_code=404)
    channel = await call(response, build_scope("/", "GET", ("range", "bytes=0-1")))
    assert (channel.status, channel.body) == (404, SMALL)
    assert b"content-range" not in channel.headers


async def test_if_range_needs_the_strong_validator_of_this_file(small: Path) -> None:
    headers = (await get(small)).headers
    etag, modified = headers[b"etag"].decode(), headers[b"last-modified"].decode()
    for validator, status in (
        (etag, 206),
        (modified, 206),
        ("W/" + etag, 200),
        ('"other"', 200),
        ("Wed, 02 Jan 2030 03:04:05 GMT", 200),
    ):
        channel = await get(small, ("range", "bytes=0-1"), ("if-range", validator))
        assert channel.status == status, validator


async def test_a_partial_answer_leaves_the_response_as_it_is(small: Path) -> None:
    response = FileResponse(small)
    ranged = build_scope("/", "GET", ("range", "bytes=0-1,8-9"))
    assert (await call(response, ranged)).status == 206
    channel = await call(response, build_scope())
    assert (channel.status, channel.body) == (200, SMALL)
    assert channel.headers[b"content-length"] == b"50"
    assert channel.headers[b"content-type"] == b"text/plain; charset=utf-8"


async def test_given_headers_stand(small: Path) -> None:
    response = FileResponse(
        small,
        headers={"ETag": '"mine"', "Last-Modified": "never", "Accept-Ranges": "none"},
        media_type="text/csv",
    )
    channel = await call(response, build_scope())
    assert channel.headers[b"etag"] == b'"mine"'
    assert channel.headers[b"last-modified"] == b"never"
    assert channel.headers[b"accept-ranges"] == b"none"
    assert channel.headers[b"content-type"] == b"text/csv; charset=utf-8"


async def test_a_given_stat_result_is_corrected_by_the_open_file(small: Path) -> None:
    response = FileResponse(small, stat_result=await anyio.Path(small).stat())
    before = response.headers["etag"]
    assert response.headers["content-length"] == "50"
    await anyio.Path(small).write_bytes(b"other")
    channel = await call(response, build_scope())
    assert channel.body == b"other"
    assert channel.headers[b"content-length"] == b"5"
    assert channel.headers[b"etag"] != before.encode()


async def test_a_file_name_cannot_get_out_of_its_field(small: Path) -> None:
    response = FileResponse(small, filename='a"; b="\r\nc: d', content_disposition_type="inline")
    channel = await call(response, build_scope())
    value = channel.headers[b"content-disposition"]
    assert value == b"inline; filename*=utf-8''a%22%3B%20b%3D%22%0D%0Ac%3A%20d"
    with pytest.raises(ValueError, match="header value"):
        FileResponse(small, filename="a", content_disposition_type="inline\r\nc: d")


async def test_what_is_no_file_is_refused_before_the_response_starts(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("gone", "does not exist"), ("", "not a file"), ("pipe", "not a file")):
        channel = Channel(b"")
        with anyio.fail_after(5), pytest.raises(RuntimeError, match=message):
            await FileResponse(tmp_path / name)(build_scope(), channel.receive, channel.send)
        assert not channel.messages


async def test_a_file_without_permission_is_refused_before_the_response_starts(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "denied")

    monkeypatch.setattr("framework.responses._open_file.os.open", refuse)
    channel = Channel(b"")
    with pytest.raises(PermissionError):
        await FileResponse(small)(build_scope(), channel.receive, channel.send)
    assert not channel.messages


@pytest.mark.parametrize("field", ["", "bytes=100-", "bytes=0-10,100000-"])
@pytest.mark.parametrize("size", [0, 100_000])
async def test_a_file_that_shrinks_ends_the_connection(large: Path, field: str, size: int) -> None:
    channel = Channel(stays=True)

    async def send(message: Message) -> None:
        await channel.send(message)
        if message["type"] == "http.response.start":
            os.truncate(large, size)

    headers = [("range", field)] if field else []
    with anyio.fail_after(5), pytest.raises(RuntimeError, match="shorter than expected"):
        await FileResponse(large)(build_scope("/", "GET", *headers), channel.receive, send)
    assert channel.messages[-1].get("more_body", True)
    assert not list_open(large)


async def test_a_file_that_grows_is_sent_as_long_as_it_was(large: Path) -> None:
    channel = Channel(stays=True)

    async def send(message: Message) -> None:
        await channel.send(message)
        if message["type"] == "http.response.start":
            await anyio.Path(large).write_bytes(CONTENT * 2)

    await FileResponse(large)(build_scope(), channel.receive, send)
    assert channel.body == CONTENT
    assert not channel.messages[-1]["more_body"]


async def test_a_file_that_is_replaced_is_sent_as_it_was_opened(large: Path) -> None:
    channel = Channel(stays=True)

    async def send(message: Message) -> None:
        await channel.send(message)
        if message["type"] == "http.response.start":
            other = anyio.Path(large.with_name("other"))
            await other.write_bytes(b"x" * len(CONTENT))
            await other.replace(large)

    await FileResponse(large)(build_scope(), channel.receive, send)
    assert channel.body == CONTENT


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_a_client_that_leaves_ends_the_transfer(large: Path, spec: str) -> None:
    scope = build_scope(asgi={"version": "3.0", "spec_version": spec})
    left = anyio.Event()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            left.set()
            if spec == "2.4":
                raise OSError("gone")
            await anyio.sleep_forever()  # the client reads no more

    with anyio.fail_after(5):
        if spec == "2.4":
            with pytest.raises(OSError, match="gone"):
                await FileResponse(large)(scope, receive, send)
        else:
            await FileResponse(large)(scope, receive, send)
    assert not list_open(large)


@pytest.mark.parametrize("delay", [0, 0.0005, 0.001, 0.002, 0.005])
async def test_a_cancelled_transfer_leaves_nothing_open(large: Path, delay: float) -> None:
    channel = Channel(stays=True)
    with anyio.move_on_after(delay):
        while True:
            await FileResponse(large)(build_scope(), channel.receive, channel.send)
    assert not list_open(large)


async def test_a_server_that_sends_files_itself_gets_the_path(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer: dict[str, Any] = {"extensions": {"http.response.pathsend": {}}}
    monkeypatch.chdir(small.parent)
    channel = await get(Path("small.txt"), **offer)
    assert channel.messages[1] == {"type": "http.response.pathsend", "path": str(small)}
    assert channel.headers[b"content-length"] == b"50"
    assert (await get(small, method="HEAD", **offer)).messages[1]["type"] == "http.response.body"
    ranged = await get(small, ("range", "bytes=0-1"), **offer)
    assert (ranged.status, ranged.body) == (206, b"01")
    assert not list_open(small)


async def test_the_background_task_runs_after_the_file(small: Path) -> None:
    done: list[str] = []
    response = FileResponse(small, background=BackgroundTask(done.append, "ran"))
    await call(response, build_scope())
    assert done == ["ran"]


async def test_a_websocket_may_be_denied_with_a_file(small: Path) -> None:
    scope = build_scope(type="websocket", headers=[(b"range", b"bytes=0-1")])
    del scope["method"]
    channel = await call(FileResponse(small, status_code=403), scope)
    assert [message["type"] for message in channel.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert channel.body == SMALL


async def test_a_subclass_may_choose_the_size_of_a_chunk(small: Path) -> None:
    class Dripping(FileResponse):
        chunk_size = 7

    channel = await call(Dripping(small), build_scope())
    assert [len(message["body"]) for message in channel.messages[1:]] == [7] * 7 + [1]


async def test_a_device_is_no_file() -> None:
    channel = Channel(b"")
    with pytest.raises(RuntimeError, match="not a file"):
        await FileResponse("/dev/null")(build_scope(), channel.receive, channel.send)
