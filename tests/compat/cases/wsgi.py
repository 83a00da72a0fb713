"""WSGI applications below a mount: environment, answers, errors."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

from tests.compat.harness import Case, Request

TEXT = [("Content-Type", "text/plain")]


def load_middleware(names: Any) -> Any:
    """Return the middleware; Starlette warns that it will remove its own."""
    library = names.App.__module__.partition(".")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"{library}.middleware.wsgi").WSGIMiddleware


def environ(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    shown = {key: value for key, value in environ.items() if key.isupper()}
    shown |= {key: environ[key] for key in ("wsgi.version", "wsgi.url_scheme")}
    return [f"{key}={shown[key]!r}\n".encode() for key in sorted(shown)]


def echo(environ: Any, start_response: Any) -> Any:
    body = environ["wsgi.input"].read()
    start_response("201 Created", [*TEXT, ("X-Two", " 2 "), ("X-Two", "3")])
    return [body]


def lines(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return [line.rstrip() for line in environ["wsgi.input"]]


def generator(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    yield b"one"
    yield b""
    yield b"two"


def empty(environ: Any, start_response: Any) -> Any:
    start_response("204 No Content", [])
    return []


def broken(environ: Any, start_response: Any) -> Any:
    raise LookupError("broken")


def broken_after_start(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    raise LookupError("broken")


def broken_in_body(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    yield b"begun"
    raise LookupError("broken")


def answered(environ: Any, start_response: Any) -> Any:
    try:
        raise LookupError("answered")
    except LookupError:
        start_response("500 Oops", TEXT, sys.exc_info())
    return [b"error page"]


APPLICATIONS = (
    environ,
    echo,
    lines,
    generator,
    empty,
    broken,
    broken_after_start,
    broken_in_body,
    answered,
)


def build_applications(names: Any) -> Any:
    """Build an application with WSGI applications below mounts."""

    def closing(environ: Any, start_response: Any) -> Any:
        try:
            start_response("200 OK", TEXT)
            yield b"body"
        finally:
            names.notes.append("closed")

    wsgi = load_middleware(names)
    return names.App(
        routes=[
            names.Mount(f"/{each.__name__}", app=wsgi(each)) for each in (*APPLICATIONS, closing)
        ]
    )


FIELDS = (
    ("accept", "*/*"),
    ("x-many", "1"),
    ("x-many", "2"),
    ("content-type", "text/plain"),
    ("content-length", "4"),
)
REQUESTS = (
    Request("/environ/"),
    Request("/environ/a b/ü%2F", query="a=1&b=%20", root_path="/root"),
    Request("/environ/x", "POST", body=(b"body",)).with_headers(*FIELDS),
    Request("/environ/x", "POST", body=(b"bo", b"dy"), label="without a length"),
    Request("/environ/x", label="two cookies").with_headers(("cookie", "a=1"), ("cookie", "b=2")),
    Request("/environ/x", label="underscore").with_headers(("x_real_user", "admin")),
    Request("/environ/x", label="proxy").with_headers(("proxy", "evil:1")),
    Request("/environ/x", label="on a socket", scope=(("server", ("/run/app.sock", None)),)),
    Request("/environ/x", label="without a client", scope=(("client", None),)),
    Request("/echo/", "POST", body=(b"one ", b"two")),
    Request("/echo/", "POST", body=(b"cut",), disconnects=True, label="cut off"),
    Request("/lines/", "POST", body=(b"one\ntwo\n",)),
    Request("/generator/"),
    Request("/generator/", "HEAD"),
    Request("/empty/"),
    Request("/broken/"),
    Request("/broken_after_start/"),
    Request("/broken_in_body/"),
    Request("/answered/"),
    Request("/closing/"),
)
CASES = (Case("wsgi", build_applications, REQUESTS),)
