"""`SchemaGenerator`: an OpenAPI document from the docstrings of the endpoints."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from framework._callables import get_qualified_name
from framework.requests import Request
from framework.responses import Response
from framework.routing import BaseRoute, Host, Mount, Route

__all__ = [
    "BaseSchemaGenerator",
    "EndpointInfo",
    "OpenAPIResponse",
    "SchemaGenerator",
]

_METHODS: Final = ("get", "post", "put", "patch", "delete", "options", "query")
_CONVERTOR: Final = re.compile(r":\w+}")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")
# The version of OpenAPI that came to know the method QUERY.
_QUERY_VERSION: Final = (3, 2)


class OpenAPIResponse(Response):
    """An OpenAPI document, as YAML.

    Raises:
        TypeError: the document is no dict.
        ImportError: PyYAML is not installed; names the command that installs it.
    """

    media_type = "application/vnd.oai.openapi"

    def render(self, content: Any) -> bytes:
        if not isinstance(content, dict):
            raise TypeError(f"OpenAPIResponse takes the document as a dict, not {content!r}")
        text: str = _load_yaml().dump(content, default_flow_style=False)
        return text.encode()


class EndpointInfo(NamedTuple):
    """A function that answers one method at one path; the path is without convertors."""

    path: str
    http_method: str
    func: Callable[..., Any]


class BaseSchemaGenerator:
    """What a generator of documents needs; `get_schema` is its own."""

    def get_schema(self, routes: list[BaseRoute]) -> dict[str, Any]:
        """Return the document for `routes`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no get_schema(): a generator needs one"
        )

    def get_endpoints(self, routes: list[BaseRoute]) -> list[EndpointInfo]:
        """Return what answers at `routes` and below, except where `include_in_schema` is False.

        HEAD is left out. The methods of a function are in alphabetical order.
        """
        return list(_find_endpoints(routes, ""))

    def parse_docstring(self, func_or_method: Callable[..., Any]) -> dict[str, Any]:
        """Return the YAML mapping in a docstring, behind the last `---` if there is one, else `{}`.

        Raises:
            ValueError: what stands behind a `---` is not YAML.
            ImportError: PyYAML is not installed; names the command that installs it.
        """
        text = func_or_method.__doc__
        if not text:
            return {}
        *before, text = text.split("---")
        yaml = _load_yaml()
        try:
            parsed = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            if not before:
                return {}  # a description in words, such as "Note: this: and that"
            name = get_qualified_name(func_or_method)
            raise ValueError(
                f"The docstring of {name} has no YAML behind its '---': {exc}"
            ) from None
        return parsed if isinstance(parsed, dict) else {}

    def OpenAPIResponse(self, request: Request[Any]) -> Response:  # noqa: N802 - Starlette's name
        """Return the document for all routes of the application."""
        return OpenAPIResponse(self.get_schema(routes=request.app.routes))


class SchemaGenerator(BaseSchemaGenerator):
    """Puts what the docstrings say into a document.

    Args:
        base_schema: the rest of the document: `openapi`, `info` and so on. It is left as it is.
    """

    def __init__(self, base_schema: dict[str, Any]) -> None:
        self.base_schema = base_schema

    def get_schema(self, routes: list[BaseRoute]) -> dict[str, Any]:
        """Return the base with the operations of all documented endpoints; QUERY from 3.2 on."""
        known = self.base_schema.get("paths", {})
        paths = {path: dict(operations) for path, operations in known.items()}
        version = _VERSION.match(str(self.base_schema.get("openapi", "")))
        has_query = version is not None and tuple(map(int, version.groups())) >= _QUERY_VERSION
        for path, method, func in self.get_endpoints(routes):
            if method == "query" and not has_query:
                continue
            operation = self.parse_docstring(func)
            if operation:
                paths.setdefault(path, {})[method] = operation
        return {**self.base_schema, "paths": paths}


def _load_yaml() -> Any:
    """Return PyYAML, loaded when it is needed: lists of endpoints do without it."""
    try:
        return importlib.import_module("yaml")
    except ModuleNotFoundError as exc:
        raise ImportError("OpenAPI documents need PyYAML: run `pip install pyyaml`") from exc


def _find_endpoints(routes: list[BaseRoute], prefix: str) -> Iterator[EndpointInfo]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _find_endpoints(route.routes, prefix + _drop_convertors(route.path))
        elif isinstance(route, Host):
            yield from _find_endpoints(route.routes, prefix)
        elif isinstance(route, Route) and route.include_in_schema:
            path = prefix + _drop_convertors(route.path)
            for method, func in _find_functions(route):
                yield EndpointInfo(path, method, func)


def _find_functions(route: Route) -> Iterator[tuple[str, Callable[..., Any]]]:
    endpoint = route.endpoint
    if inspect.isfunction(endpoint) or inspect.ismethod(endpoint):
        for method in sorted(route.methods or ["GET"]):
            if method != "HEAD":
                yield method.lower(), endpoint
        return
    for method in _METHODS:
        if hasattr(endpoint, method):
            yield method, getattr(endpoint, method)


def _drop_convertors(path: str) -> str:
    return _CONVERTOR.sub("}", path)
