"""The environment that a WSGI application is given."""

from __future__ import annotations

import sys

import pytest

from framework.middleware.wsgi import build_environ
from tests.framework.asgi import build_scope


def test_the_environment_of_a_request() -> None:
    scope = build_scope(
        "/app/ü",
        "PUT",
        ("host", "example.org"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("content-length", "4"),
        ("content-type", "text/plain"),
        root_path="/app/",
        query_string=b"a=1&\xff",
    )
    environ = build_environ(scope, b"body")
    assert environ.pop("wsgi.input").read() == b"body"
    assert environ.pop("wsgi.errors") is sys.stderr
    assert environ == {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/\u00c3\u00bc",
        "QUERY_STRING": "a=1&\xff",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "203.0.113.9",
        "HTTP_HOST": "example.org",
        "HTTP_X_MANY": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "CONTENT_LENGTH": "4",
        "CONTENT_TYPE": "text/plain",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


@pytest.mark.parametrize(
    ("root_path", "path", "script_name", "path_info"),
    [
        ("", "/a", "", "/a"),
        ("/a", "/a", "/a", ""),
        ("/a", "/a/b", "/a", "/b"),
        ("/a", "/ab", "/a", "/ab"),
        ("/a", "/b", "/a", "/b"),
        ("", "/\udcff", "", "/\xff"),
    ],
)
def test_the_path_is_split_at_the_mount(
    root_path: str, path: str, script_name: str, path_info: str
) -> None:
    scope = build_scope(root_path=root_path)
    environ = build_environ({**scope, "path": path}, b"")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_fields_that_pass_for_others_are_left_out() -> None:
    scope = build_scope(
        "/",
        "GET",
        ("x_real_user", "admin"),
        ("x-real_user", "admin"),
        ("content_length", "9"),
        ("proxy", "evil:1"),
        ("x-real-user", "me"),
    )
    environ = build_environ(scope, b"")
    assert environ["HTTP_X_REAL_USER"] == "me"
    assert not {"HTTP_PROXY", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH"} & set(environ)


def test_a_server_on_a_unix_socket_has_no_port() -> None:
    scope = build_scope(server=("/run/app.sock", None), client=None)
    environ = build_environ(scope, b"")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("/run/app.sock", "")
    assert "REMOTE_ADDR" not in environ
