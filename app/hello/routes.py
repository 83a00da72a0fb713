"""`GET /hello/{name}` and `POST /hello`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.problems import convert, read_json
from framework.observability.metrics import Counter
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route

GREETINGS = Counter("hello_greetings_total", "Greetings given, by language.", ["language"])

Language = Literal["de", "en", "es", "fr"]
WORDS: dict[Language, str] = {"de": "Hallo", "en": "Hello", "es": "Hola", "fr": "Bonjour"}


class Person(Struct, forbid_unknown_fields=True):
    """Who wants to be greeted."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    language: Language = "en"


class Greeting(Struct):
    """What both endpoints answer."""

    message: str


async def greet(request: Request) -> JSONResponse:
    """Greet the name in the path."""
    return build_greeting(convert(request.path_params, Person))


async def greet_person(request: Request) -> JSONResponse:
    """Greet the person in the body."""
    return build_greeting(await read_json(request, Person))


def build_greeting(person: Person) -> JSONResponse:
    """Count a greeting and return it."""
    GREETINGS.labels(person.language).inc()
    return JSONResponse(Greeting(f"{WORDS[person.language]}, {person.name}!"))


routes = [
    Route("/hello", greet_person, methods=["POST"]),
    Route("/hello/{name}", greet),
]
