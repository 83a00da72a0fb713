"""`SchemaGenerator`: what the docstrings say, as Starlette reads and writes it."""
# ruff: noqa: D200, D205, D212, D214, D405, D411, D415 - the docstrings are data

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import starlette.schemas

from framework import schemas
from framework.applications import App
from framework.endpoints import HTTPEndpoint
from framework.responses import Response
from framework.routing import Mount, Route
from framework.schemas import OpenAPIResponse, SchemaGenerator
from tests.clients import ClientFactory

yaml = pytest.importorskip("yaml")

BASE = {"openapi": "3.0.0", "info": {"title": "Users", "version": "1"}}


async def list_users(request: Any) -> Response:
    """List the users.

    ---
    responses:
      200:
        description: A list of users.
        examples:
          [{"username": "tom"}, {"username": "lucy"}]
    """
    return Response()


async def tell(request: Any) -> Response:
    """
    responses:
      200: {description: "Grüße", since: 2020-01-31}
    """
    return Response()


async def describe(request: Any) -> Response:
    """Say in words: this is: no YAML."""
    return Response()


async def remark(request: Any) -> Response:
    """Just a text."""
    return Response()


async def fail(request: Any) -> Response:
    """Have a fault.

    ---
    a: b: c
    """
    return Response()


class Page(HTTPEndpoint):
    async def get(self, request: Any) -> Response:
        """
        summary: A page
        """
        return Response()

    async def query(self, request: Any) -> Response:
        """
        summary: A question
        """
        return Response()


ROUTES: Any = [
    Route("/users/{id:int}", list_users, methods=["GET", "PUT"]),
    Mount("/m", routes=[Route("/tell", tell), Route("/page", Page)]),
    Route("/remark", remark),
]


@pytest.mark.parametrize("function", [list_users, tell, remark, Page.get])
def test_a_docstring_is_read_as_starlette_reads_it(function: Any) -> None:
    theirs = starlette.schemas.SchemaGenerator({}).parse_docstring(function)

    assert SchemaGenerator({}).parse_docstring(function) == theirs


def test_words_that_are_no_yaml_say_nothing() -> None:
    assert SchemaGenerator({}).parse_docstring(describe) == {}


def test_no_yaml_where_it_was_announced_is_an_error_that_names_the_function() -> None:
    with pytest.raises(ValueError, match=rf"docstring of {__name__}.fail has no YAML behind"):
        SchemaGenerator({}).parse_docstring(fail)


def test_the_document_has_what_is_documented() -> None:
    document = SchemaGenerator(BASE).get_schema(ROUTES)

    assert document["info"] == BASE["info"]
    assert {path: sorted(methods) for path, methods in document["paths"].items()} == {
        "/users/{id}": ["get", "put"],
        "/m/tell": ["get"],
        "/m/page": ["get"],
    }
    described = document["paths"]["/users/{id}"]["get"]["responses"][200]["description"]
    assert described == "A list of users."


@pytest.mark.parametrize(
    ("version", "has_query"),
    [("3.2.0", True), ("3.10", True), ("4.0", True), ("3.1.9", False), ("", False), (3.2, True)],
)
def test_a_document_knows_the_method_query_from_3_2_on(version: Any, has_query: bool) -> None:
    document = SchemaGenerator({"openapi": version}).get_schema(ROUTES)

    assert ("query" in document["paths"]["/m/page"]) is has_query


def test_the_base_is_left_as_it_is() -> None:
    base: Any = {"openapi": "3.0.0", "paths": {"/m/tell": {"post": {}}}}
    document = SchemaGenerator(base).get_schema(ROUTES)

    assert sorted(document["paths"]["/m/tell"]) == ["get", "post"]
    assert base == {"openapi": "3.0.0", "paths": {"/m/tell": {"post": {}}}}


def test_the_application_serves_its_document(client_factory: ClientFactory) -> None:
    generator = SchemaGenerator(BASE)
    app = App(
        routes=[*ROUTES, Route("/schema", generator.OpenAPIResponse, include_in_schema=False)]
    )

    response = client_factory(app).get("/schema")

    assert response.headers["content-type"] == "application/vnd.oai.openapi"
    assert yaml.safe_load(response.content) == generator.get_schema(ROUTES)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"b": {"z": [1, {"y": None, "x": "text: with"}], "a": True}, "a": "Grüße"},
        {"responses": {200: {}, "default": {}}, "no": "no", "date": "2020-01-01", "n": 1.5},
    ],
)
def test_a_document_is_written_as_starlette_writes_it(content: Any) -> None:
    assert OpenAPIResponse(content).body == starlette.schemas.OpenAPIResponse(content).body


def test_a_request_asks_the_application_for_its_routes() -> None:
    request: Any = SimpleNamespace(app=App(routes=ROUTES))

    response = schemas.SchemaGenerator(BASE).OpenAPIResponse(request)

    assert set(yaml.safe_load(response.body)["paths"]) == {"/users/{id}", "/m/tell", "/m/page"}
