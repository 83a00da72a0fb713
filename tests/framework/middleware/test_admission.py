"""So many requests at once, a short queue, and 503 for the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.applications import App
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.admission import Admission, AdmissionMiddleware
from framework.requests import Request
from framework.responses import EventSourceResponse, PlainTextResponse, Response
from framework.routing import Route, WebSocketRoute
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import answer_problem

pytestmark = pytest.mark.anyio


class Held:
    """Notes each request and holds it until it is let go."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.gates: dict[str, anyio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.order.append(scope["path"])
        gate = self.gates[scope["path"]] = anyio.Event()
        await gate.wait()
        await PlainTextResponse("done")(scope, receive, send)


class Crowd:
    """Requests to an application, each in a task."""

    def __init__(self, admission: Admission, **options: Any) -> None:
        self.held = Held()
        self.app = AdmissionMiddleware(self.held, admission, **options)
        self.channels: dict[str, Channel] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.ended: dict[str, anyio.Event] = {}

    async def send(self, path: str) -> None:
        self.ended[path] = anyio.Event()
        with anyio.CancelScope() as self.scopes[path]:
            self.channels[path] = await call(self.app, build_scope(path))
        self.ended[path].set()

    async def start(self, tasks: anyio.abc.TaskGroup, *paths: str) -> None:
        """Start requests one after the other, each before the next."""
        for path in paths:
            tasks.start_soon(self.send, path)
            await anyio.wait_all_tasks_blocked()

    async def finish(self, path: str) -> None:
        self.held.gates[path].set()
        await anyio.wait_all_tasks_blocked()


async def test_those_who_wait_get_in_in_the_order_in_which_they_came() -> None:
    admission = Admission(2, max_waiting=3, max_wait=10)
    crowd = Crowd(admission)
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2", "/3", "/4", "/5")
        assert crowd.held.order == ["/1", "/2"]
        assert admission.statistics() == (2, 3, 0)
        for path in ("/2", "/1", "/3", "/4", "/5"):
            await crowd.finish(path)
    assert crowd.held.order == ["/1", "/2", "/3", "/4", "/5"]
    assert all(channel.status == 200 for channel in crowd.channels.values())
    assert admission.statistics() == (0, 0, 0)


async def test_who_finds_the_queue_full_is_refused_at_once() -> None:
    admission = Admission(1, max_waiting=1, max_wait=10)
    crowd = Crowd(admission, retry_after=7)
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2", "/3")
        assert crowd.channels["/3"].status == 503
        assert crowd.channels["/3"].headers[b"retry-after"] == b"7"
        assert crowd.channels["/3"].body == b"The server is busy."
        assert admission.statistics() == (1, 1, 1)
        await crowd.finish("/1")
        await crowd.finish("/2")
    assert crowd.held.order == ["/1", "/2"]


async def test_who_waits_too_long_is_refused() -> None:
    admission = Admission(1, max_wait=0.02)
    crowd = Crowd(admission)
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2")
        await crowd.ended["/2"].wait()
        assert crowd.channels["/2"].status == 503
        assert admission.statistics() == (1, 0, 1)
        await crowd.finish("/1")
    assert admission.statistics() == (0, 0, 1)


async def test_without_a_queue_nobody_waits() -> None:
    crowd = Crowd(Admission(1, max_waiting=0))
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2")
        assert crowd.channels["/2"].status == 503
        await crowd.finish("/1")


async def test_who_is_cancelled_while_waiting_leaves_the_queue() -> None:
    admission = Admission(1, max_wait=10)
    crowd = Crowd(admission)
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2", "/3")
        crowd.scopes["/2"].cancel()
        await anyio.wait_all_tasks_blocked()
        assert admission.statistics() == (1, 1, 0)
        await crowd.finish("/1")
        await crowd.finish("/3")
    assert crowd.held.order == ["/1", "/3"]
    assert admission.statistics() == (0, 0, 0)


async def test_a_place_given_to_one_who_is_cancelled_goes_to_the_next() -> None:
    admission = Admission(1, max_wait=10)
    crowd = Crowd(admission)
    assert await admission.acquire()
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1", "/2")
        admission.release()  # hands the place to /1, which has no time to notice
        crowd.scopes["/1"].cancel()
        await anyio.wait_all_tasks_blocked()
        assert crowd.held.order[-1] == "/2"
        assert admission.statistics() == (1, 0, 0)
        await crowd.finish("/2")
    assert admission.statistics() == (0, 0, 0)


