"""`Jinja2Templates`: what a page is made of, what is escaped, and when files are read."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
from blockbuster import BlockBuster

from framework import templating
from framework.applications import App
from framework.background import BackgroundTask
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import Response
from framework.routing import Mount, Route, Router
from framework.templating import Jinja2Templates
from framework.types import ASGIApp, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope

LATER = 2_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text("<b>{{ word }}</b>")
    return tmp_path


def serve(templates: Jinja2Templates, **context: Any) -> Any:
    """Return an application whose path is the name of the template."""

    async def show(request: Request) -> Response:
        return templates.TemplateResponse(request, request.path_params["name"], context)

    return App(routes=[Route("/{name}", show, name="show")])


def make_request(**changes: Any) -> Request:
    return Request(build_scope(**changes))


def test_a_page_is_html_with_the_context_filled_in(
    folder: Path, client_factory: ClientFactory
) -> None:
    response = client_factory(serve(Jinja2Templates(folder), word="hi")).get("/page.html")

    assert response.text == "<b>hi</b>"
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_status_headers_media_type_and_background_are_those_given(
    folder: Path, client_factory: ClientFactory
) -> None:
    templates = Jinja2Templates(str(folder))
    done: list[str] = []

    async def show(request: Request) -> Response:
        task = BackgroundTask(done.append, "done")
        return templates.TemplateResponse(
            request, "page.html", {"word": 1}, 201, {"x-a": "b"}, "text/x-page", task
        )

    response = client_factory(App(routes=[Route("/", show)])).get("/")

    assert (response.status_code, response.headers["x-a"]) == (201, "b")
    assert response.headers["content-type"] == "text/x-page; charset=utf-8"
    assert done == ["done"]


def test_a_test_sees_the_template_and_the_context(
    folder: Path, client_factory: ClientFactory
) -> None:
    response: Any = client_factory(serve(Jinja2Templates(folder), word="hi")).get("/page.html")

    assert response.template.name == "page.html"
    assert set(response.context) == {"request", "word"}


def test_the_first_of_several_directories_that_has_the_template_counts(tmp_path: Path) -> None:
    for name, files in {"own": ["a.html"], "base": ["a.html", "b.html"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text(name)
    templates = Jinja2Templates([tmp_path / "own", str(tmp_path / "base")])

    assert templates.get_template("a.html").render() == "own"
    assert templates.get_template("b.html").render() == "base"


@pytest.mark.parametrize(
    ("name", "is_escaped"),
    [
        *[(f"page.{ending}", True) for ending in ("html", "htm", "xml", "svg", "xhtml", "HTML")],
        *[(f"page.html.{ending}", True) for ending in ("j2", "jinja", "jinja2", "tpl", "tmpl")],
        ("page.j2", True),
        ("page", True),
        *[(f"mail.{ending}", False) for ending in ("txt", "md", "csv", "json", "js", "css")],
        ("mail.txt.j2", False),
        ("mail.TXT", False),
    ],
)
def test_all_that_may_be_markup_is_escaped(tmp_path: Path, name: str, is_escaped: bool) -> None:
    (tmp_path / name).write_text("{{ word }}")

    text = Jinja2Templates(tmp_path).get_template(name).render(word="<script>")

    assert text == ("&lt;script&gt;" if is_escaped else "<script>")


def test_a_template_from_a_string_is_escaped(tmp_path: Path) -> None:
    template = Jinja2Templates(tmp_path).env.from_string("{{ word }}")

    assert template.render(word="<") == "&lt;"


def test_url_for_knows_the_host_and_the_mounts(
    tmp_path: Path, client_factory: ClientFactory
) -> None:
    (tmp_path / "page.html").write_text("{{ url_for('user', name='a&b') }}")
    app = serve(Jinja2Templates(tmp_path))
    app.routes.append(Mount("/users", routes=[Route("/{name}", lambda _: Response(), name="user")]))

    assert client_factory(app).get("/page.html").text == "http://testserver/users/a&amp;b"


def test_url_for_without_a_request_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ url_for('home') }}")

    with pytest.raises(RuntimeError, match=r"url_for\('home'\) needs `request` in the context"):
        Jinja2Templates(tmp_path).get_template("page.html").render()


def test_a_url_for_of_ones_own_stays(tmp_path: Path) -> None:
    env = jinja2.Environment(loader=jinja2.DictLoader({"a": "{{ url_for() }}"}), autoescape=True)
    env.globals["url_for"] = lambda: "own"

    response = Jinja2Templates(env=env).TemplateResponse(make_request(), "a")

    assert response.body == b"own"


def test_context_processors_add_to_each_context_in_order(folder: Path) -> None:
    templates = Jinja2Templates(
        folder,
        context_processors=[
            lambda request: {"word": request.url.path, "seen": 1},
            lambda request: {"word": "last"},
        ],
    )

    response = templates.TemplateResponse(make_request(), "page.html", {"word": "own"})

    assert response.body == b"<b>last</b>"
    assert response.context["seen"] == 1


def test_an_async_context_processor_is_refused(folder: Path) -> None:
    async def find_user(request: Request) -> dict[str, Any]:
        return {}

    with pytest.raises(TypeError, match="context processor 'find_user' is async"):
        Jinja2Templates(folder, context_processors=[find_user])  # type: ignore[list-item]


def test_a_context_that_serves_many_requests_is_not_changed(tmp_path: Path) -> None:
    """One that is a constant of the module would keep the first request, and answer with it for ever."""
    (tmp_path / "page.html").write_text("{{ request.url.path }}")
    templates = Jinja2Templates(tmp_path, context_processors=[lambda request: {"more": 1}])
    context = {"word": "hi"}

    bodies = [
        templates.TemplateResponse(make_request(path=path), "page.html", context).body
        for path in ("/first", "/second")
    ]

    assert bodies == [b"/first", b"/second"]
    assert context == {"word": "hi"}


def test_a_request_in_the_context_goes_before_the_argument(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ request.url.path }}")
    own = make_request(path="/own")

    response = Jinja2Templates(tmp_path).TemplateResponse(
        make_request(), "page.html", {"request": own}
    )

    assert response.body == b"/own"


class GiveNonce:
    """Stands for the middleware that makes a nonce."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["csp_nonce"] = "r4nd0m"
        await self.app(scope, receive, send)


