"""OpenTelemetry's instrumentations: one adds a middleware, one takes the finished stack apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette import applications
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


async def show(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["name"])


async def fail(request: Request) -> PlainTextResponse:
    raise ValueError("unforeseen")


class Tracer:
    """Collects the spans of the server's side."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def find_spans(self) -> list[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.kind is SpanKind.SERVER]


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    tracer = Tracer()
    yield tracer
    tracer.provider.shutdown()


def build_starlette(*middleware: Middleware) -> Starlette:
    return Starlette(
        middleware=middleware,
        routes=[
            Route("/show/{name}", show),
            Route("/fail", fail),
            Mount("/m", routes=[Route("/show/{name}", show)]),
        ],
    )


def test_a_starlette_application_is_traced(tracer: Tracer, backend: str) -> None:
    app = build_starlette()
    StarletteInstrumentor.instrument_app(app, tracer_provider=tracer.provider)
    client = TestClient(app, backend=backend, raise_server_exceptions=False)
    assert client.get("/show/ann").text == "ann"
    assert client.get("/fail").status_code == 500
    spans = tracer.find_spans()
    assert [span.name for span in spans] == ["GET /show/{name}", "GET /fail"]
    assert (spans[0].attributes or {})["http.status_code"] == 200
    assert [event.name for event in spans[1].events] == ["exception"]


def test_an_application_with_middleware_is_traced(tracer: Tracer, backend: str) -> None:
    app = build_starlette(Middleware(GZipMiddleware), Middleware(CORSMiddleware))
    StarletteInstrumentor.instrument_app(app, tracer_provider=tracer.provider)
    with TestClient(app, backend=backend) as client:
        assert client.get("/show/ann").text == "ann"
    assert [span.name for span in tracer.find_spans()] == ["GET /show/{name}"]


def test_every_application_made_later_is_traced(tracer: Tracer) -> None:
    instrumentor = StarletteInstrumentor()
    instrumentor.instrument(tracer_provider=tracer.provider)
    try:
        app = applications.Starlette(routes=[Route("/show/{name}", show)])
        assert TestClient(app).get("/show/ann").text == "ann"
    finally:
        instrumentor.uninstrument()
    assert [span.name for span in tracer.find_spans()] == ["GET /show/{name}"]


def test_a_fastapi_application_is_traced(tracer: Tracer, backend: str) -> None:
    app = FastAPI()

    @app.get("/items/{number}")
    def item(number: int) -> int:
        return number

    @app.get("/fail")
    async def fail_too() -> None:
        raise ValueError("unforeseen")

    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracer.provider)
    client = TestClient(app, backend=backend, raise_server_exceptions=False)
    assert client.get("/items/5").json() == 5
    assert client.get("/fail").status_code == 500
    first, second = tracer.find_spans()
    assert (first.name, second.name) == ("GET /items/{number}", "GET /fail")
    assert [event.name for event in second.events] == ["exception"]
    FastAPIInstrumentor.uninstrument_app(app)
