"""Forms, well made and not."""

from __future__ import annotations

from typing import Any

from tests.compat.harness import Case, Request

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"


def build_forms(names: Any) -> Any:
    """Build endpoints that answer with the form they read."""

    async def describe(form: Any) -> Any:
        items: list[Any] = []
        for name, value in form.multi_items():
            if isinstance(value, str):
                items.append([name, value])
            else:
                content = await value.read()
                head = [value.filename, value.content_type, value.size, value.headers.items()]
                items.append([name, *head, len(content), content[:40].decode("latin-1")])
        return names.JSONResponse({"items": items, "last": sorted(form), "length": len(form)})

    async def form(request: Any) -> Any:
        form = await request.form()
        response = await describe(form)
        await form.close()
        return response

    async def managed(request: Any) -> Any:
        async with request.form() as form:
            response = await describe(form)
        uploads = [value for value in form.values() if not isinstance(value, str)]
        names.notes.append(f"closed {[upload.file.closed for upload in uploads]}")
        return response

    async def limited(request: Any) -> Any:
        async with request.form(max_files=2, max_fields=2, max_part_size=1024) as form:
            return await describe(form)

    async def after_body(request: Any) -> Any:
        names.notes.append(f"body {len(await request.body())}")
        form = await request.form()
        names.notes.append(f"again {await request.form() is form}")
        await request.close()
        return names.PlainTextResponse(str(len(form)))

    async def before_body(request: Any) -> Any:
        form = await request.form()
        try:
            names.notes.append(f"body {len(await request.body())}")
        except RuntimeError as exc:
            names.notes.append(f"RuntimeError: {exc}")
        return names.PlainTextResponse(str(len(form)))

    endpoints = (form, managed, limited, after_body, before_body)
    return names.App(
        routes=[names.Route(f"/{each.__name__}", each, methods=["POST"]) for each in endpoints]
    )


