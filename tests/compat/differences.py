"""Where the framework answers differently from Starlette 1.10 on purpose, each with its reason.

`where` is a regular expression for "case: request"; `expect` turns Starlette's result into ours. A row
that changes nothing any more fails the tests, so this list cannot go stale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tests.compat.harness import Result

# From the result of Starlette and that of ours (for texts that are ours) to the expected result.
Expect = Callable[[Result, Result], Result]


@dataclass(frozen=True)
class Difference:
    """One intended difference."""

    reason: str
    where: str
    expect: Expect

    def concerns(self, place: str) -> bool:
        """Say whether the row is about this case and request."""
        return re.fullmatch(self.where, place, re.DOTALL) is not None


def find_differences(place: str) -> tuple[Difference, ...]:
    """Return the rows about a place, in the order in which they are to be applied."""
    return tuple(row for row in DIFFERENCES if row.concerns(place))


def set_header(result: Result, name: str, value: str) -> Result:
    """Replace the value of a header field where it stands."""
    return replace(result, headers=tuple((k, value if k == name else v) for k, v in result.headers))


def set_body(result: Result, *chunks: bytes) -> Result:
    """Replace the body and its declared length."""
    length = str(sum(len(chunk) for chunk in chunks))
    return set_header(replace(result, chunks=chunks), "content-length", length)


def drop_origin(theirs: Result, _: Result) -> Result:
    location = theirs.find_header("location")
    if theirs.status != 307 or location is None:
        return theirs
    parts = urlsplit(location)
    return set_header(theirs, "location", parts.path + (f"?{parts.query}" if parts.query else ""))


def allow_all(theirs: Result, _: Result) -> Result:
    return set_header(theirs, "allow", "DELETE, PUT") if theirs.status == 405 else theirs


def keep_exception(theirs: Result, _: Result) -> Result:
    return replace(theirs, raised="KnownError: known")


def take_debug_page(theirs: Result, ours: Result) -> Result:
    page = b"".join(ours.chunks)
    kind = theirs.find_header("content-type")
    is_page = page.startswith(b"<!doctype html>") == (kind == "text/html; charset=utf-8")
    if b"UnknownError: unknown" not in page or not is_page:
        return theirs
    return set_body(theirs, *ours.chunks)


def refuse_json(theirs: Result, ours: Result) -> Result:
    text = b"".join(ours.chunks)
    if not text.startswith(b"The request body is not valid JSON: "):
        return theirs
    headers = (("content-length", "0"), ("content-type", "text/plain; charset=utf-8"))
    return set_body(replace(theirs, status=400, headers=headers, raised=""), *ours.chunks)


def raise_value_error(theirs: Result, _: Result) -> Result:
    headers = (("content-length", "14"), ("content-type", "text/plain; charset=utf-8"))
    answer = replace(theirs, status=422, headers=headers, raised="")
    return set_body(answer, b"not JSON: True")


def answer_json(text: bytes) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        headers = (("content-length", "0"), ("content-type", "application/json"))
        return set_body(replace(theirs, status=200, headers=headers, raised=""), text)

    return expect


def raise_with(error: str) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        headers = (("content-length", "0"), ("content-type", "text/plain; charset=utf-8"))
        answer = replace(theirs, status=500, headers=headers, raised=error)
        return set_body(answer, b"Internal Server Error")

    return expect


def write_empty_cookies_bare(theirs: Result, _: Result) -> Result:
    return replace(theirs, headers=tuple((k, v.replace('=""', "=")) for k, v in theirs.headers))


def run_all_tasks(theirs: Result, _: Result) -> Result:
    return replace(theirs, notes=(*theirs.notes, "behind"))


def pass_user_middleware(theirs: Result, _: Result) -> Result:
    marks = tuple(("x-passed", name) for name in ("a2", "a1", "added first", "added second"))
    return replace(theirs, headers=(*theirs.headers, *marks))


def close_after_413(theirs: Result, _: Result) -> Result:
    if theirs.status != 413 or theirs.chunks != (b"Content Too Large",):
        return theirs
    return replace(theirs, headers=(("connection", "close"), *theirs.headers))


def keep_own_413(theirs: Result, _: Result) -> Result:
    return set_body(theirs, b"caught 413") if theirs.status == 413 else theirs


def change_body(changes: Mapping[bytes, bytes]) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        body = b"".join(theirs.chunks)
        for old, new in changes.items():
            body = body.replace(old, new)
        return set_body(theirs, body)

    return expect


DIFFERENCES = (
    Difference(
        "A redirect names no host: the client's Host and a wrong scheme stay out of it.",
        r"(templates|templates with a query|mounts|overlaps): .*",
        drop_origin,
    ),
    Difference(
        "Allow names the methods of all routes that match the path, not those of the first.",
        r"methods: \w+ /split",
        allow_all,
    ),
    Difference(
        "An exception that an inner application has answered is raised on as it is.",
        r"mounted handlers: GET /bare/known",
        keep_exception,
    ),
    Difference(
        "The debug page and its traceback are our own.",
        r"debug: GET /unknown.*",
        take_debug_page,
    ),
    Difference(
        "Bad JSON is the client's fault: 400 with the reason, never a 500.",
        r"request json: POST /json .*",
        refuse_json,
    ),
    Difference(
        "What RFC 8259 forbids (NaN, numbers without end, lone surrogates) or RFC 8259 section 8.1 "
        "leaves open (byte order marks, UTF-16) is not JSON; too deep nesting is a ValueError too.",
        r"request json: POST /caught b('NaN'|'1e999'|'\[\[|'\"..ud800|'.xef.xbb|'.xff.xfe).*",
        raise_value_error,
    ),
    Difference(
        "Without a host, a path is all there is to a URL; the name of a socket file is no host.",
        r"request head: GET /head unix socket",
        change_body({b"http:///run/app.sock:None/": b"/", b"/run/app.sock:None/": b"/"}),
    ),
    Difference(
        "A cookie without a name is dropped: browsers send its bare value, which may look like a name.",
        r"request head: GET /head nameless cookies",
        change_body({b'"cookies":{"a":"1","":"d"}': b'"cookies":{"a":"1"}'}),
    ),
    Difference(
        "Numbers are written by msgspec, which leaves out the plus sign of exponents.",
        r"responses: GET /json-float",
        change_body({b"e+": b"e"}),
    ),
    Difference(
        "JSON has no NaN; a response with one is null instead of a 500.",
        r"responses: GET /json-nan",
        answer_json(b"[null]"),
    ),
    Difference(
        "Dates, UUIDs and structs are encoded as msgspec does.",
        r"responses: GET /json-date",
        answer_json(b'"2030-01-02"'),
    ),
    Difference(
        "The string is encoded without the quotes, so the position in the error is one less.",
        r"responses: GET /json-surrogate",
        raise_with(
            "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' "
            "in position 0: surrogates not allowed"
        ),
    ),
    Difference(
        "An empty cookie is written without quotes, which browsers would take for the value.",
        r"responses: GET /(cookies|delete)",
        write_empty_cookies_bare,
    ),
    Difference(
        "A cookie that cannot be sent is a ValueError that names the value and the rule.",
        r"responses: GET /bad-cookie",
        raise_with("ValueError: cookie name 'a b' is not a token (RFC 6265 section 4.1.1)"),
    ),
    Difference(
        "Arguments are checked by ValueError, which python -O keeps.",
        r"responses: GET /bad-samesite",
        raise_with("ValueError: samesite='weird'; use 'lax', 'strict', 'none' or None"),
    ),
    Difference(
        "A line end in a header is refused where it is set (response splitting).",
        r"responses: GET /crlf-(header|late)",
        raise_with(
            "ValueError: header value '1\\r\\nset-cookie: b=2' holds a control character: "
            "remove or encode it"
        ),
    ),
    Difference(
        "A line end in an attribute of a cookie is refused with a clear message.",
        r"responses: GET /crlf-cookie",
        raise_with("ValueError: cookie path '/\\r\\nx: y' holds a control character or ';'"),
    ),
    Difference(
        "A failing background task does not take along the ones behind it.",
        r"background tasks: GET /partly",
        run_all_tasks,
    ),
    Difference(
        "An unhandled 500 passes the user's middleware: CORS headers and request ids are on it.",
        r"middleware: GET /(fail|broken)",
        pass_user_middleware,
    ),
    Difference(
        "A 413 of the application's own is not replaced by ours.",
        r"body limits: POST \S*/caught (declared too long|shorter than declared|far too long|"
        r"at the limit|longer than declared)",
        keep_own_413,
    ),
    Difference(
        "The rest of a body that is too large is not read, so the connection is closed.",
        r"body limits: .*",
        close_after_413,
    ),
)
