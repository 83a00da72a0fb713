"""`Jinja2Templates`: pages from templates, escaped by default."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Final

from framework._callables import get_name, is_async_callable
from framework._defaults import MAX_CACHED_TEMPLATES
from framework.background import BackgroundTask
from framework.datastructures import URL
from framework.requests import Request
from framework.responses import HTMLResponse
from framework.types import Receive, Scope, Send

try:
    import jinja2
except ModuleNotFoundError as exc:
    raise ImportError("Templates need jinja2: run `pip install jinja2`") from exc

__all__ = [
    "Jinja2Templates",
]

_logger = logging.getLogger("framework.templating")

# Endings that say that a file is a template, and nothing of what it makes.
_TEMPLATE_ENDINGS: Final = (".j2", ".jinja", ".jinja2", ".tmpl", ".tpl")
# What holds no markup: escaping would only spoil it.
_PLAIN_ENDINGS: Final = (".txt", ".md", ".csv", ".json", ".js", ".css")
# Files that are read before the first request; what else a template names is read when it is needed.
_EAGER_ENDINGS: Final = frozenset(
    ending[1:]
    for ending in (*_TEMPLATE_ENDINGS, *_PLAIN_ENDINGS, ".html", ".htm", ".xhtml", ".xml", ".svg")
    if ending not in {".js", ".css"}  # libraries for browsers, often large
)


class _TemplateResponse(HTMLResponse):
    """A rendered page; `template` and `context` are there for tests."""

    def __init__(
        self,
        template: jinja2.Template,
        context: dict[str, Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.template = template
        self.context = context
        content = _render(template, context)
        super().__init__(content, status_code, headers, media_type, background)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "http.response.debug" in (scope.get("extensions") or ()):
            info = {"template": self.template, "context": self.context}
            await send({"type": "http.response.debug", "info": info})
        await super().__call__(scope, receive, send)


class Jinja2Templates:
    """Templates below directories, or of a Jinja environment of one's own.

    In a template there are the context, `request`, `url_for(name, **path_params)` and `csp_nonce`: the
    nonce of this response's Content-Security-Policy, empty without a middleware that makes one. Macros
    see them when they are imported `with context`.

    Everything is escaped but files that hold no markup (`.txt .md .csv .json .js .css`, also with a
    `.j2` or `.jinja` behind it). The files are read here, once. An application with `debug=True` looks
    before each page whether they have changed, so one without never waits for a disk.

    Args:
        directory: one or more; in each the first file with the name of the template counts.
        context_processors: functions of the request whose mappings are added to each context, in order.
        env: instead of `directory`; escaping and reloading are its own affair.

    Raises:
        ValueError: both or neither of `directory` and `env`.
        TypeError: a context processor is async: a template is rendered without waiting.
    """

    def __init__(
        self,
        directory: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
        *,
        context_processors: list[Callable[[Request], dict[str, Any]]] | None = None,
        env: jinja2.Environment | None = None,
    ) -> None:
        if bool(directory) == bool(env):
            raise ValueError(
                f"Jinja2Templates needs either directory= or env=, got {directory!r} and {env!r}"
            )
        self.context_processors = [] if context_processors is None else context_processors
        for processor in self.context_processors:
            if is_async_callable(processor):
                raise TypeError(
                    f"context processor {get_name(processor)!r} is async: make it a plain function, "
                    "and await what it needs in the endpoint"
                )
        self._owns_env = env is None
        if env is None:
            env = jinja2.Environment(
                loader=jinja2.FileSystemLoader(directory or ()),
                autoescape=_is_escaped,  # noqa: S701 - a rule of our own: all that may be markup
                auto_reload=False,
                cache_size=MAX_CACHED_TEMPLATES,
            )
        self.env = env
        self.env.globals.setdefault("url_for", _url_for)
        self.env.globals.setdefault("csp_nonce", "")
        if self._owns_env:
            _load_all(env)
        # How the templates were compiled, until the first page: the environment may be changed till then.
        self._settings = _read_settings(env) if self._owns_env else None

    def get_template(self, name: str) -> jinja2.Template:
        """Return a template. Raises `jinja2.TemplateError` for one that is missing or malformed."""
        if self._settings is not None:
            if self._settings != _read_settings(self.env) and self.env.cache is not None:
                self.env.cache.clear()
            self._settings = None
        try:
            return self.env.get_template(name)
        except jinja2.TemplateError as exc:
            _explain(exc, name)
            raise

    def TemplateResponse(  # noqa: N802 - Starlette's name for it
        self,
        request: Request,
        name: str,
        context: dict[str, Any] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> _TemplateResponse:
        """Render the template `name` and return the page.

        Args:
            context: what the template may use; it is copied, so one mapping may serve many requests.

        Raises:
            jinja2.TemplateError: the template is missing, malformed or fails; a note names it.
        """
        context = {"request": request, **(context or {})}
        for processor in self.context_processors:
            context.update(processor(request))
        if self._owns_env:
            self.env.auto_reload = getattr(request.scope.get("app"), "debug", False)
        return _TemplateResponse(
            self.get_template(name), context, status_code, headers, media_type, background
        )


@jinja2.pass_context
def _url_for(context: jinja2.runtime.Context, name: str, /, **path_params: Any) -> URL:
    request: Request | None = context.get("request")
    if request is None:
        raise RuntimeError(
            f"url_for({name!r}) needs `request` in the context; a macro has it where it is imported "
            "`with context`"
        )
    return request.url_for(name, **path_params)


def _is_escaped(name: str | None) -> bool:
    """Tell whether what a template makes may be markup; a template from a string may always."""
    if name is None:
        return True
    name = name.lower()
    for ending in _TEMPLATE_ENDINGS:
        name = name.removesuffix(ending)
    return not name.endswith(_PLAIN_ENDINGS)


def _read_settings(env: jinja2.Environment) -> tuple[Any, ...]:
    """Return what decides how a template is compiled."""
    return (env.lexer, env.autoescape, env.finalize, *env.extensions)


def _load_all(env: jinja2.Environment) -> None:
    """Read and compile the templates there are; what cannot be is logged, and raised when it is used."""
    for name in itertools.islice(env.list_templates(_EAGER_ENDINGS), MAX_CACHED_TEMPLATES):
        try:
            env.get_template(name)
        except jinja2.TemplateAssertionError:
            continue  # mostly a filter or test that is yet to be added
        except (jinja2.TemplateError, UnicodeError, OSError) as exc:
            _logger.warning("Template %r cannot be used: %s", name, exc)


def _render(template: jinja2.Template, context: dict[str, Any]) -> str:
    nonce = getattr(context.get("request"), "state", None)
    try:
        return template.render({"csp_nonce": getattr(nonce, "csp_nonce", ""), **context})
    except jinja2.TemplateError as exc:
        _explain(exc, template.name)
        raise


def _explain(exc: jinja2.TemplateError, name: str | None) -> None:
    """Say where an error of Jinja's comes from, and what to do about it."""
    if isinstance(exc, jinja2.TemplateNotFound):
        remedy = "create it, or correct its name or the directory"
    elif isinstance(exc, jinja2.TemplateSyntaxError):
        remedy = f"correct {exc.filename or exc.name!r}, line {exc.lineno}"
    elif isinstance(exc, jinja2.UndefinedError):
        remedy = "pass it in the context, or write `{{ name | default('') }}`"
    else:
        remedy = "correct the template"
    exc.add_note(f"In template {name!r}: {remedy}.")
