"""Hostile cookies as data: each file of `cookies/` is an attack and the session it has to get.

`cookies` is a list of `Cookie` fields, each a list of texts, of `{"repeat": ..., "times": n}`, and of
sessions to be signed: `{"sign": ..., "key": ..., "at": time, "cut": characters off the end}`, or
`sign_text` for what is no JSON. `cpu_ms` is what the attack may cost; the test allows several times that.
"""

from __future__ import annotations

import json
import logging
import time
from base64 import b64encode
from typing import Any

import itsdangerous
import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.sessions import SessionMiddleware
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route
from tests.corpus.attacks import expand, load_cases
from tests.framework.asgi import build_scope, call

pytestmark = pytest.mark.anyio

CASES = load_cases("cookies")
CPU_SLACK = 8
KEYS = ["the key of this year", "the key of last year"]


class SignerAt(itsdangerous.TimestampSigner):
    """Signs as if it were another time."""

    def __init__(self, key: str, at: int | None) -> None:
        super().__init__(key)
        self.at = at

    def get_timestamp(self) -> int:
        return super().get_timestamp() if self.at is None else self.at


def expand_session(value: Any) -> Any:
    """Return a session with its long texts written out."""
    if not isinstance(value, dict):
        return value
    if "repeat" in value:
        return expand(value)
    return {key: expand_session(each) for key, each in value.items()}


def write(part: Any) -> str:
    """Return one part of a cookie field as text."""
    if not isinstance(part, dict) or "repeat" in part:
        return expand(part)
    if "sign_text" in part:
        data = expand(part["sign_text"]).encode("latin-1")
    else:
        data = json.dumps(expand_session(part["sign"])).encode()
    signer = SignerAt(part.get("key", KEYS[0]), part.get("at"))
    value = signer.sign(b64encode(data)).decode()
    return value[: len(value) - part.get("cut", 0)]


async def show(request: Request[Any]) -> JSONResponse:
    return JSONResponse(request.session)


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_cookie_gives_the_session_it_should(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case = CASES[name]
    app = App(routes=[Route("/", show)], middleware=[Middleware(SessionMiddleware, KEYS)])
    fields = [("cookie", "".join(map(write, parts))) for parts in case["cookies"]]
    scope = build_scope("/", "GET", *fields)
    with caplog.at_level(logging.DEBUG):
        start = time.thread_time()
        channel = await call(app, scope)
        seconds = time.thread_time() - start
    assert channel.status == 200
    assert json.loads(channel.body) == case["expect"]["session"]
    assert b"set-cookie" not in channel.headers
    assert seconds < CPU_SLACK * case.get("cpu_ms", 1000) / 1000
    assert [each for each in caplog.records if each.name.startswith("framework")] == []


def test_every_attack_of_the_list_has_its_cases() -> None:
    assert {name[:2] for name in CASES} == {"e1", "e2", "e7"}
