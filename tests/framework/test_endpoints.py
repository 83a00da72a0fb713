"""`HTTPEndpoint` and `WebSocketEndpoint`: which method answers, and how a WebSocket ends."""

from __future__ import annotations

import functools
import threading
from typing import Any

import pytest

from framework.applications import App
from framework.authentication import AuthCredentials, SimpleUser, requires
from framework.background import BackgroundTask
from framework.endpoints import HTTPEndpoint, WebSocketEndpoint
from framework.exceptions import HTTPException, WebSocketDisconnect, WebSocketException
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route, Router, WebSocketRoute
from framework.types import ASGIApp, Message, Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")


class Page(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse(f"get {request.path_params.get('name', '')}")

    def post(self, request: Request) -> Response:
        is_main = threading.current_thread() is threading.main_thread()
        return PlainTextResponse("main" if is_main else "a thread")


def as_app(endpoint: Any, path: str = "/{name}", **options: Any) -> App:
    return App(routes=[Route(path, endpoint)], **options)


def test_each_method_is_answered_by_the_method_of_its_name(client_factory: ClientFactory) -> None:
    methods = {
        method.lower(): staticmethod(functools.partial(answer_with, method))
        for method in METHODS
        if method != "HEAD"
    }
    client = client_factory(as_app(type("All", (HTTPEndpoint,), methods)))

    for method in METHODS:
        response = client.request(method, "/x")
        assert response.text == ("" if method == "HEAD" else method)
        assert response.status_code == 200


async def answer_with(method: str, request: Request) -> Response:
    return PlainTextResponse(method)


def test_a_sync_method_runs_in_a_thread(client_factory: ClientFactory) -> None:
    assert client_factory(as_app(Page)).post("/x").text == "a thread"


def test_head_falls_to_get(client_factory: ClientFactory) -> None:
    response = client_factory(as_app(Page)).head("/me")

    assert (response.status_code, response.headers["content-length"]) == (200, "6")


def test_a_head_of_its_own_is_called(client_factory: ClientFactory) -> None:
    class Own(Page):
        async def head(self, request: Request) -> Response:
            return Response(headers={"x-own": "1"})

    assert client_factory(as_app(Own)).head("/me").headers["x-own"] == "1"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "DISPATCH"])
@pytest.mark.parametrize("build", [as_app, lambda endpoint: endpoint])
def test_another_method_is_405_with_those_there_are(
    client_factory: ClientFactory, method: str, build: Any
) -> None:
    response = client_factory(build(Page)).request(method, "/x")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert response.text == "Method Not Allowed"


def test_allow_lists_methods_in_starlettes_order(client_factory: ClientFactory) -> None:
    methods = dict.fromkeys(("query", "options", "delete", "patch", "put", "post"), Page.get)
    response = client_factory(type("Many", (HTTPEndpoint,), methods)).get("/")

    assert response.headers["allow"] == "POST, PUT, PATCH, DELETE, OPTIONS, QUERY"


def test_a_method_that_is_none_is_not_there(client_factory: ClientFactory) -> None:
    class Reduced(Page):
        post = None  # type: ignore[assignment]

    response = client_factory(as_app(Reduced)).post("/x")

    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_the_handler_of_the_application_answers_405(client_factory: ClientFactory) -> None:
    async def explain(request: Request, exc: HTTPException) -> Response:
        return PlainTextResponse(f"only {exc.headers and exc.headers['Allow']}", 405)

    client = client_factory(as_app(Page, exception_handlers={405: explain}))

    assert client.put("/x").text == "only GET, HEAD, POST"


def test_a_route_to_a_class_asks_the_class_for_its_methods() -> None:
    route = Route("/", Page)

    assert route.methods is None
    assert route.name == "Page"


