"""Forged requests as data: each file of `origins/` is a request or WebSocket and its answer.

Values of `headers` are texts, or lists of texts and of `{"repeat": ..., "times": n}`.
"""

from __future__ import annotations

import time

import pytest

from framework.middleware.cross_origin import CrossOriginProtection
from framework.responses import PlainTextResponse
from tests.corpus.attacks import expand, load_cases
from tests.framework.asgi import Channel, build_scope

pytestmark = pytest.mark.anyio

CASES = load_cases("origins")
CPU_SLACK = 8


@pytest.mark.parametrize("name", CASES)
async def test_a_forged_request_is_answered_as_it_should_be(name: str) -> None:
    case = CASES[name]
    fields = [(field, expand(value)) for field, value in case["headers"]]
    scope = build_scope("/", case.get("method", "POST"), *fields)
    if case.get("websocket"):
        scope = {**scope, "type": "websocket", "extensions": {"websocket.http.response": {}}}
    channel = Channel()
    app = CrossOriginProtection(PlainTextResponse("changed"))
    start = time.thread_time()
    await app(scope, channel.receive, channel.send)
    seconds = time.thread_time() - start
    assert channel.status == case["expect"]
    assert seconds < CPU_SLACK * case.get("cpu_ms", 1000) / 1000


def test_every_attack_of_the_list_has_its_cases() -> None:
    assert {name[:2] for name in CASES} == {"e4", "e8"}
