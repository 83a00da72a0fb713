"""Hostile conditions as data: each file of `conditions/` is a request and the status of its answer.

The response has the date 5 January 2026 and a tag of its own, which is written `{tag}`.
"""

from __future__ import annotations

import time

import pytest

from framework.middleware.etag import ETagMiddleware
from framework.responses import PlainTextResponse
from tests.corpus.attacks import expand, load_cases
from tests.framework.asgi import build_scope, call

pytestmark = pytest.mark.anyio

CASES = load_cases("conditions")
CPU_SLACK = 8
TAG = '"the tag"'


@pytest.mark.parametrize("own_tag", [True, False])
@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_condition_is_answered_as_it_should_be(name: str, own_tag: bool) -> None:
    case = CASES[name]
    headers = {"last-modified": "Mon, 05 Jan 2026 10:00:00 GMT"}
    if own_tag:
        headers["etag"] = TAG
    app = ETagMiddleware(PlainTextResponse("content", headers=headers))
    tag = (await call(app, build_scope())).headers[b"etag"].decode()
    fields = [(field, expand(value).replace("{tag}", tag)) for field, value in case["headers"]]
    start = time.thread_time()
    channel = await call(app, build_scope("/", "GET", *fields))
    seconds = time.thread_time() - start
    assert channel.status == case["expect"]
    assert seconds < CPU_SLACK * case.get("cpu_ms", 1000) / 1000