@pytest.mark.parametrize(("layers", "nonce"), [([Middleware(GiveNonce)], "r4nd0m"), ([], "")])
def test_the_nonce_of_the_response_is_there_and_empty_without_one(
    tmp_path: Path, client_factory: ClientFactory, layers: list[Middleware], nonce: str
) -> None:
    (tmp_path / "macros.html").write_text(
        "{% macro tag() %}<s nonce='{{ csp_nonce }}'>{% endmacro %}"
    )
    (tmp_path / "page.html").write_text(
        "{{ csp_nonce }}{% from 'macros.html' import tag with context %}{{ tag() }}"
    )
    app = serve(Jinja2Templates(tmp_path))
    app.user_middleware = layers

    response: Any = client_factory(app).get("/page.html")

    assert response.text == f"{nonce}<s nonce='{nonce}'>"
    assert set(response.context) == {"request"}


def test_a_missing_template_says_which_and_where(folder: Path) -> None:
    with pytest.raises(jinja2.TemplateNotFound) as caught:
        Jinja2Templates(folder).TemplateResponse(make_request(), "pages.html")

    assert "pages.html" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert caught.value.__notes__ == [
        "In template 'pages.html': create it, or correct its name or the directory."
    ]


@pytest.mark.parametrize(
    ("text", "kind", "note"),
    [
        ("{% if %}", jinja2.TemplateSyntaxError, "In template 'x.html': correct '"),
        ("{{ a.b }}", jinja2.UndefinedError, "In template 'x.html': pass it in the context"),
        ("{% include 'no.html' %}", jinja2.TemplateNotFound, "In template 'x.html': create it"),
        ("{{ 1 | max }}", TypeError, None),
    ],
)
def test_an_error_of_a_template_names_it_and_the_remedy(
    tmp_path: Path, text: str, kind: type[Exception], note: str | None
) -> None:
    (tmp_path / "x.html").write_text(text)

    with pytest.raises(kind) as caught:
        Jinja2Templates(tmp_path).TemplateResponse(make_request(), "x.html")

    notes = getattr(caught.value, "__notes__", [])
    assert [each.startswith(note or "") for each in notes] == [True] * (note is not None)


