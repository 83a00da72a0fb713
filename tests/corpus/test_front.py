"""Hostile origins, hosts and encodings as data: a file is an attack and the answer it has to get.

`fields` are the fields of the request (Latin-1), sent `times` times. Of the answer, `headers` are fields with their only
value, `absent` are fields that must not be there. Whatever is sent is answered within `CPU_SECONDS`.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from framework.middleware.compress import CompressMiddleware
from framework.middleware.cors import CORSMiddleware
from framework.middleware.httpsredirect import HTTPSRedirectMiddleware
from framework.middleware.trustedhost import TrustedHostMiddleware
from tests.corpus.attacks import expand, load_cases
from tests.framework.asgi import build_scope, call
from tests.framework.middleware.compressing import TEXT, answer_with, decode, read

pytestmark = pytest.mark.anyio

FOLDERS = ("cors", "encodings", "hosts")
CASES = {
    f"{folder}/{name}": case for folder in FOLDERS for name, case in load_cases(folder).items()
}
MIDDLEWARE: dict[str, Any] = {
    "compress": CompressMiddleware,
    "cors": CORSMiddleware,
    "httpsredirect": HTTPSRedirectMiddleware,
    "trustedhost": TrustedHostMiddleware,
}
CPU_SECONDS = 0.25


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_field_is_answered_as_it_should_be(name: str) -> None:
    case = CASES[name]
    expect = case["expect"]
    app = MIDDLEWARE[case["middleware"]](answer_with(), **case["options"])
    fields = [
        (key, expand(value)) for key, value in case["fields"] for _ in range(case.get("times", 1))
    ]
    scope = build_scope(case.get("path", "/"), case["method"], *fields)
    start = time.thread_time()
    channel = await call(app, scope)
    seconds = time.thread_time() - start
    assert channel.status == expect["status"]
    for field, value in expect["headers"].items():
        assert read(channel, field.encode()) == [value.encode()]
    for field in expect.get("absent", ()):
        assert read(channel, field.encode()) == []
    if "text" in expect:
        assert channel.body == expect["text"].encode()
    if expect.get("decoded"):
        assert decode(channel) == TEXT
    assert seconds < CPU_SECONDS


def test_every_attack_of_the_lists_has_its_cases() -> None:
    ids = {case["id"] for case in CASES.values()}
    assert {"E5", "E6", "E10", "G5", "G7", "H7", "host"} <= ids
