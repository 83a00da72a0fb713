"""A span for each request, named by the template of its route; nothing that clients choose in metrics."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.opentelemetry import OpenTelemetryMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Mount, Route, WebSocketRoute
from framework.testclient import AsyncTestClient
from framework.types import ASGIApp, Receive, Scope, Send
from framework.websockets import WebSocket
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


class Recorder:
    """Providers whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader])

    @property
    def options(self) -> dict[str, Any]:
        return {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    def take_span(self) -> ReadableSpan:
        """Return the only span there is."""
        [span] = self.exporter.get_finished_spans()
        self.exporter.clear()
        return span

    def list_series(self) -> set[str]:
        """Return the attributes of each series of each metric."""
        data: Any = self.reader.get_metrics_data()
        return {
            f"{metric.name} {sorted(point.attributes.items())}"
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def hello(request: Request[Any]) -> Response:
    return PlainTextResponse(getattr(get_current_span(), "name", "no span"))


async def broken(request: Request[Any]) -> Response:
    raise LookupError("broken")


async def greet(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.receive_text()
    await websocket.send_text(getattr(get_current_span(), "name", "no span"))
    await websocket.close()


def build_app(recorder: Recorder, **options: Any) -> ASGIApp:
    layer = Middleware(OpenTelemetryMiddleware, **recorder.options, **options)
    return App(
        routes=[
            Route("/", hello),
            Route("/items/{id:int}", hello),
            Route("/broken/{id}", broken),
            Route("/livez", hello),
            Mount("/mounts/{name}", routes=[Route("/things/{id}", hello)]),
            WebSocketRoute("/socket/{id}", greet),
        ],
        middleware=[layer],
    )


@pytest.mark.parametrize(
    ("path", "method", "name", "route"),
    [
        ("/", "GET", "GET /", "/"),
        ("/items/17", "GET", "GET /items/{id:int}", "/items/{id:int}"),
        ("/mounts/a/things/b", "GET", "GET /mounts/{name}/things/{id}", ...),
        ("/nothing/here", "GET", "GET", None),
        ("/nothing/here", "BREW", "HTTP", None),
    ],
)
async def test_a_span_is_named_by_the_template(
    recorder: Recorder, path: str, method: str, name: str, route: Any
) -> None:
    await call(build_app(recorder), build_scope(path, method))
    span = recorder.take_span()
    attributes: Any = span.attributes
    assert (span.name, span.kind) == (name, SpanKind.SERVER)
    expected = name.partition(" ")[2] if route is ... else route
    assert attributes.get("http.route") == expected


async def test_the_context_of_the_caller_is_continued(recorder: Recorder) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await call(build_app(recorder), build_scope("/", "GET", ("traceparent", parent)))
    context: Any = recorder.take_span().context
    assert f"{context.trace_id:x}" == "af7651916cd43dd8448eb211c80319c"


async def test_a_context_that_is_sent_twice_begins_a_new_trace(recorder: Recorder) -> None:
    field = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await call(build_app(recorder), build_scope("/", "GET", field, field))
    assert recorder.take_span().parent is None


async def test_the_endpoint_is_inside_the_span(recorder: Recorder) -> None:
    channel = await call(build_app(recorder), build_scope("/items/1"))
    assert channel.body == b"GET"
    assert channel.status == 200


async def test_an_error_is_recorded(recorder: Recorder) -> None:
    channel = Channel(b"", stays=True)
    with pytest.raises(LookupError):
        await build_app(recorder)(build_scope("/broken/1"), channel.receive, channel.send)
    span = recorder.take_span()
    assert span.name == "GET /broken/{id}"
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


async def test_what_the_client_says_is_left_out(recorder: Recorder) -> None:
    scope = build_scope(
        "/items/1", "GET", ("host", "evil.example"), query_string=b"token=secret&a=\xff"
    )
    await call(build_app(recorder), scope)
    text = recorder.take_span().to_json()
    assert "secret" not in text
    assert "evil" not in text
    assert scope["query_string"] == b"token=secret&a=\xff"


@pytest.mark.parametrize("value", ["\xff\\x", "\xff\\", "\xff\\N{", "\x00"])
async def test_no_field_breaks_a_request(recorder: Recorder, value: str) -> None:
    names = ("user-agent", "host", "traceparent", "content-length", "x-\xff\\x")
    for name in names:
        scope = build_scope("/items/1")
        scope["headers"] = [(name.encode("latin-1"), value.encode("latin-1"))]
        assert (await call(build_app(recorder), scope)).status == 200
    assert len(recorder.exporter.get_finished_spans()) == len(names)


async def test_clients_make_no_new_series(recorder: Recorder) -> None:
    app = build_app(recorder)

    async def visit(number: int) -> None:
        fields = (("host", f"{number}.example"), ("user-agent", str(number)))
        for path in (f"/items/{number}", f"/mounts/{number}/things/{number}", f"/nothing/{number}"):
            for method in ("GET", f"BREW{number}"):
                await call(app, build_scope(path, method, *fields))

    await visit(1)
    before = recorder.list_series()
    for number in range(2, 20):
        await visit(number)
    assert recorder.list_series() == before
    assert any("/items/{id:int}" in series for series in before)


@pytest.mark.parametrize("excluded", ["/livez$, /items", ["/livez$", "/items"]])
async def test_urls_can_be_left_out(recorder: Recorder, excluded: Any) -> None:
    app = build_app(recorder, excluded_urls=excluded)
    for path in ("/livez", "/items/1"):
        assert (await call(app, build_scope(path))).body == b"no span"
    assert recorder.exporter.get_finished_spans() == ()
    await call(app, build_scope("/"))
    assert recorder.take_span().name == "GET /"


async def test_what_is_left_out_is_left_out_by_one_below(recorder: Recorder) -> None:
    app = OpenTelemetryMiddleware(build_app(recorder), excluded_urls="/items", **recorder.options)
    await call(app, build_scope("/items/1"))
    assert recorder.exporter.get_finished_spans() == ()


async def test_below_another_one_there_is_one_span(recorder: Recorder) -> None:
    await call(OpenTelemetryMiddleware(build_app(recorder), **recorder.options), build_scope("/"))
    assert recorder.take_span().name == "GET /"


async def test_the_span_of_a_websocket_lasts_as_long_as_the_connection(
    recorder: Recorder,
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with AsyncTestClient(build_app(recorder)) as client:
        connection = client.websocket_connect(
            "/socket/7?token=secret", headers={"traceparent": parent}
        )
        async with connection as socket:
            assert recorder.exporter.get_finished_spans() == ()
            await socket.send_text("go on")
            assert await socket.receive_text() == "GET"
    span = recorder.take_span()
    attributes: Any = span.attributes
    context: Any = span.context
    assert (span.name, span.kind) == ("GET /socket/{id}", SpanKind.SERVER)
    assert attributes["http.route"] == "/socket/{id}"
    assert attributes["http.method"] == "GET"
    assert f"{context.trace_id:x}" == "af7651916cd43dd8448eb211c80319c"
    assert "secret" not in span.to_json()


async def test_the_lifespan_passes(recorder: Recorder) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    channel = Channel()
    layer = OpenTelemetryMiddleware(app, **recorder.options)
    await layer({"type": "lifespan"}, channel.receive, channel.send)
    assert seen == ["lifespan"]
    assert recorder.exporter.get_finished_spans() == ()


FORKED = """
import os, anyio
from framework.middleware.opentelemetry import OpenTelemetryMiddleware
from framework.responses import PlainTextResponse

app = OpenTelemetryMiddleware(PlainTextResponse("hello"))
child = os.fork()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.framework.asgi import build_scope, call

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
anyio.run(call, app, build_scope("/"))
provider.force_flush()
print([span.name for span in exporter.get_finished_spans()], flush=True)
print(len(reader.get_metrics_data().resource_metrics), flush=True)
os._exit(0)
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_providers_may_be_set_after_the_worker_was_forked() -> None:
    done = run_python(FORKED)
    assert (done.stdout, done.returncode) == ("['GET']\n1\n", 0), done.stderr


def test_without_the_packages_the_command_that_installs_them_is_named() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None; import framework.middleware.opentelemetry"
    )
    assert (
        "ImportError: OpenTelemetryMiddleware needs OpenTelemetry, which is not installed: run "
        "`pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http "
        "opentelemetry-instrumentation-asgi`"
    ) in run_python(code).stderr
