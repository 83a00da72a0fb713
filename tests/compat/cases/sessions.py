"""Sessions: every change of the dictionary, every kind of cookie. Times and signatures are cut off."""

from __future__ import annotations

import functools
import json
import re
from base64 import b64encode
from typing import Any, Final

import itsdangerous

from tests.compat.harness import Case, Request, Socket

KEY: Final = "a key of enough bytes"
_SIGNATURE: Final = re.compile(rb"^([^.;]*)\.[^;]*")


class OldSigner(itsdangerous.TimestampSigner):
    """Signs as it did long ago."""

    def get_timestamp(self) -> int:
        return 1_000_000_000


def sign(session: Any, signer: type[itsdangerous.TimestampSigner] = OldSigner) -> str:
    """Return the value of a session cookie."""
    return signer(KEY).sign(b64encode(json.dumps(session).encode())).decode()


async def cut_signature(send: Any, message: Any) -> None:
    """Send a message without what depends on the time."""
    if message.get("headers"):
        fields = [
            (name, _SIGNATURE.sub(rb"\1", value) if name == b"set-cookie" else value)
            for name, value in message["headers"]
        ]
        message = {**message, "headers": fields}
    await send(message)


class CutSignatures:
    """Cuts off what depends on the time."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, functools.partial(cut_signature, send))


def merge(session: Any) -> None:
    session |= {"a": 2}


def fail(session: Any) -> None:
    session["b"] = 1
    raise LookupError("unhandled")


USES: Final[dict[str, Any]] = {
    "read": lambda session: session.get("a"),
    "set": lambda session: session.__setitem__("b", [1, {"x": None}, 1.5, "\u20ac"]),
    "same": lambda session: session.__setitem__("a", 1),
    "del": lambda session: session.__delitem__("a"),
    "pop": lambda session: session.pop("a"),
    "pop_default": lambda session: session.pop("none", "default"),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("a", 3),
    "update": lambda session: session.update({"c": 1}, d=2),
    "merge": merge,
    "clear": lambda session: session.clear(),
    "mark": lambda session: session.mark_modified(),
    "fail": fail,
    "nested": lambda session: session.setdefault("list", []).append(1),
}


def build_sessions(options: dict[str, Any], names: Any) -> Any:
    """Build an application that uses its session in the way that the path says."""

    async def use(request: Any) -> Any:
        result = USES[request.path_params["use"]](request.session)
        flags = (request.session.accessed, request.session.modified)
        names.notes.append(f"{result!r} {dict(request.session)!r} {flags}")
        return names.PlainTextResponse("used", headers=dict(request.query_params))

    async def untouched(request: Any) -> Any:
        return names.PlainTextResponse("untouched")

    async def direct(request: Any) -> Any:
        return names.PlainTextResponse(repr(request.scope["session"]))

    async def socket(websocket: Any) -> None:
        names.notes.append(repr(dict(websocket.session)))
        websocket.session["ws"] = 1
        await websocket.accept()
        await websocket.close()

    return names.App(
        routes=[
            names.Route("/untouched", untouched),
            names.Route("/direct", direct),
            names.WebSocketRoute("/ws", socket),
            names.Route("/{use}", use),
        ],
        middleware=[
            names.Middleware(CutSignatures),
            names.Middleware(names.SessionMiddleware, secret_key=KEY, **options),
        ],
    )


def with_cookie(request: Request, value: str) -> Request:
    """Return the request with a session cookie."""
    return request.with_headers(("cookie", f"first=1; session={value}; last=2"))


VALUE: Final = sign({"a": 1})
_COOKIES: Final = {
    "forged": VALUE[:-2] + "xx",
    "unsigned": b64encode(b'{"a": 1}').decode(),
    "empty": "",
    "null": "null",
    "quoted": f'"{VALUE}"',
    "list": sign({"list": [0]}),
    "no_object": sign([1]),
    "empty_object": sign({}),
}
_ALL: Final = tuple(
    with_cookie(Request(f"/{use}", label=label), value)
    for use in (*(use for use in USES if use != "nested"), "untouched")
    for label, value in (("with a session", VALUE), ("without one", "x"))
)
_MORE: Final = (
    *(
        with_cookie(Request(f"/{use}", label=label), value)
        for use in ("read", "set", "clear")
        for label, value in _COOKIES.items()
    ),
    with_cookie(Request("/nested", label="list"), _COOKIES["list"]),
    Request("/nested", label="new list"),
    Request("/read", query="vary=Accept"),
    Request("/read", query="vary=cookie"),
    Request("/read", query="cache-control=no-store"),
    with_cookie(Request("/direct"), VALUE),
    with_cookie(Socket("/ws"), VALUE),
)
_FEW: Final = (
    with_cookie(Request("/set"), VALUE),
    with_cookie(Request("/clear"), VALUE),
    with_cookie(Request("/read"), sign({"a": 1}, itsdangerous.TimestampSigner)),
)

# The cookies were signed long ago: only a session without an end is still one.
FOREVER: Final = {"max_age": None, "https_only": False}
CASES = (
    Case("sessions", functools.partial(build_sessions, FOREVER), (*_ALL, *_MORE)),
    Case("session ages", functools.partial(build_sessions, {"https_only": False}), _FEW),
    Case("session defaults", functools.partial(build_sessions, {}), _FEW),
    Case(
        "session attributes",
        functools.partial(
            build_sessions,
            {**FOREVER, "path": "/a", "same_site": "strict", "domain": "example.org"},
        ),
        _FEW,
    ),
    Case(
        "session flags",
        functools.partial(
            build_sessions,
            {**FOREVER, "same_site": "none", "https_only": True, "partitioned": True},
        ),
        _FEW,
    ),
    Case(
        "session name",
        functools.partial(build_sessions, {**FOREVER, "session_cookie": "first"}),
        _FEW,
    ),
)