def test_a_method_put_in_place_later_is_called(
    client_factory: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_factory(as_app(Page))
    assert client.get("/x").text == "get x"

    monkeypatch.setattr(Page, "get", lambda self, request: PlainTextResponse("sync"))
    assert client.get("/x").text == "sync"
    monkeypatch.setattr(Page, "put", Page.post, raising=False)
    assert client.put("/x").text == "a thread"


def test_a_failing_method_is_handled_as_that_of_a_function(client_factory: ClientFactory) -> None:
    class Failing(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            raise HTTPException(418)

        def post(self, request: Request) -> Response:
            raise KeyError("post")

    async def explain(request: Request, exc: Exception) -> Response:
        return PlainTextResponse(repr(exc), 422)

    client = client_factory(as_app(Failing, exception_handlers={KeyError: explain}))

    assert client.get("/x").status_code == 418
    assert (client.post("/x").status_code, client.post("/x").text) == (422, "KeyError('post')")


def test_the_background_task_runs(client_factory: ClientFactory) -> None:
    done: list[int] = []

    class Working(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return Response(background=BackgroundTask(done.append, 1))

    client_factory(as_app(Working)).get("/x")

    assert done == [1]


class LogIn:
    """Stands for authentication: everybody may read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["auth"], scope["user"] = AuthCredentials(["read"]), SimpleUser("Ada")
        await self.app(scope, receive, send)


def test_requires_decorates_methods(client_factory: ClientFactory) -> None:
    class Guarded(HTTPEndpoint):
        @requires("read")
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("read")

        @requires("write")
        def post(self, request: Request) -> Response:
            return PlainTextResponse("write")

    client = client_factory(as_app(Guarded, middleware=[Middleware(LogIn)]))

    assert client.get("/x").text == "read"
    assert client.post("/x").status_code == 403


@pytest.mark.parametrize(
    ("endpoint", "kind"), [(HTTPEndpoint, "websocket"), (WebSocketEndpoint, "http")]
)
def test_the_other_kind_of_connection_is_refused(endpoint: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=f"{endpoint.__name__} answers .*, not '{kind}'"):
        endpoint({"type": kind}, None, None)


class Echo(WebSocketEndpoint):
    """Sends each frame back, and notes how the WebSocket ended."""

    codes: list[int]

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json([type(data).__name__, data if self.encoding else str(data)])

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        self.codes.append(close_code)


def build_echo(encoding: str | None, **members: Any) -> Any:
    return type("Echoes", (Echo,), {"encoding": encoding, "codes": [], **members})


@pytest.mark.parametrize(
    ("encoding", "frame", "answer"),
    [
        ("text", "a", ["str", "a"]),
        ("text", "", ["str", ""]),
        ("json", '{"a": 1}', ["dict", {"a": 1}]),
        ("json", b"[1]", ["list", [1]]),
        (None, "a", ["str", "a"]),
        (None, b"a", ["bytes", "b'a'"]),
        (None, b"", ["bytes", "b''"]),
    ],
)
def test_a_frame_is_decoded_as_the_encoding_says(
    client_factory: ClientFactory, encoding: str | None, frame: str | bytes, answer: list[Any]
) -> None:
    endpoint = build_echo(encoding)
    with client_factory(App(routes=[WebSocketRoute("/", endpoint)])).websocket_connect(
        "/"
    ) as socket:
        socket.send(
            {"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame}
        )
        assert socket.receive_json() == answer
        socket.close(4321)

    assert endpoint.codes == [4321]


def test_bytes_come_as_bytes(client_factory: ClientFactory) -> None:
    async def on_receive(self: Any, websocket: WebSocket, data: bytes) -> None:
        await websocket.send_bytes(data * 2)

    endpoint = build_echo("bytes", on_receive=on_receive)
    with client_factory(endpoint).websocket_connect("/") as socket:
        socket.send_bytes(b"ab")
        assert socket.receive_bytes() == b"abab"


WRONG_FRAMES = [
    ("text", b"a", 1003),
    ("bytes", "a", 1003),
    ("json", "{", 1007),
    ("json", b"\xff", 1007),
    ("json", "NaN", 1007),
    ("json", "[" * 100_000, 1007),
]


@pytest.mark.parametrize(("encoding", "frame", "code"), WRONG_FRAMES)
@pytest.mark.parametrize(
    "build",
    [
        lambda endpoint: App(routes=[WebSocketRoute("/", endpoint)]),
        lambda endpoint: Router([WebSocketRoute("/", endpoint)]),
        lambda endpoint: endpoint,
    ],
)
def test_a_wrong_frame_closes_with_its_code_and_raises_nothing(
    client_factory: ClientFactory, build: Any, encoding: str, frame: str | bytes, code: int
) -> None:
    endpoint = build_echo(encoding)
    with client_factory(build(endpoint)).websocket_connect("/") as socket:
        socket.send(
            {"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame}
        )
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_text()

    assert caught.value.code == code
    assert endpoint.codes == [code]


def test_an_error_of_ours_is_1011_and_raised(client_factory: ClientFactory) -> None:
    async def on_receive(self: Any, websocket: WebSocket, data: Any) -> None:
        raise KeyError("ours")

    endpoint = build_echo("text", on_receive=on_receive)
    client = client_factory(App(routes=[WebSocketRoute("/", endpoint)]))
    with pytest.raises(KeyError), client.websocket_connect("/") as socket:
        socket.send_text("a")

    assert endpoint.codes == [1011]


def test_a_close_that_is_raised_is_sent(client_factory: ClientFactory) -> None:
    async def on_connect(self: Any, websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketException(4000, "no")

    endpoint = build_echo("text", on_connect=on_connect)
    with client_factory(endpoint).websocket_connect("/") as socket:
        assert socket.receive() == {"type": "websocket.close", "code": 4000, "reason": "no"}


def test_on_connect_may_refuse(client_factory: ClientFactory) -> None:
    async def on_connect(self: Any, websocket: WebSocket) -> None:
        await websocket.close(4001)

    endpoint = build_echo("text", on_connect=on_connect)
    with pytest.raises(WebSocketDisconnect), client_factory(endpoint).websocket_connect("/"):
        pass


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.disconnect"},
        {"type": "websocket.disconnect", "code": None},
    ],
)
@pytest.mark.anyio
async def test_an_end_without_a_code_is_1000(message: Message) -> None:
    incoming: list[Message] = [{"type": "websocket.connect"}, message]
    endpoint = build_echo("text")

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        pass

    await endpoint({"type": "websocket"}, receive, send)

    assert endpoint.codes == [1000]


def test_an_unknown_encoding_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(ValueError, match="encoding='xml' of Echoes is none of"):
        build_echo("xml")


def test_a_decode_of_its_own_may_have_any_encoding(client_factory: ClientFactory) -> None:
    async def decode(self: Any, websocket: WebSocket, message: Message) -> str:
        return str(message["text"]).upper()

    with client_factory(build_echo("upper", decode=decode)).websocket_connect("/") as socket:
        socket.send_text("a")
        assert socket.receive_json() == ["str", "A"]
