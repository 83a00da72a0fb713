"""Static files: one tree on disk, served by both."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.compat.harness import Case, Request, Socket

MODIFIED: Final = 1_700_000_000
MODIFIED_FIELD: Final = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER_FIELD: Final = "Tue, 14 Nov 2023 22:13:21 GMT"
EARLIER_FIELD: Final = "Tue, 14 Nov 2023 22:13:19 GMT"
# Of a file of that age with one byte: no secret, and the same in both libraries.
ETAG: Final = '"665a5ba1173c01267997eefaafb178e4"'
FILES: Final = (
    "public/a.txt",
    "public/.hidden",
    "public/no-extension",
    "public/image.svg",
    "public/archive.tar.gz",
    "public/ü ñ.txt",
    "public/sub/b.html",
    "public/docs/index.html",
    "public/odd/index.html/x",
    "public/index.html",
    "pages/404.html",
    "pages/docs/index.html",
    "outside.txt",
)


@functools.cache
def find_tree() -> Path:
    """Return the tree; it is made once and goes with the process."""
    root = Path(tempfile.mkdtemp(prefix="static-"))
    atexit.register(shutil.rmtree, root)
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
        os.utime(root / name, (MODIFIED, MODIFIED))
    (root / "public/inside.txt").symlink_to("a.txt")
    (root / "public/outside.txt").symlink_to("../outside.txt")
    (root / "public/loop").symlink_to("loop")
    return root


def build_static(names: Any) -> Any:
    class Fallback(names.StaticFiles):  # type: ignore[misc]
        async def get_response(self, path: str, scope: Any) -> Any:
            full_path, result = await names.run_in_threadpool(self.lookup_path, "a.txt")
            return self.file_response(full_path, result, scope, status_code=404)

    public, pages = find_tree() / "public", find_tree() / "pages"
    return names.App(
        routes=[
            names.Mount("/static", names.StaticFiles(directory=public)),
            names.Mount("/follow", names.StaticFiles(directory=str(public), follow_symlink=True)),
            names.Mount("/pages", names.StaticFiles(directory=pages, html=True)),
            names.Mount("/html", names.StaticFiles(directory=public, html=True)),
            names.Mount("/fallback", Fallback(directory=public)),
            names.Mount("/missing", names.StaticFiles(directory="none", check_dir=False)),
            names.Mount("/file", names.StaticFiles(directory=public / "a.txt", check_dir=False)),
        ]
    )


PATHS: Final = (
    *("/static/" + name.removeprefix("public/") for name in FILES if name.startswith("public/")),
    "/static",
    "/static/",
    "/static/none",
    "/static/sub",
    "/static/sub/",
    "/static/sub/../a.txt",
    "/static/sub//b.html",
    "/static/a.txt/",
    "/static/a.txt/x",
    "/static/../outside.txt",
    "/static//etc/passwd",
    "/static/\\etc",
    "/static/inside.txt",
    "/static/outside.txt",
    "/static/a.txt\x00",
    "/static/" + "n" * 300,
    "/static/loop",
    "/follow/outside.txt",
    "/follow/../outside.txt",
    "/pages",
    "/pages/",
    "/pages/none",
    "/pages/404.html",
    "/pages/docs",
    "/pages/docs/",
    "/pages/docs/index.html",
    "/pages/a\x00",
    "/pages/" + "n" * 300,
    "/html",
    "/html/",
    "/html/sub",
    "/html/docs",
    "/html/docs/",
    "/html/odd/",
    "/html/none",
    "/missing/a.txt",
    "/file/a.txt",
    "/fallback/a",
)
CONDITIONS: Final = (
    ("if-none-match", ETAG),
    ("if-none-match", "W/" + ETAG),
    ("if-none-match", f'"x", {ETAG}'),
    ("if-none-match", "*"),
    ("if-none-match", '"x"'),
    ("if-none-match", ""),
    ("if-modified-since", MODIFIED_FIELD),
    ("if-modified-since", LATER_FIELD),
    ("if-modified-since", EARLIER_FIELD),
    ("if-modified-since", "Tue Nov 14 22:13:20 2023"),
    ("if-modified-since", "yesterday"),
    ("range", "bytes=0-0"),
)
METHODS: Final = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")
HOST: Final = ("host", "example.org")


CASES = (
    Case(
        "static",
        build_static,
        (
            *(Request(path, label=path[-8:] if len(path) > 99 else "") for path in PATHS),
            Request("/pages/docs", query="a=b%20c"),
            *(Request("/static/a.txt", method) for method in METHODS),
            *(Request("/static/none", method) for method in METHODS),
            *(
                Request(path, headers=(HOST, field), label=": ".join(field))
                for path in ("/static/a.txt", "/pages/none", "/fallback/a")
                for field in CONDITIONS
            ),
            Request(
                "/static/a.txt",
                headers=(HOST, ("if-none-match", '"x"'), ("if-modified-since", MODIFIED_FIELD)),
                label="both",
            ),
            Socket("/static/a.txt"),
        ),
    ),
)
