"""`SessionMiddleware`: options that are refused, and those that are warned of."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from framework.datastructures import Secret
from framework.middleware import Middleware
from framework.middleware.sessions import SessionMiddleware
from framework.responses import PlainTextResponse
from framework.types import Receive, Scope, Send
from tests.framework.asgi import build_scope, call

pytestmark = pytest.mark.anyio

KEY = "a key of enough bytes"


async def sign_in(scope: Scope, receive: Receive, send: Send) -> None:
    scope["session"]["user"] = 1
    await PlainTextResponse("")(scope, receive, send)


async def find_cookie(options: dict[str, Any]) -> str:
    """Return the `Set-Cookie` field that a session of these options is sent in."""
    app = SessionMiddleware(sign_in, **{"secret_key": KEY, **options})
    return (await call(app, build_scope())).headers[b"set-cookie"].decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secret_key": []}, "empty list"),
        ({"session_cookie": "a b"}, "'a b' is not a token"),
        ({"path": "/;x"}, "cookie path '/;x'"),
        ({"path": "/\u20ac"}, "is not latin-1"),
        ({"domain": "a\r\nb"}, "cookie domain"),
        ({"same_site": "loose"}, "samesite='loose'"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SessionMiddleware(PlainTextResponse(""), **{"secret_key": KEY, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secret_key": "short"}, "secret_key number 0 has 5 bytes"),
        ({"secret_key": ""}, "secret_key number 0 has 0 bytes"),
        ({"secret_key": [KEY, Secret("")]}, "secret_key number 1 has 0 bytes"),
        ({"secret_key": b"a key of enough bytes"}, "secret_key number 0 is of type bytes"),
        ({"secret_key": 12345678901234567890}, "secret_key number 0 is of type int"),
        ({"max_age": -1}, "max_age=-1"),
        ({"same_site": "none", "https_only": False}, "leave https_only out"),
        ({"partitioned": True, "https_only": False}, "leave https_only out"),
        ({"session_cookie": "__Host-s", "path": "/a"}, "browsers refuse this prefix"),
    ],
)
async def test_what_is_unwise_is_warned_of_and_works(
    options: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = (await find_cookie(options)).partition("=")[2]
    assert b64decode(value.partition(".")[0]) == b'{"user": 1}'
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("framework.middleware.sessions", "WARNING")
    assert message in record.getMessage()


async def test_same_site_none_is_what_starlette_makes_of_it() -> None:
    assert (await find_cookie({"same_site": None})).endswith("; samesite=None; secure")


def test_a_key_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    middleware = SessionMiddleware(PlainTextResponse(""), [KEY, "hush"])
    assert "hush" not in caplog.text
    assert KEY not in repr((middleware, middleware.cookie, vars(middleware)))
    assert KEY not in repr(Middleware(SessionMiddleware, secret_key=KEY))
