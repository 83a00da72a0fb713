"""Hostile requests for files as data: each file of `paths/` is an attack and the answer it has to get.

`targets` are request targets as they stand in the request line, or decoded text where it holds what no
request line can; each is sent to `StaticFiles` with each of the `options`, all unless named, below the
`mount`, which is "/static" unless given and null for none. Beside the tree and in hidden files there are
secrets, and no answer holds one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest

from framework.applications import App
from framework.routing import Mount
from framework.staticfiles import StaticFiles
from tests.corpus.attacks import expand, load_cases
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

CASES: Final = load_cases("paths")
CPU_SLACK: Final = 8
SECRET: Final = b"a secret"
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "html": {"html": True},
    "spa": {"spa": True},
    "follow": {"follow_symlink": True},
    "packed": {"html": True, "precompressed": True, "cache_control": "max-age=60"},
}
FILES: Final = {
    "static/a.txt": b"0123456789",
    "static/empty.txt": b"",
    "static/large.bin": b"x" * 200_000,
    "static/sub/b.txt": b"b",
    "static/sub/index.html": b"index",
    "static/index.html": b"index",
    "static/packed.js": b"plain",
    "static/packed.js.br": b"br",
    "static/packed.js.gz": b"gzip",
    "static/evil\r\nset-cookie: a=b/index.html": b"index",
    "static/.env": SECRET,
    "static/sub/.env": SECRET,
    "static/.git/config": SECRET,
    "static/settings.py~": SECRET,
    "static/#settings.py#": SECRET,
    "static/.settings.py.swp": SECRET,
    "static_secret/secret.txt": SECRET,
    "static1.txt": SECRET,
    "secret.txt": SECRET,
}
LINKS: Final = {
    "out": "../static_secret",
    "out.txt": "../secret.txt",
    "out-and-back": "../static_secret",
    "root": "/",
    "loop": "loop",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory to serve, with secrets in it and beside it."""
    root = tmp_path_factory.mktemp("paths")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        os.utime(root / name, (1_700_000_000, 1_700_000_000))
    for name, target in LINKS.items():
        (root / "static" / name).symlink_to(target)
    os.mkfifo(root / "static" / "pipe")
    return root / "static"


async def ask(app: Any, case: dict[str, Any], target: str, tag: str) -> Channel:
    """Send the request of a case, decoded as servers do, and check what holds for each answer."""
    fields = [(name, expand(value).replace("{tag}", tag)) for name, value in case["headers"]]
    scope = build_scope("/", case["method"], *fields)
    start = time.process_time()
    channel = await call(app, {**scope, "path": unquote(target), "raw_path": b"/"})
    seconds = time.process_time() - start
    assert SECRET not in channel.body
    assert b"root:" not in channel.body
    assert seconds < CPU_SLACK * case.get("cpu_ms", 1000) / 1000
    return channel


def check(channel: Channel, expect: dict[str, Any]) -> None:
    """Compare an answer with what is expected."""
    assert channel.status == expect["status"]
    headers = {name.decode(): value.decode("latin-1") for name, value in channel.headers.items()}
    if "body" in expect:
        assert channel.body.decode() == expect["body"]
    if "length" in expect:
        assert headers["content-length"] == str(expect["length"])
    if "coding" in expect:
        assert headers.get("content-encoding") == expect["coding"]
    for name in ("location", "allow"):
        if name in expect:
            assert headers[name] == expect[name]
    assert expect.get("lacks", "\x00").encode() not in channel.body
    assert len(channel.body) <= expect.get("at_most", 300_000)


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_request_for_a_file_is_answered_as_it_should_be(
    tree: Path, name: str
) -> None:
    case = {"method": "GET", "headers": [], **CASES[name]}
    for option in case.get("options", OPTIONS):
        files: Any = StaticFiles(directory=tree, check_dir=False, **OPTIONS[option])
        mount = case.get("mount", "/static")
        app = files if mount is None else App(routes=[Mount(mount, files)])
        scope = build_scope(f"{mount or ''}/a.txt")
        tag = (await call(app, scope)).headers[b"etag"].decode()
        answers = []
        for target in case["targets"]:
            channel = await ask(app, case, expand(target), tag)
            check(channel, case["expect"])
            answers.append(channel.messages)
        if case.get("same"):
            assert all(answer == answers[0] for answer in answers)


def test_every_attack_of_the_lists_has_its_cases() -> None:
    listed = {"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d9", "d11", "e10", "g4", "g5", "g6", "g7"}
    assert {name.partition("_")[0] for name in CASES} == listed
