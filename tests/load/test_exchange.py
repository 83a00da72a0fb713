from __future__ import annotations

from typing import Any

import pytest

from load.bench.adapters import bare
from load.bench.cases import Case, build_table, list_cases
from load.bench.exchange import Exchange

pytestmark = pytest.mark.anyio


class Answer:
    """An application that always answers the same."""

    def __init__(self, status: int, body: bytes, content_type: str, *, length: int = -1) -> None:
        self.status = status
        self.body = body
        length = len(body) if length < 0 else length
        self.headers = [
            (b"Content-Type", content_type.encode()),
            (b"Content-Length", b"%d" % length),
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def find_case(name: str) -> Case:
    return next(case for case in list_cases(own=True) if case.name == name)


@pytest.mark.parametrize("case", list_cases(own=True), ids=lambda case: case.name)
async def test_the_bare_callable_answers_every_case(case: Case) -> None:
    await Exchange(case, bare.WRONG_METHOD_STATUS).check(bare.build([]))


async def test_the_right_answer_is_accepted() -> None:
    app = Answer(200, b'{"message": "Hello, world!"}', "application/json; charset=utf-8")
    await Exchange(find_case("json, 3"), 405).check(app)


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        (Answer(204, b"Hello, world!", "text/plain"), "status 204"),
        (Answer(200, b"Hello", "text/plain"), "body b'Hello'"),
        (Answer(200, b"Hello, world!", "text/html"), "content-type 'text/html'"),
        (Answer(200, b"Hello, world!", "text/plain", length=12), "content-length '12'"),
    ],
)
async def test_a_wrong_answer_is_never_measured(app: Answer, complaint: str) -> None:
    with pytest.raises(RuntimeError, match=complaint):
        await Exchange(find_case("text, 3"), 405).check(app)


async def test_an_int_that_arrives_as_text_is_found() -> None:
    with pytest.raises(RuntimeError, match="alice 71"):
        await Exchange(find_case("params, 3"), 405).check(Answer(200, b"alice 71", "text/plain"))


async def test_the_status_of_a_wrong_method_is_the_adapters() -> None:
    exchange = Exchange(find_case("wrong method, 3"), 404)
    await exchange.check(Answer(404, b"", "text/plain"))
    with pytest.raises(RuntimeError, match="status 405"):
        await exchange.check(Answer(405, b"", "text/plain"))


async def test_each_request_has_a_scope_of_its_own() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["path"] = "/changed"
        scope["headers"].append((b"x", b"y"))
        scope["state"]["x"] = 1
        scopes.append(scope)

    exchange = Exchange(find_case("text, 3"), 405)
    assert await exchange.time_requests(app, 3) >= 0
    assert len({id(scope) for scope in scopes}) == 3
    assert {len(scope["headers"]) for scope in scopes} == {6}
    assert exchange.template["path"] == "/text"


@pytest.mark.parametrize("size", [3, 10, 1_000])
@pytest.mark.parametrize("position", ["first", "last"])
def test_a_table_has_its_size_and_no_route_twice(size: int, position: Any) -> None:
    table = build_table(size, position)
    assert len({spec.path for spec in table}) == size
    measured = table[:3] if position == "first" else table[-3:]
    assert [spec.kind for spec in measured] == ["text", "json", "params"]
