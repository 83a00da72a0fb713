"""Apps that raise, and apps that break the ASGI specification."""

from __future__ import annotations

import subprocess
import sys

import pytest

from framework.testclient import TestClient
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import body, hello, sends, start


class Failure(Exception):
    pass


async def fail_early(scope: Scope, receive: Receive, send: Send) -> None:
    raise Failure


async def fail_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"partial", more=True))
    raise Failure


async def fail_late(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)
    raise Failure


@pytest.mark.parametrize("app", [fail_early, fail_midway, fail_late])
def test_the_exception_of_the_app_is_raised(app: ASGIApp, client_factory: ClientFactory) -> None:
    client = client_factory(app)
    with pytest.raises(Failure):
        client.get("/")
    with pytest.raises(Failure), client.stream("GET", "/") as response:
        response.read()


@pytest.mark.parametrize(
    ("app", "status", "content"),
    [(fail_early, 500, b""), (fail_midway, 200, b"partial"), (fail_late, 200, b"hello")],
)
def test_the_exception_of_the_app_can_be_a_response(
    app: ASGIApp, status: int, content: bytes, client_factory: ClientFactory
) -> None:
    client = client_factory(app, raise_server_exceptions=False)
    response = client.get("/")
    assert (response.status_code, response.content) == (status, content)
    with client.stream("GET", "/") as streamed:
        assert (streamed.status_code, streamed.read()) == (status, content)


def test_a_hook_sees_the_response_before_the_exception_is_raised() -> None:
    statuses = []
    client = TestClient(fail_late)
    client.event_hooks = {"response": [lambda response: statuses.append(response.status_code)]}
    with pytest.raises(Failure):
        client.get("/")
    assert statuses == [200]


TRAILERS = {"type": "http.response.trailers", "headers": []}


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "TestClient did not receive any response"),
        ([body()], "'http.response.body' before 'http.response.start'"),
        ([start(), start()], "second 'http.response.start'"),
        ([start(), body(), body()], "after body completed"),
        ([start(), {"type": "http.response.push"}], "sent 'http.response.push', which is no mess"),
        ([start(), body(), TRAILERS], "without declaring trailers"),
        ([start(trailers=True), TRAILERS], "trailers' before body completed"),
        ([start(trailers=True), body(), TRAILERS, TRAILERS], "after response completed"),
        ([start(200, ("x-name", "text"))], r"header \('x-name', 'text'\); names and values are b"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_response_fails_the_test(messages: list[Message], complaint: str) -> None:
    client = TestClient(sends(*messages))
    with pytest.raises(AssertionError, match=complaint):
        client.get("/")
    with pytest.raises(AssertionError, match=complaint), client.stream("GET", "/") as response:
        response.read()


def test_a_message_of_an_extension_in_the_scope_is_no_fault(client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["http.response.push"] = {}
        await send({"type": "http.response.push", "path": "/style.css", "headers": []})
        await hello(scope, receive, send)

    assert client_factory(app).get("/").content == b"hello"


_IMPORT = """
import sys, warnings
{prepare}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from framework.testclient import TestClient
print([str(each.message) for each in caught if "httpx" in str(each.message)])
"""


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        ("", "[]"),
        (
            "import httpx2; sys.modules['httpx'] = httpx2; sys.modules['httpx2'] = None",
            "['The test client uses httpx, which is deprecated: run `pip install httpx2`']",
        ),
        (
            "sys.modules['httpx'] = sys.modules['httpx2'] = None",
            "RuntimeError: The test client needs httpx2, which is not installed: run `pip install httpx2`",
        ),
    ],
    ids=["httpx2", "httpx", "neither"],
)
def test_the_older_http_client_will_do(prepare: str, expected: str) -> None:
    command = [sys.executable, "-c", _IMPORT.format(prepare=prepare)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout or done.stderr).rstrip().splitlines()[-1] == expected