def build_bare(names: Any) -> Any:
    """Build a plain ASGI application that reads a form: there is no App to answer errors."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            form = await names.Request(scope, receive).form()
            text = f"form {form.multi_items()!r}"
        except names.MultiPartException as exc:
            text = f"refused: {exc.message}"
        await names.PlainTextResponse(text)(scope, receive, send)

    return app


def _part(content: str, *fields: str) -> str:
    head = "".join(f"{field}\r\n" for field in fields)
    return f"--{BOUNDARY}\r\n{head}\r\n{content}\r\n"


def _field(disposition: str, content: str = "x") -> str:
    return _part(content, f"Content-Disposition: form-data; {disposition}")


def _file(name: str, content: str = "content") -> str:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{name}.txt"'
    return _part(content, head, "Content-Type: text/plain")


def _post(
    label: str, body: str, content_type: str = MULTIPART, path: str = "/form", **changes: Any
) -> Request:
    raw = body.encode("latin-1")
    chunks = tuple(raw[start : start + 65536] for start in range(0, len(raw), 65536)) or (b"",)
    request = Request(path, "POST", body=changes.pop("chunks", chunks), label=label, **changes)
    return request.with_headers(("content-type", content_type))


_END = f"--{BOUNDARY}--\r\n"
_USUAL = _field('name="a"', "1") + _field('name="a"', "2") + _file("f") + _file("g", "") + _END
_UTF8 = "\xc3\xa9\xe2\x82\xac"
# Without files: Starlette leaves those of a form that is cut off open.
_TEXT = _field('name="a"', "1") + _field('name="b"', "2") + _END

_URLENCODED = tuple(
    _post(label, body, URLENCODED)
    for label, body in (
        ("usual", "a=1&b=x+y&a=%C3%A9&c=%26%3D%2B"),
        ("empty", ""),
        ("odd", "&&a&=b&c==d&&e=&"),
        ("semicolons", "a=1;role=admin"),
        ("bad escapes", "a=%zz&b=%&c=%f&%41=%4"),
        ("bad UTF-8", "a=%ff&b=\xff&c=\xc3\xa9%C3%A9"),
        ("many empty fields", "&" * 5000 + "a=1"),
        ("1000 fields", "&".join(["a=1"] * 1000)),
        ("1001 fields", "&".join(["a=1"] * 1001)),
        ("field at the limit", "a=" + "x" * (1024 * 1024 - 1)),
        ("field over the limit", "a=" + "x" * (1024 * 1024)),
    )
)
_WELL_MADE = (
    ("usual", _USUAL),
    ("no parts", _END),
    (
        "UTF-8",
        _field(f'name="{_UTF8}"', _UTF8) + _field('name="f"; filename="' + _UTF8 + '"') + _END,
    ),
    ("not UTF-8", _field('name="\xe9"', "\xe9") + _END),
    ("quotes", _field(r'name="a\"b\\c;d"') + _field(r'name="f"; filename="x\"y;z.txt"') + _END),
    ("no quotes", _field("name=a") + _field("name=f;filename=b.txt") + _END),
    ("extended names", _field("name=\"comment\"; name*=utf-8''role; filename*=utf-8''x") + _END),
    ("names of old browsers", _field(r'name="f"; filename="C:\dir\x.txt"') + _END),
    ("empty names", _field('name=""') + _field('name="f"; filename=""') + _END),
    ("path as name", _field('name="f"; filename="../../etc/passwd"') + _END),
    ("line ends", _file("f", "\r\n--\r\n\r\n" + f"\r\n--{BOUNDARY}x\r\n") + _END),
    ("leading line ends", "\r\n\r\n" + _USUAL),
    ("epilogue", _USUAL + "\r\nepilogue\r\n--x--"),
    ("no last line end", _USUAL[:-2]),
    ("padding", _USUAL.replace(f"{BOUNDARY}\r\n", f"{BOUNDARY} \t\r\n")),
    (
        "transfer encoding",
        _part(
            "eA==", 'Content-Disposition: form-data; name="a"', "Content-Transfer-Encoding: base64"
        )
        + _END,
    ),
    ("charset field", _field('name="_charset_"', "utf-7") + _field('name="a"', "+ADw-") + _END),
    ("large file", _file("f", "x" * 1_500_000) + _END),
    ("field at the limit", _field('name="a"', "x" * (1024 * 1024)) + _END),
)
_MALFORMED = (
    ("field over the limit", _field('name="a"', "x" * (1024 * 1024 + 1)) + _END),
    ("1001 fields", _field('name="a"') * 1001 + _END),
    ("1001 files", _file("f") * 1001 + _END),
    ("no name", _field('filename="a"') + _END),
    ("no disposition", _part("x", "X-Other: 1") + _END),
    ("nine fields in a part", _part("x", *["X-Many: 1"] * 9) + _END),
    ("long field in a part", _part("x", "X-Long: " + "x" * 5000) + _END),
    ("another boundary", _USUAL.replace(BOUNDARY, "other")),
    ("line feeds only", _USUAL.replace("\r\n", "\n")),
    ("bad name of a field", _part("x", "Bad Name: 1") + _END),
    ("preamble", "preamble\r\n" + _USUAL),
)
_DIFFERENT = (
    ("empty body", ""),
    ("cut off in a part", _TEXT[:150]),
    ("cut off in the last boundary", _TEXT[:-4]),
    ("never closed", _TEXT.removesuffix(_END)),
    ("preamble behind a line end", "\r\npreamble" + _TEXT),
    ("two dispositions", _part("x", *['Content-Disposition: form-data; name="a"'] * 2) + _END),
    ("line feed in a field", _part("x", 'Content-Disposition: form-data; name="a"\nX: y') + _END),
)
_CONTENT_TYPES = (
    ("no boundary", "multipart/form-data"),
    ("quoted boundary", f'Multipart/Form-Data;charset=utf-8;  boundary="{BOUNDARY}"'),
    ("latin-1", MULTIPART + "; charset=ISO-8859-1"),
    ("other type", "application/json"),
    ("other multipart", f"multipart/mixed; boundary={BOUNDARY}"),
)
_OTHER_CHARSETS = ("utf-7", "utf-16", "rot13", "idna", "unknown")

CASES = (
    Case("urlencoded forms", build_forms, _URLENCODED),
    Case(
        "multipart forms",
        build_forms,
        (
            *(_post(label, body) for label, body in (*_WELL_MADE, *_MALFORMED)),
            *(_post(label, _USUAL, kind) for label, kind in _CONTENT_TYPES),
            _post("managed", _USUAL, path="/managed"),
            _post("cut off by the client", _USUAL[:150], disconnects=True),
            *(
                _post(f"limits {label}", body + _END, path="/limited")
                for label, body in (
                    ("kept", _file("f") * 2 + _field("name=a") * 2),
                    ("of files", _file("f") * 3),
                    ("of fields", _field("name=a") * 3),
                    ("of parts", _field("name=a", "x" * 1025)),
                )
            ),
            _post("limits", "a=1&b=2&c=3", URLENCODED, path="/limited"),
            _post("after", _USUAL, path="/after_body"),
            _post("after, urlencoded", "a=1", URLENCODED, path="/after_body"),
        ),
    ),
    Case(
        "forms read otherwise",
        build_forms,
        (
            *(_post(f"malformed {label}", body) for label, body in _DIFFERENT),
            _post("malformed empty boundary", "--\r\n", 'multipart/form-data; boundary=""'),
            _post("malformed long boundary", _TEXT, "multipart/form-data; boundary=" + "x" * 257),
            *(
                _post(f"malformed charset {name}", _TEXT, f"{MULTIPART}; charset={name}")
                for name in _OTHER_CHARSETS
            ),
            _post("body after form", "a=1&b=2", URLENCODED, path="/before_body"),
        ),
    ),
    Case(
        "forms without an app",
        build_bare,
        (
            _post("usual", _field('name="a"') + _END, path="/"),
            _post("malformed", "malformed", path="/"),
            _post("urlencoded", "a=1", URLENCODED, path="/"),
        ),
    ),
)
