"""`WSGIMiddleware`: a WSGI application (PEP 3333) as an ASGI application, for what is mounted beside."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, BinaryIO, Final

import anyio.from_thread

from framework._defaults import MAX_FILE_MEMORY_BYTES, MAX_WSGI_BODY_BYTES
from framework._http.fields import encode_field
from framework.concurrency import endpoint_threads
from framework.datastructures import UploadFile
from framework.exceptions import ClientDisconnect, RequestBodyTooLarge
from framework.middleware._refusals import answer_refusal
from framework.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from framework.responses._watching import run_while_connected, wait_for_disconnect
from framework.types import Message, Receive, Scope, Send
from framework.websockets import WebSocketClose

__all__ = ["WSGIMiddleware", "WSGIResponder", "build_environ"]

_STATUS: Final = re.compile(r"[1-9][0-9]{2}(?: .*)?")
_LENGTHS: Final = {b"content-length": "CONTENT_LENGTH", b"content-type": "CONTENT_TYPE"}

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def build_environ(scope: Scope, body: bytes | BinaryIO) -> dict[str, Any]:
    """Return the WSGI environment of a request with this body.

    Fields with an underscore in their name are left out, as they could pass for those with a hyphen,
    and so is `Proxy`, which would become `HTTP_PROXY` (CVE-2016-5385). A body that came without a
    length has one here, as most applications read nothing without.
    """
    root = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    if root and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    server = scope.get("server") or ("localhost", 80)
    file = io.BytesIO(body) if isinstance(body, bytes | bytearray) else body
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _encode_text(root),
        "PATH_INFO": _encode_text(path),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": "" if server[1] is None else str(server[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": file,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    for name, value in scope.get("headers", ()):
        if b"_" not in name and name != b"proxy":
            _add_field(environ, name, value.decode("latin-1"))
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    if length:
        environ.setdefault("CONTENT_LENGTH", str(length))
    return environ


def _add_field(environ: dict[str, Any], name: bytes, value: str) -> None:
    key = _LENGTHS.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
    if key in environ:
        value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


def _encode_text(text: str) -> str:
    """Return text the way PEP 3333 has it: its UTF-8 bytes, each as a character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


class WSGIMiddleware:
    """Run a WSGI application, each request in a thread of `framework.concurrency.endpoint_threads`.

    The body is read first: into memory, or over 1 MiB to disk, as far as the `max_body_size` in force
    allows, else 1 GiB. What the application returns is sent as it comes, and no faster than the client
    takes it. When the client has gone the next chunk ends the application; its `close()` is called in
    any case.

    An exception that the application has answered itself, as it tells by `exc_info`, is raised when
    the answer is sent, so that it is logged.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await WSGIResponder(self.app, scope)(receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            raise RuntimeError(f"a WSGI application has no {scope['type']!r}: it serves HTTP only")


class WSGIResponder:
    """One request to a WSGI application."""

    __slots__ = ("app", "exc_info", "response_started", "scope", "send", "start")

    send: Send

    def __init__(self, app: Callable[..., Any], scope: Scope) -> None:
        self.app = app
        self.scope = scope
        self.response_started = False
        self.start: Message | None = None
        self.exc_info: ExcInfo | None = None

    async def __call__(self, receive: Receive, send: Send) -> None:
        self.send = send
        file: Any = tempfile.SpooledTemporaryFile(max_size=MAX_FILE_MEMORY_BYTES)  # noqa: SIM115 - below
        body = UploadFile(file, size=0)
        try:
            try:
                await self._read_body(body, receive)
            except _OverOwnLimit as exc:
                await answer_refusal(exc, self.scope, receive, send)
                return
            environ = build_environ(self.scope, body.file)
            await run_while_connected(self._respond(environ), lambda: wait_for_disconnect(receive))
        finally:
            await body.close()
        if self.exc_info is not None:
            raise self.exc_info[1].with_traceback(self.exc_info[2])

    async def _read_body(self, body: UploadFile, receive: Receive) -> None:
        # A limit of the application counts what is received; this is for where there is none.
        is_limited = MAX_BODY_SIZE_SCOPE_KEY in self.scope
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            await body.write(message.get("body", b""))
            if not is_limited and (body.size or 0) > MAX_WSGI_BODY_BYTES:
                raise _OverOwnLimit(MAX_WSGI_BODY_BYTES)
            if not message.get("more_body", False):
                return

    async def _respond(self, environ: dict[str, Any]) -> None:
        await endpoint_threads.run(self.wsgi, environ, self.start_response)
        # Also when there was no chunk that could have taken the start with it.
        await self._send_chunk(b"", more_body=False)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        """Run the application and send what it returns; to be called in a thread."""
        chunks: Iterable[bytes] = self.app(environ, start_response)
        try:
            for chunk in chunks:
                self.write(chunk)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def start_response(
        self,
        status: str,
        response_headers: list[tuple[str, str]],
        exc_info: Any = None,
    ) -> Callable[[bytes], None]:
        """Keep the start of the response until the first chunk; return `write`.

        Raises:
            RuntimeError: it was called before and there is no `exc_info`.
            ValueError: the status or a field cannot be sent.
            BaseException: that of `exc_info`, when it is too late for another response.
        """
        if exc_info:
            if self.response_started:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.start is not None:
            raise RuntimeError(
                "start_response was called a second time without exc_info (PEP 3333)"
            )
        if not _STATUS.fullmatch(status):
            raise ValueError(f"status={status!r} must be a number and a phrase, such as '200 OK'")
        self.exc_info = exc_info or None
        self.start = {
            "type": "http.response.start",
            "status": int(status[:3]),
            "headers": [encode_field(k.strip(), v.strip()) for k, v in response_headers],
        }
        return self.write

    def write(self, chunk: bytes) -> None:
        """Send a chunk and wait until it is sent; to be called in the thread of the application."""
        if not isinstance(chunk, bytes):
            raise TypeError(f"a WSGI application returned {type(chunk).__name__}: return bytes")
        if chunk:  # PEP 3333: the start waits for the first chunk that is not empty
            # A `send` that never waits would not notice that the client has gone.
            anyio.from_thread.check_cancelled()
            anyio.from_thread.run(self._send_chunk, chunk)

    async def _send_chunk(self, chunk: bytes, more_body: bool = True) -> None:
        if not self.response_started:
            if self.start is None:
                raise RuntimeError("the WSGI application has not called start_response")
            self.response_started = True
            await self.send(self.start)
        await self.send({"type": "http.response.body", "body": chunk, "more_body": more_body})


class _OverOwnLimit(RequestBodyTooLarge):
    """The limit is that of this module, so no layer further out answers it."""
