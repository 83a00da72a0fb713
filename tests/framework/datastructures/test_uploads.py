"""Uploaded files: in memory on the event loop, on disk in a thread."""

from __future__ import annotations

import functools
import io
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from framework.datastructures import FormData, Headers, UploadFile

pytestmark = pytest.mark.anyio


class WatchedFile:
    """A file that notes in which thread each of its methods is called."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.threads: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        if name in {"write", "read", "seek", "close"}:
            return functools.partial(self.call, name)
        return getattr(self.file, name)

    def call(self, name: str, *args: Any) -> Any:
        self.threads[name] = threading.get_ident()
        return getattr(self.file, name)(*args)


@pytest.fixture
def spooled() -> Iterator[WatchedFile]:
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        yield WatchedFile(file)


def _upload(file: Any, **options: Any) -> UploadFile:
    return UploadFile(cast("BinaryIO", file), **options)


async def _use(upload: UploadFile, data: bytes) -> None:
    await upload.write(data)
    await upload.seek(0)
    assert await upload.read(1) == data[:1]
    assert await upload.read() == data[1:]
    await upload.close()


async def test_a_file_in_memory_is_used_without_a_thread(spooled: WatchedFile) -> None:
    await _use(_upload(spooled), b"1234567890")
    assert set(spooled.threads) == {"write", "seek", "read", "close"}
    assert set(spooled.threads.values()) == {threading.get_ident()}


async def test_a_file_on_disk_is_used_in_a_thread(spooled: WatchedFile) -> None:
    await _use(_upload(spooled), b"12345678901")
    assert set(spooled.threads) == {"write", "seek", "read", "close"}
    assert threading.get_ident() not in spooled.threads.values()


async def test_a_file_that_is_not_spooled_is_used_in_a_thread(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as opened:
        file = WatchedFile(opened)
        await _use(_upload(file), b"12")
        assert opened.closed
    assert threading.get_ident() not in file.threads.values()


async def test_a_spooled_file_without_limit_stays_in_memory() -> None:
    with tempfile.SpooledTemporaryFile() as spooled_file:
        file = WatchedFile(spooled_file)
        await _use(_upload(file), b"x" * 100_000)
    assert set(file.threads.values()) == {threading.get_ident()}


async def test_writing_counts_a_known_size_on() -> None:
    known, unknown = _upload(io.BytesIO(), size=2), _upload(io.BytesIO())
    await known.write(b"abc")
    await unknown.write(b"abc")
    assert (known.size, unknown.size) == (5, None)


async def test_a_failed_write_does_not_count() -> None:
    upload = _upload(io.BytesIO(), size=2)
    await upload.close()
    with pytest.raises(ValueError, match="closed"):
        await upload.write(b"abc")
    assert upload.size == 2


async def test_what_the_client_said_about_the_file() -> None:
    headers = Headers({"Content-Type": "text/csv"})
    upload = _upload(io.BytesIO(), filename="../x\0.csv", size=0, headers=headers)
    assert upload.content_type == "text/csv"
    assert upload.filename == "../x\0.csv"
    assert upload.safe_filename == "x.csv"
    assert repr(upload) == (
        "UploadFile(filename='../x\\x00.csv', size=0, headers=Headers({'content-type': 'text/csv'}))"
    )
    assert {"file", "filename", "headers", "size"} <= vars(upload).keys()


async def test_nothing_said_about_the_file() -> None:
    upload = _upload(io.BytesIO())
    assert (upload.filename, upload.safe_filename) == (None, None)
    assert (upload.size, upload.content_type) == (None, None)
    assert upload.headers == Headers()


async def test_a_form_holds_text_and_files_and_closes_the_files() -> None:
    first, second = io.BytesIO(b"1"), io.BytesIO(b"2")
    form = FormData([("text", "value"), ("file", _upload(first)), ("file", _upload(second))])
    assert form["text"] == "value"
    assert len(form.getlist("file")) == 2
    await form.close()
    assert first.closed
    assert second.closed


async def test_a_form_is_made_of_keywords_too() -> None:
    form = FormData({"a": "1"}, b="2")
    assert form.multi_items() == [("a", "1"), ("b", "2")]
    assert repr(form) == "FormData([('a', '1'), ('b', '2')])"
