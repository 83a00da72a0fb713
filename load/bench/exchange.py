"""One request as a server would hand it over, its timing and its check.

Inside the clock: a fresh scope for each request, as a server makes one, then the application.
The fresh scopes alone are timed as well, and that time is taken off. Outside the clock: building
the template of the scope, `receive`, `send`, and the check of the answer. The clock is the CPU time
of the thread: nothing measured ever waits, and time given to other processes is not ours.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from load.bench.cases import Case

HEADERS: Final = (
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"bench"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
)


class Exchange:
    """The request of one case and what its answer has to look like."""

    __slots__ = ("case", "template", "wrong_method_status")

    def __init__(self, case: Case, wrong_method_status: int) -> None:
        self.case = case
        self.wrong_method_status = wrong_method_status
        self.template = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 51234),
            "scheme": "http",
            "method": case.method,
            "root_path": "",
            "path": case.path,
            "raw_path": case.path.encode("ascii"),
            "query_string": b"",
        }

    async def time(self, app: Any, number: int) -> int:
        """Return the nanoseconds that `number` requests take, their fresh scopes taken off."""
        overhead = self.time_scopes(number)
        return await self.time_requests(app, number) - overhead

    def time_scopes(self, number: int) -> int:
        """Return the nanoseconds that `number` fresh scopes take without an application."""
        template, headers = self.template, HEADERS
        start = time.thread_time_ns()
        for _ in range(number):
            _ = {**template, "headers": [*headers], "state": {}}
        return time.thread_time_ns() - start

    async def time_requests(self, app: Any, number: int) -> int:
        """Return the nanoseconds that `number` requests take, their fresh scopes included."""
        template, headers = self.template, HEADERS
        start = time.thread_time_ns()
        for _ in range(number):
            scope = {**template, "headers": [*headers], "state": {}}
            await app(scope, receive_nothing, send_nowhere)
        return time.thread_time_ns() - start

    async def check(self, app: Any) -> None:
        """Run the request once and raise RuntimeError unless the answer is the expected one."""
        recorder = Recorder()
        scope = {**self.template, "headers": [*HEADERS], "state": {}}
        await app(scope, receive_nothing, recorder.send)
        problem = self._find_problem(recorder)
        if problem:
            raise RuntimeError(f"case {self.case.name!r}: {problem}")

    def _find_problem(self, answer: Recorder) -> str | None:
        case = self.case
        expected = self.wrong_method_status if case.status is None else case.status
        if answer.status != expected:
            return f"status {answer.status!r} instead of {expected!r}"
        if not answer.complete:
            return "the response is not complete"
        content_type = answer.headers.get("content-type", "")
        if not content_type.startswith(case.content_type):
            return f"content-type {content_type!r} instead of {case.content_type!r}"
        if int(answer.headers.get("content-length", len(answer.body))) != len(answer.body):
            return f"content-length {answer.headers['content-length']!r} of a {answer.body!r}"
        if case.body is not None and answer.body != case.body:
            return f"body {answer.body!r} instead of {case.body!r}"
        if case.json is not None and json.loads(answer.body) != case.json:
            return f"JSON {answer.body!r} instead of {case.json!r}"
        return None


class Recorder:
    """Takes the messages of one response."""

    __slots__ = ("body", "complete", "headers", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False

    async def send(self, message: dict[str, Any]) -> None:
        """Record one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            fields = message.get("headers", ())
            self.headers = {bytes(k).decode().lower(): bytes(v).decode() for k, v in fields}
        else:
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body", False)


async def receive_nothing() -> dict[str, Any]:
    """Deliver the empty body of a request."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send_nowhere(message: dict[str, Any]) -> None:
    """Take a message as cheaply as possible."""