def test_a_broken_template_is_a_warning_at_the_start(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "broken.html").write_text("{% if %}")
    (folder / "bytes.html").write_bytes(b"\xff")

    with caplog.at_level(logging.WARNING, "framework.templating"):
        templates = Jinja2Templates(folder)

    broken, unreadable = (record.getMessage() for record in caplog.records)
    assert broken.startswith("Template 'broken.html' cannot be used: Expected an expression")
    assert unreadable.startswith("Template 'bytes.html' cannot be used: 'utf-8' codec")
    assert templates.get_template("page.html").render(word=1) == "<b>1</b>"


def test_the_environment_may_be_changed_until_the_first_page(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "page.html").write_text("{% if True %}\n{{ word|shout }}\n{% endif %}")
    templates = Jinja2Templates(folder)
    templates.env.filters["shout"] = str.upper
    templates.env.trim_blocks = True
    assert templates.get_template("page.html").render(word="<b>") == "&lt;B&gt;\n"

    (folder / "page.html").write_text("{% if True %}\n{{ word }}\n{% endif %}")
    templates = Jinja2Templates(folder)
    templates.env.trim_blocks = True
    templates.env.autoescape = False
    assert templates.get_template("page.html").render(word="<b>") == "<b>\n"
    assert not caplog.records


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every template that is read or asked about."""
    seen: list[str] = []
    loader = jinja2.FileSystemLoader
    original = loader.get_source

    def get_source(self: Any, environment: Any, template: str) -> Any:
        seen.append(template)
        return original(self, environment, template)

    monkeypatch.setattr(loader, "get_source", get_source)
    getmtime = os.path.getmtime

    def note_age(path: str) -> float:
        seen.append("age")
        return getmtime(path)

    monkeypatch.setattr(os.path, "getmtime", note_age)
    return seen


def test_no_request_waits_for_a_disk(
    folder: Path, client_factory: ClientFactory, opened: list[str]
) -> None:
    (folder / "base.html").write_text("{% block a %}{% endblock %}")
    (folder / "child.html").write_text("{% extends 'base.html' %}{% include 'page.html' %}")
    app = serve(Jinja2Templates(folder), word="hi")
    at_start = sorted(set(opened) - {"age"})
    opened.clear()

    client = client_factory(app)
    assert [client.get("/child.html").status_code for _ in range(3)] == [200] * 3

    assert at_start == ["base.html", "child.html", "page.html"]
    assert opened == []


def test_a_changed_template_is_read_again_under_debug_only(
    folder: Path, client_factory: ClientFactory, blockbuster: BlockBuster
) -> None:
    blockbuster.deactivate()  # under debug it does look at the disk
    app = serve(Jinja2Templates(folder), word="hi")
    client = client_factory(app)
    assert client.get("/page.html").text == "<b>hi</b>"
    (folder / "page.html").write_text("new")
    os.utime(folder / "page.html", (LATER, LATER))

    assert client.get("/page.html").text == "<b>hi</b>"
    app.debug = True
    assert client.get("/page.html").text == "new"


def test_a_template_that_comes_later_is_found(folder: Path) -> None:
    templates = Jinja2Templates(folder)
    (folder / "late.html").write_text("late")

    assert templates.TemplateResponse(make_request(), "late.html").body == b"late"


def test_an_environment_of_ones_own_is_left_as_it_is(folder: Path, opened: list[str]) -> None:
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=False)
    templates = Jinja2Templates(env=env)

    response = templates.TemplateResponse(make_request(), "page.html", {"word": "<"})

    assert templates.env is env
    assert env.auto_reload
    assert response.body == b"<b><</b>"


@pytest.mark.parametrize("arguments", [{}, {"directory": "a", "env": jinja2.Environment()}])
def test_either_a_directory_or_an_environment_is_needed(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either directory= or env="):
        Jinja2Templates(**arguments)


def test_a_router_without_an_application_serves_pages_too(
    folder: Path, client_factory: ClientFactory
) -> None:
    app = serve(Jinja2Templates(folder), word="hi")

    assert client_factory(Router(app.routes)).get("/page.html").text == "<b>hi</b>"


def test_without_jinja_the_module_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ImportError, match="pip install jinja2"):
        importlib.reload(templating)
