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

# Names that are neither hidden nor impossible, each a file of one byte; one holds a byte that is no
# UTF-8, as the server hands it over.
ODD_NAMES: Final = (
    "a b.txt",
    "50%.txt",
    "%2e%2e",
    "line\nend.txt",
    "tab\t.txt",
    "back\\slash.txt",
    "..\\up.txt",
    'quote".txt',
    "<b>.html",
    "semi;colon.txt",
    "question?.txt",
    "hash#.txt",
    "a..txt",
    "dots...",
    "UPPER.TXT",
    "con",
    "nul.txt",
    "c:",
    "-rf",
    "~home",
    "a~b",
    "*",
    "n" * 255,
    "\udcff.bin",
    "archive.tar.gz",
    "script.mjs",
    "style.css",
    "data.json",
    "font.woff2",
    "page.htm",
    "readme.md",
    "Makefile",
)
# A directory, and files that are reached by links.
LINKS: Final = {
    "to-file": "real/a.txt",
    "to-folder": "real",
    "to-itself": "to-itself",
    "to-nothing": "nothing",
    "to-parent": ".",
    "to-outside": "../beside",
    "to-outside.txt": "../beside/a.txt",
    "to-root": "/",
    "there-and-back": "../tree/real",
    "a-link-to-a-link": "to-file",
    "a-link-to-a-way-out": "to-outside",
}


@functools.cache
def find_odd_tree() -> Path:
    """Return a tree of odd names and links; it is made once and goes with the process."""
    root = Path(tempfile.mkdtemp(prefix="static-odd-"))
    atexit.register(shutil.rmtree, root)
    names = [f"tree/{name}" for name in ODD_NAMES]
    names += ["tree/real/a.txt", "tree/real/index.html", "tree/real/deep/er/b.txt", "beside/a.txt"]
    names += ["tree-beside/a.txt", "tree/index.html/x", "tree/real/deep/index.html"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
        os.utime(root / name, (MODIFIED, MODIFIED))
    for name, target in LINKS.items():
        (root / "tree" / name).symlink_to(target)
    return root


def build_odd_tree(names: Any) -> Any:
    tree = find_odd_tree() / "tree"
    return names.App(
        routes=[
            names.Mount("/odd", names.StaticFiles(directory=tree, html=True)),
            names.Mount("/plain", names.StaticFiles(directory=tree)),
            names.Mount("/links", names.StaticFiles(directory=tree, follow_symlink=True)),
            names.Mount("/linked", names.StaticFiles(directory=tree / "to-folder", html=True)),
        ]
    )


ODD_PATHS: Final = (
    *("/odd/" + name for name in ODD_NAMES),
    *("/plain/" + name for name in LINKS),
    *("/odd/" + name for name in LINKS),
    *("/links/" + name for name in LINKS),
    *(
        prefix + path
        for prefix in ("/plain/", "/odd/", "/links/")
        for path in (
            "to-folder/a.txt",
            "to-folder/",
            "to-folder/deep/er/b.txt",
            "to-outside/a.txt",
            "to-outside/../real/a.txt",
            "a-link-to-a-way-out/a.txt",
            "to-parent/to-parent/real/a.txt",
            "to-itself/a.txt",
            "to-nothing/a.txt",
            "to-root/etc/passwd",
            "there-and-back/a.txt",
            "real/deep/er/../../a.txt",
            "real/./a.txt",
            "real/a.txt/.",
            "real/a.txt/..",
            "real//",
            "real/deep",
            "real/deep/er",
            "../tree-beside/a.txt",
            "../tree/real/a.txt",
            "..",
            "../",
            "...",
            "....//real/a.txt",
            "%2e%2e/beside/a.txt",
            "..%2fbeside/a.txt",
            "..\\beside\\a.txt",
            "..%5cbeside%5ca.txt",
            "\\\\host\\share",
            "C:\\boot.ini",
            "//host/share",
            "real/A.TXT",
            "real/a.txt.",
            "real/a.txt ",
            "real/a.txt;v=1",
            "\x00",
            "real/\x00/a.txt",
            "\u2024\u2024/beside/a.txt",
            "\uff0e\uff0e/beside/a.txt",
            "\udce0\udc80\udcae/beside/a.txt",
            "n" * 256,
            "n/" * 2100,
        )
    ),
    "/linked",
    "/linked/",
    "/linked/a.txt",
    "/linked/../a b.txt",
    "/linked/deep",
)


class AsNobody:
    """Runs an application as a user without special rights; root may read everything."""

    nobody = 65534

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if os.geteuid():
            await self.app(scope, receive, send)
            return
        os.seteuid(self.nobody)
        try:
            await self.app(scope, receive, send)
        finally:
            os.seteuid(0)


def reopen(root: Path) -> None:
    """Give the owner back what it takes to remove a tree."""
    for folder in root.iterdir():
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(root)


@functools.cache
def find_guarded_tree() -> Path:
    """Return a tree that others may not read everywhere."""
    root = Path(tempfile.mkdtemp(prefix="static-rights-"))
    atexit.register(reopen, root)
    for name in ("open.txt", "closed.txt", "closed/index.html", "listed/index.html", "404.html"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
        os.utime(root / name, (MODIFIED, MODIFIED))
    (root / "link.txt").symlink_to("closed.txt")
    for name, mode in {"": 0o755, "closed.txt": 0, "closed": 0, "listed": 0o444}.items():
        (root / name).chmod(mode)
    return root


def build_guarded_tree(names: Any) -> Any:
    root = find_guarded_tree()
    return AsNobody(
        names.App(
            routes=[
                names.Mount("/plain", names.StaticFiles(directory=root)),
                names.Mount("/html", names.StaticFiles(directory=root, html=True)),
            ]
        )
    )


GUARDED: Final = ("closed.txt", "link.txt", "closed/index.html", "listed/index.html", "listed/none")
OPEN: Final = ("open.txt", "none", "closed", "closed/", "listed", "listed/")

CASES = (
    Case(
        "static trees",
        build_odd_tree,
        tuple(
            Request(path, label=path[-8:] if len(path) > 99 else "")
            for path in dict.fromkeys(ODD_PATHS)
        ),
    ),
    Case(
        "static rights",
        build_guarded_tree,
        tuple(
            Request(f"/{mount}/{name}", method)
            for mount in ("plain", "html")
            for name in (*GUARDED, *OPEN)
            for method in ("GET", "HEAD")
        ),
    ),
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