async def test_a_place_is_given_back_whatever_happens() -> None:
    admission = Admission(1)

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        assert admission.statistics().in_flight == 1
        raise LookupError("broken")

    app = AdmissionMiddleware(fail, admission)
    with pytest.raises(LookupError, match="broken"):
        await call(app, build_scope())
    assert admission.statistics() == (0, 0, 0)
    crowd = Crowd(admission)
    async with anyio.create_task_group() as tasks:
        await crowd.start(tasks, "/1")
        crowd.scopes["/1"].cancel()
    assert admission.statistics() == (0, 0, 0)


async def test_a_storm_of_cancellations_loses_no_place() -> None:
    admission = Admission(3, max_waiting=20, max_wait=0.005)

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        assert admission.statistics().in_flight <= 3
        await anyio.sleep(0.001 * (hash(scope["path"]) % 4))
        await PlainTextResponse("done")(scope, receive, send)

    app = AdmissionMiddleware(work, admission)

    async def visit(number: int) -> None:
        with anyio.move_on_after(0.001 * (number % 7)):
            await call(app, build_scope(f"/{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(visit, number)
            if number % 10 == 0:
                await anyio.lowlevel.checkpoint()
    assert admission.statistics()[:2] == (0, 0)


async def hello(request: Request[Any]) -> Response:
    return PlainTextResponse("hello")


async def greet(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.send_text("hello")


def test_health_checks_and_sockets_get_in_when_all_is_full(client_factory: ClientFactory) -> None:
    admission = Admission(1, max_waiting=0)
    app = App(
        routes=[Route("/", hello), Route("/livez", hello), WebSocketRoute("/socket", greet)],
        middleware=[Middleware(AdmissionMiddleware, admission, exempt=["/livez"])],
        exception_handlers={HTTPException: answer_problem},
    )
    with client_factory(app) as client:
        assert client.get("/").text == "hello"
        anyio.run(admission.acquire)
        response = client.get("/")
        assert (response.status_code, response.json()) == (503, {"status": 503})
        assert response.headers["retry-after"] == "1"
        assert client.get("/livez").text == "hello"
        with client.websocket_connect("/socket") as websocket:
            assert websocket.receive_text() == "hello"
        admission.release()
        assert client.get("/").text == "hello"
    assert admission.statistics() == (0, 0, 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_in_flight": 0}, "max_in_flight=0 must be at least 1"),
        ({"max_waiting": -1}, "max_waiting=-1 must not be negative"),
        ({"max_wait": 0}, "max_wait=0 must be above 0"),
    ],
)
def test_bad_numbers_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Admission(**options)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="retry_after=0 must be at least 1 second"):
        AdmissionMiddleware(PlainTextResponse("x"), retry_after=0)
    with pytest.raises(TypeError, match="pass a collection of paths"):
        AdmissionMiddleware(PlainTextResponse("x"), exempt="/livez")


async def test_an_event_stream_gives_its_place_back_when_it_begins() -> None:
    admission = Admission(1, max_waiting=0)
    begin, leave = anyio.Event(), anyio.Event()

    async def events() -> AsyncIterator[str]:
        yield "first"
        await leave.wait()

    async def news(request: Request[Any]) -> Response:
        await begin.wait()
        return EventSourceResponse(events())

    routes = [Route("/news", news), Route("/", lambda _: PlainTextResponse("home"))]
    app = App(routes=routes, middleware=[Middleware(AdmissionMiddleware, admission)])
    async with anyio.create_task_group() as tasks:
        for place in range(3):
            tasks.start_soon(call, app, build_scope("/news"))
            await anyio.wait_all_tasks_blocked()
            assert admission.statistics().in_flight == (place == 0)
            assert (await call(app, build_scope("/"))).status == (503 if place == 0 else 200)
            begin.set()
            await anyio.wait_all_tasks_blocked()
        assert admission.statistics().in_flight == 0
        leave.set()
    assert admission.statistics() == (0, 0, 1)
