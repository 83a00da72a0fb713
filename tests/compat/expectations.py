"""What our result of an exchange is to be, given that of Starlette: the verbs of `differences.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from tests.compat.cases.static import ETAG, MODIFIED_FIELD
from tests.compat.harness import Result

# From the result of Starlette and that of ours (for texts that are ours) to the expected result.
Expect = Callable[[Result, Result], Result]


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


def take_debug_page(theirs: Result, ours: Result) -> Result:
    page = b"".join(ours.chunks)
    kind = theirs.find_header("content-type")
    is_page = page.startswith(b"<!doctype html>") == (kind == "text/html; charset=utf-8")
    if b"UnknownError: unknown" not in page or not is_page:
        return theirs
    policy = ours.find_header("content-security-policy")
    if policy is not None:
        fields = (("content-security-policy", policy), *theirs.headers)
        theirs = replace(theirs, headers=fields)
    return set_body(theirs, *ours.chunks)


def refuse_json(theirs: Result, ours: Result) -> Result:
    text = b"".join(ours.chunks)
    if not text.startswith(b"The request body is not valid JSON: "):
        return theirs
    headers = (("content-length", "0"), ("content-type", "text/plain; charset=utf-8"))
    return set_body(replace(theirs, status=400, headers=headers, raised=""), *ours.chunks)


def refuse_form(theirs: Result, ours: Result) -> Result:
    if ours.status != 400:
        return theirs
    headers = (("content-length", "0"), ("content-type", "text/plain; charset=utf-8"))
    return set_body(replace(theirs, status=400, headers=headers, raised=""), *ours.chunks)


def keep_body(theirs: Result, _: Result) -> Result:
    return replace(
        theirs,
        notes=tuple(n.replace("RuntimeError: Stream consumed", "body 7") for n in theirs.notes),
    )


def raise_value_error(theirs: Result, _: Result) -> Result:
    headers = (("content-length", "14"), ("content-type", "text/plain; charset=utf-8"))
    answer = replace(theirs, status=422, headers=headers, raised="")
    return set_body(answer, b"not JSON: True")


def answer_json(text: bytes, status: int = 200) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        headers = (("content-length", "0"), ("content-type", "application/json"))
        return set_body(replace(theirs, status=status, headers=headers, raised=""), text)

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


def raise_group(theirs: Result, _: Result) -> Result:
    raised = "ExceptionGroup: 2 background tasks failed (2 sub-exceptions)"
    return replace(theirs, notes=(*theirs.notes, "between", "two"), raised=raised)


def pass_user_middleware(theirs: Result, _: Result) -> Result:
    marks = tuple(("x-passed", name) for name in ("a2", "a1", "added first", "added second"))
    return replace(theirs, headers=(*theirs.headers, *marks))


def pass_outer_middleware(theirs: Result, _: Result) -> Result:
    return replace(theirs, headers=(*theirs.headers, ("x-passed", "outer")))


def close_after_413(theirs: Result, _: Result) -> Result:
    if theirs.status != 413 or theirs.chunks != (b"Content Too Large",):
        return theirs
    return replace(theirs, headers=(("connection", "close"), *theirs.headers))


def keep_own_413(theirs: Result, _: Result) -> Result:
    return set_body(theirs, b"caught 413") if theirs.status == 413 else theirs


def say_it_in_our_words(theirs: Result, ours: Result) -> Result:
    kind = theirs.raised.partition(":")[0]
    return replace(theirs, raised=ours.raised) if ours.raised.startswith(kind + ": ") else theirs


def close_with(code: int, reason: str) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        close = repr([("code", code), ("reason", reason), ("type", "websocket.close")])
        accept = theirs.others[0]
        return replace(theirs, raised="", others=(accept, close))

    return expect


def end_with(code: int, reason: str) -> Expect:
    close = close_with(code, reason)

    def expect(theirs: Result, ours: Result) -> Result:
        notes = (*theirs.notes[:-1], f"closed {code}")
        return replace(close(theirs, ours), notes=notes)

    return expect


def change_body(changes: Mapping[bytes, bytes]) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        body = b"".join(theirs.chunks)
        for old, new in changes.items():
            body = body.replace(old, new)
        return set_body(theirs, body)

    return expect


def change_chunks(changes: Mapping[bytes, tuple[bytes, ...]]) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        parts = [changes.get(chunk, (chunk,)) for chunk in theirs.chunks]
        return replace(theirs, chunks=tuple(chunk for part in parts for chunk in part))

    return expect


def fail_with_500(error: str) -> Expect:
    """Expect that what is raised is answered with a bare 500."""

    def expect(theirs: Result, _: Result) -> Result:
        headers = (("content-length", "21"), ("content-type", "text/plain; charset=utf-8"))
        chunks = (b"Internal Server Error",)
        return Result(500, headers, chunks, True, error, ("response complete",))

    return expect


def answer_404(theirs: Result, _: Result) -> Result:
    headers = (("content-length", "0"), ("content-type", "text/plain; charset=utf-8"))
    return set_body(replace(theirs, status=404, headers=headers, raised=""), b"Not Found")


def send_404_file(content_type: str) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        headers = (
            ("content-type", content_type + "; charset=utf-8"),
            ("accept-ranges", "bytes"),
            ("content-length", "1"),
            ("last-modified", MODIFIED_FIELD),
            ("etag", ETAG),
        )
        return replace(theirs, status=404, headers=headers, chunks=(b"x",))

    return expect


def answer_with(status: int, body: bytes) -> Expect:
    def expect(theirs: Result, ours: Result) -> Result:
        return ours if (ours.status, b"".join(ours.chunks)) == (status, body) else theirs

    return expect


def use_boundary(theirs: Result, ours: Result) -> Result:
    old, new = (
        (result.find_header("content-type") or "").partition("boundary=")[2]
        for result in (theirs, ours)
    )
    if not old or len(new) != len(old):
        return theirs
    chunks = tuple(chunk.replace(old.encode(), new.encode()) for chunk in theirs.chunks)
    field = f"multipart/byteranges; boundary={new}"
    return replace(set_header(theirs, "content-type", field), chunks=chunks)


def keep_private(theirs: Result, _: Result) -> Result:
    names = [name for name, _ in theirs.headers]
    if "vary" not in names or "cache-control" in names:
        return theirs
    place = names.index("set-cookie") if "set-cookie" in names else len(names)
    private = ("cache-control", "private")
    return replace(theirs, headers=(*theirs.headers[:place], private, *theirs.headers[place:]))


def vary_by_cookie(theirs: Result, _: Result) -> Result:
    return replace(theirs, headers=(*theirs.headers, ("vary", "Cookie")))


def set_session(value: str) -> Expect:
    cookie = f"session={value}; path=/; httponly; samesite=lax"

    def expect(theirs: Result, _: Result) -> Result:
        if theirs.status is not None:
            return replace(theirs, headers=(*theirs.headers, ("set-cookie", cookie)))
        fields = repr([(b"set-cookie", cookie.encode())])
        accept = theirs.others[0].replace("('headers', [])", f"('headers', {fields})")
        return replace(theirs, others=(accept, *theirs.others[1:]))

    return expect


def send_over_tls_only(theirs: Result, _: Result) -> Result:
    return replace(
        theirs,
        headers=tuple((k, v + "; secure" if k == "set-cookie" else v) for k, v in theirs.headers),
    )


def vary_once(theirs: Result, _: Result) -> Result:
    return set_header(theirs, "vary", "cookie")


def take_no_session(theirs: Result, ours: Result) -> Result:
    is_failed = theirs.status == 500 and ours.status == 200
    return ours if is_failed and b"".join(ours.chunks) == b"used" else theirs
