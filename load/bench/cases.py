"""What is measured: route tables, requests, and the answers that count as correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "json", "params"]
Position = Literal["first", "last"]

SMALL: Final = 3
LARGE: Final = 1_000
OWN_SMALL: Final = 10
OWN_LARGE: Final = 10_000

TEXT_BODY: Final = b"Hello, world!"
JSON_CONTENT: Final = {"message": "Hello, world!"}
PARAMS_BODY: Final = b"alice 8"  # the endpoint adds one: it proves that the id arrived as an int


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A route in neutral notation; `kind` names the endpoint that answers it."""

    kind: Kind
    path: str


@dataclass(frozen=True, slots=True)
class Case:
    """One request against one table, and the answer it must get.

    `status` is None where it is the framework's own choice (see `WRONG_METHOD_STATUS`).
    """

    name: str
    size: int
    position: Position
    path: str
    method: str = "GET"
    status: int | None = 200
    body: bytes | None = None
    json: object = None
    content_type: str = ""


MEASURED_ROUTES: Final = (
    RouteSpec("text", "/text"),
    RouteSpec("json", "/json"),
    RouteSpec("params", "/users/{name}/posts/{id:int}"),
)


def build_table(size: int, position: Position) -> list[RouteSpec]:
    """List `size` routes, the three measured ones first or last among fillers of both kinds."""
    fillers = [_build_filler(number) for number in range(size - len(MEASURED_ROUTES))]
    if position == "first":
        return [*MEASURED_ROUTES, *fillers]
    return [*fillers, *MEASURED_ROUTES]


def _build_filler(number: int) -> RouteSpec:
    if number % 2:
        return RouteSpec("params", f"/api/resource{number}/{{name}}/items/{{id:int}}")
    return RouteSpec("text", f"/api/resource{number}/list")


def list_cases(*, own: bool) -> list[Case]:
    """List the cases every framework runs; `own` adds the 10 and 10,000 routes of our own bars."""
    cases = [*_list_hits(SMALL, "first"), *_list_failures(SMALL)]
    cases += [*_list_hits(LARGE, "first"), *_list_hits(LARGE, "last"), *_list_failures(LARGE)]
    if own:
        cases += [*_list_hits(OWN_SMALL, "first"), *_list_failures(OWN_SMALL)]
        cases += [*_list_hits(OWN_LARGE, "last"), *_list_failures(OWN_LARGE)]
    return cases


def _list_hits(size: int, position: Position) -> Sequence[Case]:
    suffix = f"{size}" if size == SMALL else f"{size} {position}"
    return (
        Case(f"text, {suffix}", size, position, "/text", body=TEXT_BODY, content_type="text/plain"),
        Case(
            f"json, {suffix}",
            size,
            position,
            "/json",
            json=JSON_CONTENT,
            content_type="application/json",
        ),
        Case(
            f"params, {suffix}",
            size,
            position,
            "/users/alice/posts/7",
            body=PARAMS_BODY,
            content_type="text/plain",
        ),
    )


def _list_failures(size: int) -> Sequence[Case]:
    # The miss is the expensive kind: every segment but the last one exists.
    return (
        Case(f"miss, {size}", size, "last", "/users/alice/posts/7/nothing", status=404),
        Case(f"wrong method, {size}", size, "last", "/text", method="POST", status=None),
    )
