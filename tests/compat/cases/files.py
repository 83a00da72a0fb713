"""File responses: header fields, ranges, conditions, names, what is no file."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.compat.cases.responses import build_endpoint
from tests.compat.harness import Case, Request

FOLDER: Final = Path(tempfile.mkdtemp(prefix="compat-files-"))
atexit.register(shutil.rmtree, FOLDER)
SIZES: Final = {"small.txt": 50, "empty.bin": 0, "chunk.bin": 65_536, "large.bin": 150_000}
MODIFIED: Final = 1_700_000_000
MODIFIED_FIELD: Final = "Tue, 14 Nov 2023 22:13:20 GMT"
SMALL_ETAG: Final = '"410f621bcec3051fd71b0c08773b898f"'

NAMES: Final = ("a.txt", "a b.txt", "你好.txt", 'x"; y="z.exe', "a\r\nb", "a/b.txt", "ü/b.txt", "")


def write_files() -> None:
    """Make the files that both libraries send."""
    for name, size in SIZES.items():
        path = FOLDER / name
        if not path.exists():
            path.write_bytes(bytes(number % 251 for number in range(size)))
            os.utime(path, (MODIFIED, MODIFIED))


def build_files(names: Any) -> Any:
    """Build a route for each file and each way to send one."""
    write_files()
    small = FOLDER / "small.txt"
    known = small.stat()
    makers = {
        "/small": lambda _: names.FileResponse(small),
        "/text-path": lambda _: names.FileResponse(str(small)),
        "/empty": lambda _: names.FileResponse(FOLDER / "empty.bin"),
        "/chunk": lambda _: names.FileResponse(FOLDER / "chunk.bin"),
        "/large": lambda _: names.FileResponse(FOLDER / "large.bin"),
        "/stat": lambda _: names.FileResponse(small, stat_result=known),
        "/status": lambda _: names.FileResponse(small, 404, {"X-A": "b"}, "text/html"),
        "/headers": lambda _: names.FileResponse(
            small, headers={"ETag": '"mine"', "Content-Type": "a/b", "Accept-Ranges": "none"}
        ),
        "/weak": lambda _: names.FileResponse(small, headers={"ETag": 'W/"mine"'}),
        "/background": lambda _: names.FileResponse(
            small, background=names.BackgroundTask(names.notes.append, "background ran")
        ),
        "/gone": lambda _: names.FileResponse(FOLDER / "gone"),
        "/folder": lambda _: names.FileResponse(FOLDER),
        "/bad-kind": lambda _: names.FileResponse(
            small, filename="a", content_disposition_type="a\r\nb: c"
        ),
    }
    routes = [
        names.Route(path, build_endpoint(make), methods=["GET", "POST"])
        for path, make in makers.items()
    ]

    async def named(request: Any) -> Any:
        name = NAMES[request.path_params["number"]]
        return names.FileResponse(small, filename=name, content_disposition_type="inline")

    return names.App(routes=[*routes, names.Route("/named/{number:int}", named)])


RANGES: Final = (
    *(
        "bytes=0-9",
        "bytes=0-0",
        "bytes=49-",
        "bytes=49-49",
        "bytes=10-9999",
        "bytes=-5",
        "bytes=-999",
    ),
    *(
        "bytes=50-",
        "bytes=60-55",
        "bytes=-0",
        "bytes=5-2",
        "bytes=0-1,5-2",
        "bytes",
        "bytes=",
        "0-1",
    ),
    *(
        "bytes=-",
        "bytes=,",
        "bytes=x-y",
        "bytes=0-1,x",
        "bytes=-9e99",
        "bytes=1.5-2",
        "Bytes = 0 - 9",
    ),
    *("items=0-1", "bytes=0-1,60-", "bytes=60-,-0", "bytes=0-4,5-9", "bytes=0-9,3-4,8-12"),
    *("bytes=0-4,10-14", "bytes=10-14,0-4,-1", "bytes=+1-+2", "bytes=1_0-2_0", "bytes=--5"),
    *("bytes=0-" + "9" * 5000, "bytes=" + "0-0," * 99 + "0-0", "bytes=" + "0-0," * 100 + "0-0"),
)


def with_range(path: str, field: str, method: str = "GET") -> Request:
    """Return a request for a range; the label is the field, cut."""
    label = f"{field[:24]} ({len(field)})"
    return Request(path, method, label=label).with_headers(("range", field))


def if_range(path: str, validator: str) -> Request:
    """Return a request for a range under a condition."""
    request = Request(path, label=f"if-range {validator}")
    return request.with_headers(("range", "bytes=0-9"), ("if-range", validator))


PATHS: Final = (
    *("/small", "/text-path", "/empty", "/chunk", "/large", "/stat", "/status", "/headers"),
    *("/background", "/gone", "/folder", "/bad-kind"),
)

CASES = (
    Case(
        "files",
        build_files,
        (
            *(Request(path, method) for path in PATHS for method in ("GET", "HEAD", "POST")),
            *(Request(f"/named/{number}") for number in range(len(NAMES))),
        ),
    ),
    Case(
        "ranges",
        build_files,
        (
            *(with_range("/small", field) for field in RANGES),
            *(with_range("/large", field) for field in ("bytes=5-140000", "bytes=0-70000,80000-")),
            *(with_range("/empty", field) for field in ("bytes=0-", "bytes=-1", "bytes=0-0")),
            *(with_range("/small", field, "HEAD") for field in ("bytes=0-9", "bytes=0-1,5-6")),
            with_range("/small", "bytes=0-9", "POST"),
            with_range("/status", "bytes=0-9"),
            with_range("/background", "bytes=0-9"),
            with_range("/background", "bytes=99-"),
            with_range("/headers", "bytes=0-9"),
            *(if_range("/small", each) for each in (MODIFIED_FIELD, SMALL_ETAG, "W/" + SMALL_ETAG)),
            *(if_range("/small", each) for each in ("never", "", '"other"')),
            *(if_range("/headers", each) for each in ('"mine"', 'W/"mine"', MODIFIED_FIELD)),
            if_range("/weak", 'W/"mine"'),
        ),
    ),
    Case(
        "files by path",
        build_files,
        tuple(
            Request(path, method, scope=(("extensions", {"http.response.pathsend": {}}),))
            for path in ("/small", "/large", "/empty", "/status")
            for method in ("GET", "HEAD")
        ),
    ),
)
