"""Errors are problem documents (RFC 9457), whoever raises them and wherever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Struct

from app.problems import EXCEPTION_HANDLERS, ProblemError, read_json
from framework.applications import App
from framework.exceptions import HTTPException
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route
from framework.testclient import TestClient
from tests.clients import ClientFactory

JSON = {"Content-Type": "application/json"}


class Item(Struct, forbid_unknown_fields=True):
    price: float


class Order(Struct):
    items: list[Item] = []
    notes: dict[str, int] = {}


async def take_order(request: Request[Any]) -> JSONResponse:
    return JSONResponse(await read_json(request, Order))


async def refuse(request: Request[Any]) -> JSONResponse:
    status = request.path_params["status"]
    raise HTTPException(status, request.query_params.get("detail"), headers={"X-Reason": "test"})


async def conflict(request: Request[Any]) -> JSONResponse:
    errors = ({"detail": "taken", "pointer": "#/name"},)
    raise ProblemError(409, "The name is taken.", errors=errors)


async def fail(request: Request[Any]) -> JSONResponse:
    raise RuntimeError("the password is swordfish")


ORDERS = App(
    routes=[
        Route("/orders", take_order, methods=["POST"]),
        Route("/refuse/{status:int}", refuse),
        Route("/conflict", conflict),
        Route("/fail", fail),
    ],
    exception_handlers=EXCEPTION_HANDLERS,
    max_body_size=1000,
)


@pytest.fixture
def orders(client_factory: ClientFactory) -> TestClient:
    return client_factory(ORDERS, raise_server_exceptions=False)


def assert_problem(response: Any, status: int, title: str, detail: str | None) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"] == title
    assert problem.get("detail") == detail


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    response = client.get("/nowhere")

    assert_problem(response, 404, "Not Found", "There is nothing at this path.")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(orders: TestClient) -> None:
    response = orders.delete("/orders")

    assert_problem(response, 405, "Method Not Allowed", "This resource answers to POST.")
    assert response.headers["allow"] == "POST"


def test_a_problem_tells_the_id_of_its_request(client: TestClient) -> None:
    response = client.get("/nowhere", headers={"X-Request-ID": "abc-1"})

    assert response.json()["request_id"] == "abc-1"
    assert response.headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("text/plain", "'text/plain'"),
        ("application/x-www-form-urlencoded", "'application/x-www-form-urlencoded'"),
        ("application/json-seq", "'application/json-seq'"),
        ("application/jsonp; charset=utf-8", "'application/jsonp'"),
        ("", "no Content-Type"),
    ],
)
def test_a_body_that_is_not_declared_json_is_refused(
    orders: TestClient, content_type: str, sent: str
) -> None:
    response = orders.post("/orders", content=b"{}", headers={"Content-Type": content_type})

    detail = f"This resource reads application/json; the request has {sent}."
    assert_problem(response, 415, "Unsupported Media Type", detail)
    assert response.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json ; charset=utf-8"]
)
def test_json_is_recognised_in_any_case_and_with_parameters(
    orders: TestClient, content_type: str
) -> None:
    response = orders.post("/orders", content=b"{}", headers={"Content-Type": content_type})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty."),
        (b"{", "Expecting property name enclosed in double quotes at character 1."),
        (b"{} {}", "Extra data at character 3."),
        (b'{"notes": {"a": NaN}}', "it holds NaN."),
        (b'{"notes": {"\\ud800": 1}}', "it holds a lone surrogate."),
        (b'{"notes": {"\xff": 1}}', "it is not UTF-8 at byte 12."),
        (b"\xef\xbb\xbf{}", "at character 0."),
    ],
)
def test_a_body_that_is_not_json_is_refused_with_the_reason(
    orders: TestClient, body: bytes, reason: str
) -> None:
    response = orders.post("/orders", content=body, headers=JSON)

    assert_problem(response, 400, "Bad Request", response.json()["detail"])
    assert response.json()["detail"].startswith("The request body is not valid JSON: ")
    assert reason in response.json()["detail"]


def test_deeply_nested_json_is_refused(client_factory: ClientFactory) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    app = App(routes=ORDERS.routes, exception_handlers=EXCEPTION_HANDLERS)

    response = client_factory(app).post("/orders", content=b'{"other": %b}' % deep, headers=JSON)

    detail = "The request body is not valid JSON: it is nested too deeply."
    assert_problem(response, 400, "Bad Request", detail)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"items": [{"price": 1}, {"price": "x"}]}', "#/items/1/price"),
        (b'{"items": [{}]}', "#/items/0/price"),
        (b'{"items": [{"price": 1, "a/b~c": 1}]}', "#/items/0/a~1b~0c"),
        (b'{"notes": {"key": "x"}}', "#/notes"),
        (b'{"items": {}}', "#/items"),
        (b"null", "#"),
        (b'{"items": [{"price": 1, "%b": 1}]}' % (b"x" * 101), "#/items/0"),
    ],
)
def test_a_pointer_leads_to_the_fault(orders: TestClient, body: bytes, pointer: str) -> None:
    response = orders.post("/orders", content=body, headers=JSON)

    detail = "The request body does not have the expected form."
    assert_problem(response, 422, "Unprocessable Content", detail)
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer


def test_what_the_client_sent_is_not_sent_back_at_length(orders: TestClient) -> None:
    body = b'{"items": [{"price": 1, "%b": 1}]}' % (b"x" * 900)

    [error] = orders.post("/orders", content=body, headers=JSON).json()["errors"]

    assert len(error["detail"]) == 300


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_body_over_the_limit_is_a_problem_and_ends_the_connection(
    orders: TestClient, content_type: str
) -> None:
    response = orders.post("/orders", content=b" " * 1001, headers={"Content-Type": content_type})

    detail = "The request body is larger than 1000 bytes."
    assert_problem(response, 413, "Content Too Large", detail)
    assert response.headers["connection"] == "close"


def test_a_body_over_the_limit_is_refused_without_its_length_too(orders: TestClient) -> None:
    response = orders.post("/orders", content=iter([b" " * 600, b" " * 600]), headers=JSON)

    assert_problem(
        response, 413, "Content Too Large", "The request body is larger than 1000 bytes."
    )


def test_a_body_at_the_limit_is_read(orders: TestClient) -> None:
    assert orders.post("/orders", content=b"{}".ljust(1000), headers=JSON).status_code == 200


@given(st.binary(max_size=60))
def test_no_body_is_a_fault_of_the_server(body: bytes) -> None:
    response = TestClient(ORDERS).post("/orders", content=body, headers=JSON)

    assert response.status_code in {200, 400, 422}


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (400, "Bad Request"),
        (413, "Content Too Large"),
        (422, "Unprocessable Content"),
        (503, "Service Unavailable"),
        (499, "Error"),
    ],
)
def test_an_http_exception_is_a_problem_with_its_headers(
    orders: TestClient, status: int, title: str
) -> None:
    bare = orders.get(f"/refuse/{status}")
    told = orders.get(f"/refuse/{status}?detail=why")

    assert_problem(bare, status, title, None)
    assert_problem(told, status, title, "why")
    assert told.headers["x-reason"] == "test"


def test_a_status_below_400_is_no_problem(orders: TestClient) -> None:
    response = orders.get("/refuse/304")

    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["x-reason"] == "test"


def test_a_problem_can_list_errors(orders: TestClient) -> None:
    response = orders.get("/conflict")

    assert_problem(response, 409, "Conflict", "The name is taken.")
    assert response.json()["errors"] == [{"detail": "taken", "pointer": "#/name"}]


def test_a_failure_tells_nothing_about_its_cause(orders: TestClient) -> None:
    response = orders.get("/fail")

    detail = "The server failed; its log has the cause."
    assert_problem(response, 500, "Internal Server Error", detail)
    assert "swordfish" not in response.text
