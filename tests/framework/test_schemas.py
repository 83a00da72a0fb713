"""`SchemaGenerator`: which endpoints a document has, and at which paths."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from framework.endpoints import HTTPEndpoint
from framework.responses import Response
from framework.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from framework.schemas import BaseSchemaGenerator, EndpointInfo, OpenAPIResponse, SchemaGenerator
from framework.staticfiles import StaticFiles


async def show(request: Any) -> Response:
    return Response()


async def listen(websocket: Any) -> None:
    """Take part in no document."""


class Users:
    async def list(self, request: Any) -> Response:
        return Response()


class Page(HTTPEndpoint):
    async def get(self, request: Any) -> Response:
        return Response()

    async def query(self, request: Any) -> Response:
        return Response()


generator = SchemaGenerator({"openapi": "3.0.0", "info": {"title": "Users", "version": "1"}})


def list_endpoints(*routes: BaseRoute) -> list[tuple[str, str]]:
    return [(each.path, each.http_method) for each in generator.get_endpoints(list(routes))]


def test_a_function_has_an_entry_for_each_method_but_head() -> None:
    route = Route("/", show, methods=["POST", "GET", "DELETE"])

    assert generator.get_endpoints([route]) == [
        EndpointInfo("/", "delete", show),
        EndpointInfo("/", "get", show),
        EndpointInfo("/", "post", show),
    ]


def test_a_bound_method_is_a_function() -> None:
    assert list_endpoints(Route("/", Users().list)) == [("/", "get")]


def test_a_class_has_an_entry_for_each_of_its_methods() -> None:
    assert generator.get_endpoints([Route("/", Page)]) == [
        EndpointInfo("/", "get", Page.get),
        EndpointInfo("/", "query", Page.query),
    ]


def test_paths_are_those_from_outside_without_convertors() -> None:
    routes = [
        Route("/a/{id:int}/{rest:path}", show),
        Mount(
            "/m/{tenant:str}", routes=[Mount("/n", routes=[Route("/{x}", show)]), Route("/", show)]
        ),
        Mount("", routes=[Route("/root", show)]),
        Host("{tenant}.example.org", Mount("/h", routes=[Route("/{id:uuid}", show)])),
    ]

    assert list_endpoints(*routes) == [
        ("/a/{id}/{rest}", "get"),
        ("/m/{tenant}/n/{x}", "get"),
        ("/m/{tenant}/", "get"),
        ("/root", "get"),
        ("/{id}", "get"),
    ]


def test_what_is_no_documented_http_route_is_left_out(tmp_path: Any) -> None:
    assert (
        list_endpoints(
            Route("/hidden", show, include_in_schema=False),
            WebSocketRoute("/socket", listen),
            Mount("/static", StaticFiles(directory=tmp_path)),
            BaseRoute(),
            Route("/app", functools.partial(Response, "any ASGI application")),
        )
        == []
    )


def test_a_docstring_that_is_empty_says_nothing() -> None:
    assert generator.parse_docstring(show) == {}


def test_without_yaml_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ImportError, match="pip install pyyaml"):
        generator.parse_docstring(listen)
    with pytest.raises(ImportError, match="pip install pyyaml"):
        OpenAPIResponse({})


@pytest.mark.parametrize("content", [None, [], "text"])
def test_a_document_is_a_dict(content: Any) -> None:
    with pytest.raises(TypeError, match="takes the document as a dict"):
        OpenAPIResponse(content)


def test_a_generator_without_get_schema_says_so() -> None:
    with pytest.raises(NotImplementedError, match="BaseSchemaGenerator has no get_schema"):
        BaseSchemaGenerator().get_schema([])
