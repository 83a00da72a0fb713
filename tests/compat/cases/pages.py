"""Templates, and settings, which are read where an application is made."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jinja2

from tests.compat.harness import Case, Request

FILES = {
    "page.html": "<p>{{ word }} {{ number }} {{ request.url.path }}</p>",
    "mail.txt": "{{ word }}",
    "links.html": "{{ url_for('user', name='a b') }} {{ url_for('static', path='/x.css') }}",
    "child.html": "{% extends 'base.html' %}{% block body %}{{ word }}{% endblock %}",
    "base.html": "[{% block body %}{% endblock %}]",
    "attribute.html": "{{ none.such }}",
    "unknown.html": "{{ url_for('nothing') }}",
    "page.html.j2": "{{ word }}",
    ".env": "NUMBER=5\nQUOTED='a b'\n# NO=1\nBAD=x\nLIST=a, b\n",
}
SETTINGS = (
    ("NUMBER", int),
    ("QUOTED", None),
    ("NO", None),
    ("FLAG", bool),
    ("LIST", "CommaSeparatedStrings"),
    ("NUMBER", str),
)


@functools.cache
def find_folder() -> Path:
    """Return a folder with the files; it is made once and goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="pages-"))
    atexit.register(shutil.rmtree, folder)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def build_pages(names: Any) -> Any:
    """Build pages of files and of an environment; the path names the template."""

    def add_number(request: Any) -> dict[str, Any]:
        return {"number": len(request.url.path)}

    files = names.Jinja2Templates(directory=find_folder(), context_processors=[add_number])
    env = jinja2.Environment(loader=jinja2.DictLoader(FILES), autoescape=False)
    own = names.Jinja2Templates(env=env)

    def show(request: Any) -> Any:
        templates = files if request.path_params["kind"] == "files" else own
        return templates.TemplateResponse(
            request,
            request.path_params["name"],
            {"word": "<&'\">"},
            status_code=201,
            headers={"x-a": "b"},
            background=names.BackgroundTask(names.notes.append, "done"),
        )

    async def show_sync(request: Any) -> Any:
        context = {"word": 1, "request": request}
        return files.TemplateResponse(request, "page.html", context, media_type="text/x-page")

    return names.App(
        routes=[
            names.Route("/{kind}/{name}", show),
            names.Route("/plain", show_sync),
            names.Mount("/users", routes=[names.Route("/{name}", show, name="user")]),
            names.Mount("/static", show, name="static"),
        ]
    )


def build_settings(names: Any) -> Any:
    """Build an application that shows its settings."""
    config = names.Config(find_folder() / ".env", environ={"FLAG": "TRUE", "APP_NUMBER": "7"})
    prefixed = names.Config(environ={"APP_NUMBER": "7"}, env_prefix="APP_")

    async def show(request: Any) -> Any:
        values = [
            str(
                config(
                    key, cast=getattr(names, cast) if isinstance(cast, str) else cast, default=None
                )
            )
            for key, cast in SETTINGS
        ]
        return names.JSONResponse([*values, prefixed("NUMBER", cast=int)])

    async def fail(request: Any) -> Any:
        try:
            config("BAD", cast={"int": int, "bool": bool}[request.path_params["cast"]])
        except ValueError as exc:
            return names.PlainTextResponse(str(exc).partition(".")[0])

    async def change(request: Any) -> Any:
        environ = names.Environ({"A": "1", "B": "2"})
        environ["B"] = environ["A"]
        try:
            environ["A"] = "2"
        except names.EnvironError as exc:
            return names.PlainTextResponse(str(exc).partition(".")[0])

    return names.App(
        routes=[
            names.Route("/", show),
            names.Route("/bad/{cast}", fail),
            names.Route("/change", change),
        ]
    )


CASES = (
    Case(
        "pages",
        build_pages,
        (
            *(Request(f"/files/{name}") for name in FILES if name != "page.html.j2"),
            Request("/files/page.html.j2", label="of another ending"),
            *(Request(f"/env/{name}") for name in ("page.html", "links.html", "page.html.j2")),
            Request("/files/missing.html"),
            Request("/plain"),
            Request("/files/page.html", "HEAD"),
        ),
    ),
    Case(
        "settings",
        build_settings,
        (Request("/"), Request("/bad/int"), Request("/bad/bool"), Request("/change")),
    ),
)
