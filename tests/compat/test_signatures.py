"""Public names and signatures are those of Starlette 1.10, `Starlette` being called `App`."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any, Final

import pytest

MODULES: Final = (
    "applications",
    "authentication",
    "background",
    "concurrency",
    "config",
    "convertors",
    "datastructures",
    "endpoints",
    "exceptions",
    "formparsers",
    "middleware",
    "middleware.authentication",
    "middleware.base",
    "middleware.body_limit",
    "middleware.cors",
    "middleware.errors",
    "middleware.exceptions",
    "middleware.gzip",
    "middleware.httpsredirect",
    "middleware.opentelemetry",
    "middleware.sessions",
    "middleware.trustedhost",
    "middleware.wsgi",
    "requests",
    "responses",
    "routing",
    "schemas",
    "staticfiles",
    "status",
    "templating",
    "testclient",
    "websockets",
)
RENAMED: Final = {"Starlette": "App"}

# What is not there, with the reason. A name that appears has to leave this list.
SPLIT: Final = "an urlencoded form is split as a whole, without callbacks"
OWN_PAGE: Final = "the debug page is our own"
OWN_SEND: Final = "one small private object for each request sends what the middleware adds"
ABSENT: Final = {
    "middleware.base.T": "a type variable for its own use",
    "middleware.cors.CORSMiddleware.allow_explicit_origin": OWN_SEND,
    "middleware.cors.CORSMiddleware.send": OWN_SEND,
    "middleware.cors.CORSMiddleware.simple_response": OWN_SEND,
    "middleware.wsgi.WSGIResponder.sender": "the thread waits for each chunk: no queue, no task",
    "middleware.errors.CENTER_LINE": OWN_PAGE,
    "middleware.errors.FRAME_TEMPLATE": OWN_PAGE,
    "middleware.errors.JS": OWN_PAGE,
    "middleware.errors.LINE": OWN_PAGE,
    "middleware.errors.STYLES": OWN_PAGE,
    "middleware.errors.TEMPLATE": OWN_PAGE,
    "middleware.errors.ServerErrorMiddleware.format_line": OWN_PAGE,
    "middleware.gzip.GZipResponder.apply_compression": OWN_SEND,
    "middleware.gzip.GZipResponder.compressor": OWN_SEND,
    "middleware.gzip.IdentityResponder.apply_compression": OWN_SEND,
    "middleware.gzip.IdentityResponder.send_with_compression": OWN_SEND,
    "middleware.gzip.unattached_send": OWN_SEND,
    "formparsers.FormParser.on_field_data": SPLIT,
    "formparsers.FormParser.on_field_end": SPLIT,
    "formparsers.FormParser.on_field_name": SPLIT,
    "formparsers.FormParser.on_field_start": SPLIT,
}

# Keyword-only parameters of ours that Starlette does not have, with their defaults.
ADDED: Final = {
    "routing.WebSocketRoute.__init__": {"allowed_origins": "None"},
    "applications.App.__init__": {"mount_lifespans": "False"},
    "middleware.trustedhost.TrustedHostMiddleware.__init__": {"allow_private": "False"},
    "routing.Router.__init__": {"mount_lifespans": "False"},
    "staticfiles.StaticFiles.__init__": {
        "precompressed": "False",
        "cache_control": "None",
        "spa": "False",
        "dotfiles": "'deny'",
        "cache_bytes": "16777216",
    },
}

# Defaults of ours that are others than Starlette's.
CHANGED: Final = {
    "middleware.sessions.SessionMiddleware.__init__": {"https_only": "None"},
}

Parameters = list[tuple[str, str, str]]


def describe(function: Any) -> Parameters | None:
    """Return name, kind and default of each parameter; None for what has no signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [(each.name, each.kind.name, describe_default(each.default)) for each in parameters]


def describe_default(default: Any) -> str:
    """Return a text for a default that is the same in both libraries."""
    if inspect.isfunction(default) or inspect.isclass(default):
        return default.__name__
    # An object without a text of its own has its address in it.
    kind: Any = type(default)
    return kind.__name__ if kind.__repr__ is object.__repr__ else repr(default)


def list_names(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the public names that a module of Starlette defines, with those of its classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette will remove its WSGI middleware
        theirs = importlib.import_module(f"starlette.{module}")
    for name, value in vars(theirs).items():
        if not is_defined_in(theirs.__name__, name, value):
            continue
        ours = f"{module}.{RENAMED.get(name, name)}"
        yield ours, value
        if inspect.isclass(value):
            for member, attribute in vars(value).items():
                if not member.startswith("_") or member in {"__init__", "__call__"}:
                    yield f"{ours}.{member}", attribute


def is_defined_in(module: str, name: str, value: Any) -> bool:
    """Say whether a name is a public one of this module, and not imported into it."""
    if name.startswith("_") or inspect.ismodule(value) or name == "TYPE_CHECKING":
        return False
    home = getattr(value, "__module__", None)
    return name.isupper() if home is None else home == module


NAMES: Final = [pair for module in MODULES for pair in list_names(module)]


def find_ours(name: str) -> Any:
    """Return what the framework has under a name; raise AttributeError for nothing."""
    module = max((each for each in MODULES if name.startswith(each + ".")), key=len)
    found = importlib.import_module(f"framework.{module}")
    for part in name.removeprefix(module + ".").split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("name", "theirs"), NAMES, ids=[name for name, _ in NAMES])
def test_a_public_name_is_there_with_its_signature(name: str, theirs: Any) -> None:
    if any(name == absent or name.startswith(absent + ".") for absent in ABSENT):
        return
    ours = find_ours(name)
    assert inspect.isclass(ours) == inspect.isclass(theirs)
    # URLPath.__init__ only documents what __new__ takes.
    if (
        callable(theirs)
        and not inspect.isclass(theirs)
        and name != "datastructures.URLPath.__init__"
    ):
        expected = describe(theirs)
        if name in ADDED and expected is not None:
            expected += [(each, "KEYWORD_ONLY", default) for each, default in ADDED[name].items()]
        if name in CHANGED and expected is not None:
            expected = [(p, kind, CHANGED[name].get(p, old)) for p, kind, old in expected]
        assert describe(ours) == expected


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_listed_as_absent_is_absent(name: str) -> None:
    assert name in dict(NAMES)
    with pytest.raises(AttributeError):
        find_ours(name)


def test_enough_names_are_compared() -> None:
    assert len(NAMES) > 300


@pytest.mark.parametrize(
    "name",
    [
        "middleware.base._CachedRequest",
        "middleware.base._StreamingResponse",
        "responses.guess_type",
        "routing.get_route_path",
        "websockets.WebSocket._raise_on_disconnect",
    ],
)
def test_names_that_are_not_public_and_yet_imported_by_others_are_there(name: str) -> None:
    module_name, *path = (
        name.rsplit(".", 2) if name.startswith("websockets") else name.rsplit(".", 1)
    )
    for library in ("starlette", "framework"):
        found: Any = importlib.import_module(f"{library}.{module_name}")
        for part in path:
            found = getattr(found, part)
        assert callable(found)
