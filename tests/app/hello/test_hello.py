"""The example slice, from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import app.hello
from framework.testclient import TestClient


def count_greetings(language: str) -> float:
    return REGISTRY.get_sample_value("hello_greetings_total", {"language": language}) or 0.0


def test_a_name_in_the_path_is_greeted(client: TestClient) -> None:
    response = client.get("/hello/Ada")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"message": "Hello, Ada!"}


def test_a_name_that_is_quoted_in_the_path_is_greeted_unquoted(client: TestClient) -> None:
    assert client.get("/hello/J%C3%B6rg%20%3Cb%3E").json() == {"message": "Hello, Jörg <b>!"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "Ada"}, "Hello, Ada!"),
        ({"name": "Ada", "language": "de"}, "Hallo, Ada!"),
        ({"name": "Ada", "language": "es"}, "Hola, Ada!"),
        ({"name": "Ada", "language": "fr"}, "Bonjour, Ada!"),
    ],
)
def test_a_person_is_greeted_in_their_language(
    client: TestClient, body: dict[str, str], message: str
) -> None:
    response = client.post("/hello", json=body)

    assert response.status_code == 200
    assert response.json() == {"message": message}


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({}, "#/name", "Object missing required field `name`"),
        ({"name": 5}, "#/name", "Expected `str`, got `int`"),
        ({"name": ""}, "#/name", "Expected `str` of length >= 1"),
        ({"name": "a" * 101}, "#/name", "Expected `str` of length <= 100"),
        ({"name": "Ada", "language": "xx"}, "#/language", "Invalid enum value 'xx'"),
        ({"name": "Ada", "age": 5}, "#/age", "Object contains unknown field `age`"),
        ([], "#", "Expected `object`, got `array`"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_the_place(
    client: TestClient, body: Any, pointer: str, detail: str
) -> None:
    response = client.post("/hello", json=body)

    assert response.status_code == 422
    assert response.json()["errors"] == [{"detail": detail, "pointer": pointer}]


@pytest.mark.parametrize("path", ["/hello/" + "a" * 101, "/hello/" + "%C3%B6" * 500])
def test_a_name_in_the_path_has_the_limits_of_one_in_a_body(client: TestClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["detail"] == "The parameters of the request do not have the expected form."
    assert problem["errors"] == [{"detail": "Expected `str` of length <= 100", "pointer": "#/name"}]
    assert client.get("/hello/" + "a" * 100).status_code == 200


def test_every_greeting_is_counted_and_no_refusal_is(client: TestClient) -> None:
    english, french = count_greetings("en"), count_greetings("fr")

    client.get("/hello/Ada")
    client.post("/hello", json={"name": "Ada", "language": "fr"})
    client.post("/hello", json={"name": 5, "language": "fr"})

    assert count_greetings("en") == english + 1
    assert count_greetings("fr") == french + 1


def test_the_landing_page_links_to_the_example(client: TestClient) -> None:
    assert 'href="/hello/world"' in client.get("/").text


def test_the_slice_stays_short_enough_to_copy() -> None:
    folder = Path(app.hello.__file__).parent
    lines = [line for file in folder.rglob("*.py") for line in file.read_text().splitlines()]

    assert len(lines) <= 60
