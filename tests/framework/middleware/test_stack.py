"""A stack of middleware that cannot work is refused at start-up, with both layers and the remedy."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware._stack import (
    CHANGES_BODY,
    NO_LAYERS,
    ONCE,
    ORDERS,
    READS_SESSION,
    READS_USER,
    TRAITS,
    check_stack,
)
from framework.middleware.authentication import AuthenticationMiddleware
from framework.middleware.base import BaseHTTPMiddleware
from framework.middleware.compress import CompressMiddleware
from framework.middleware.cors import CORSMiddleware
from framework.middleware.etag import ETagMiddleware
from framework.middleware.gzip import GZipMiddleware
from framework.middleware.sessions import SessionMiddleware
from framework.middleware.timeout import TimeoutMiddleware
from framework.responses import Response
from framework.routing import Mount, Route, Router, WebSocketRoute
from framework.testclient import TestClient
from framework.types import ASGIApp, Receive, Scope, Send
from tests.clients import ClientFactory

TABLED = sorted(
    {*ONCE, *NO_LAYERS}.union(*({order.outer, order.inner} for order in ORDERS)) - set(TRAITS)
)


def find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", TABLED)
def test_every_class_in_the_tables_is_there(path: str) -> None:
    assert isinstance(find(path), type)


def layer_for(kind: str) -> Middleware:
    """Return a layer of a class, or one that has a trait."""
    if kind not in TRAITS:
        return Middleware(find(kind))
    own: Any = type("Own", (Plain,), {"stack_traits": (kind,)})
    return Middleware(own)


class Plain:
    """Middleware of one's own."""

    def __init__(self, app: ASGIApp, option: object = None) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.outer}, {order.inner}")
def test_an_order_that_cannot_work_is_refused(order: Any) -> None:
    outer, inner = layer_for(order.outer), layer_for(order.inner)
    check_stack([outer, inner])

    with pytest.raises(ValueError) as caught:
        check_stack([inner, Middleware(Plain), outer])

    text = str(caught.value)
    assert text.startswith(f"{name(inner)} stands outside of {name(outer)}: {order.reason}. ")
    assert f"Put {name(outer)} before {name(inner)} in the list of middleware" in text


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (READS_SESSION, SessionMiddleware),
        (READS_USER, AuthenticationMiddleware),
        (CHANGES_BODY, CompressMiddleware),
        (CHANGES_BODY, GZipMiddleware),
        (ETagMiddleware, CompressMiddleware),
    ],
)
def test_the_tables_know_what_cannot_work(outer: Any, inner: Any) -> None:
    """The other tests ask the tables; this one asks what they leave out."""
    layer = layer_for(outer) if outer in TRAITS else Middleware(outer)
    with pytest.raises(ValueError, match="stands outside of"):
        check_stack([layer, Middleware(inner)])


def name(layer: Middleware) -> str:
    return str(getattr(layer.cls, "__name__", ""))


@pytest.mark.parametrize("path", ONCE)
def test_what_there_can_be_one_of_is_refused_twice(path: str) -> None:
    layer = Middleware(find(path))
    with pytest.raises(ValueError, match=f"^{name(layer)}: there can be one in a stack"):
        check_stack([layer, Middleware(Plain), layer])


def test_a_subclass_counts_as_what_it_is_derived_from() -> None:
    class Own(SessionMiddleware):
        pass

    with pytest.raises(ValueError, match=r"^Own and SessionMiddleware: there can be one"):
        check_stack([Middleware(Own), Middleware(SessionMiddleware)])  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"^GZipMiddleware and CompressMiddleware: "):
        check_stack([Middleware(GZipMiddleware), Middleware(CompressMiddleware)])


def test_a_partial_counts_as_what_it_calls() -> None:
    layer: Any = functools.partial(CORSMiddleware, allow_origins=["*"])
    with pytest.raises(ValueError, match="CORSMiddleware: there can be one"):
        check_stack([Middleware(layer), Middleware(CORSMiddleware)])


async def dispatch(request: Any, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [Middleware(BaseHTTPMiddleware, dispatch=dispatch)] * 3,
        [Middleware(Plain), Middleware(Plain)],
        [Middleware(TimeoutMiddleware), Middleware(Plain), Middleware(TimeoutMiddleware)],
        [Middleware(AuthenticationMiddleware, backend=None), Middleware(SessionMiddleware)],  # type: ignore[arg-type, call-arg]
        [Middleware(lambda app: app), Middleware(lambda app: app)],
    ],
    ids=["nothing", "one class thrice", "plain", "two deadlines", "users", "functions"],
)
def test_what_is_merely_unusual_passes(layers: list[Middleware]) -> None:
    check_stack(layers)


class SessionBackend:
    """A backend that finds the user in the session, and says so."""

    stack_traits = ("reads session",)

    async def authenticate(self, conn: Any) -> None:
        conn.session.get("user")


def test_a_class_in_place_of_middleware_of_it_is_refused() -> None:
    layers: Any = [CompressMiddleware]
    with pytest.raises(TypeError, match=r"write Middleware\(CompressMiddleware, ...\)"):
        check_stack(layers)


def test_an_option_says_what_its_layer_does() -> None:
    backend: Any = SessionBackend()
    session = Middleware(SessionMiddleware, secret_key="k" * 16)
    for layer in (
        Middleware(AuthenticationMiddleware, backend=backend),
        Middleware(AuthenticationMiddleware, backend),
    ):
        check_stack([session, layer])
        with pytest.raises(
            ValueError,
            match="AuthenticationMiddleware stands outside of SessionMiddleware: it reads",
        ):
            check_stack([layer, session])


def test_an_option_in_a_list_counts_too() -> None:
    layer = Middleware(Plain, [object(), SessionBackend()])
    with pytest.raises(ValueError, match="Plain stands outside of SessionMiddleware"):
        check_stack([layer, Middleware(SessionMiddleware, secret_key="k" * 16)])


def test_an_unknown_trait_is_refused_with_the_known_ones() -> None:
    layer = layer_for(CHANGES_BODY)
    layer.cls.stack_traits = ("reads sesion",)  # type: ignore[attr-defined]
    with pytest.raises(
        ValueError, match=r"'reads sesion' is none of 'reads session', 'reads user'"
    ):
        check_stack([layer])


def test_an_attribute_of_that_name_with_another_meaning_is_left_alone() -> None:
    class Other:
        def __getattr__(self, name: str) -> object:
            return self

    check_stack([Middleware(Plain, Other())])


BAD = [Middleware(CORSMiddleware), Middleware(CORSMiddleware)]


def test_an_application_refuses_when_it_starts(client_factory: ClientFactory) -> None:
    app = App()
    app.add_middleware(CompressMiddleware)
    own: Any = layer_for(CHANGES_BODY).cls
    app.add_middleware(own)

    with pytest.raises(ValueError, match="with add_middleware: add it after"), client_factory(app):
        pass
    app.user_middleware.reverse()
    with client_factory(app) as client:
        assert client.get("/").status_code == 404


async def endpoint(*_: Any) -> Response:
    return Response()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Route("/", endpoint, middleware=BAD),
        lambda: WebSocketRoute("/", endpoint, middleware=BAD),
        lambda: Mount("/", routes=[], middleware=BAD),
        lambda: Router([], middleware=BAD),
    ],
)
def test_the_stack_of_a_route_or_a_router_is_refused_when_it_is_made(build: Any) -> None:
    with pytest.raises(ValueError, match="CORSMiddleware: there can be one in a stack"):
        build()


def test_one_in_the_application_and_one_at_a_route_are_two_stacks() -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://a.example"])
    app = App(routes=[Route("/", endpoint, middleware=[cors])], middleware=[cors])

    with TestClient(app) as client:
        assert client.get("/").status_code == 200
