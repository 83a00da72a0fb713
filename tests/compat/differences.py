"""Where the framework answers differently from Starlette 1.10 on purpose, each with its reason.

`where` is a regular expression for "case: request"; `expect` turns Starlette's result into ours. A row
that changes nothing any more fails the tests, so this list cannot go stale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.compat import front, sockets
from tests.compat.expectations import (
    Expect,
    allow_all,
    answer_404,
    answer_json,
    answer_with,
    change_body,
    change_chunks,
    close_after_413,
    drop_origin,
    fail_with_500,
    keep_body,
    keep_own_413,
    keep_private,
    pass_outer_middleware,
    pass_user_middleware,
    raise_group,
    raise_value_error,
    raise_with,
    refuse_form,
    refuse_json,
    run_all_tasks,
    send_404_file,
    send_over_tls_only,
    set_header,
    set_session,
    take_debug_page,
    take_no_session,
    use_boundary,
    vary_by_cookie,
    vary_once,
    write_empty_cookies_bare,
)


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


DIFFERENCES = (
    Difference(
        "A redirect names no host: the client's Host and a wrong scheme stay out of it.",
        r"(templates|templates with a query|mounts|overlaps|hosts|static|static trees|levels): .*",
        drop_origin,
    ),
    Difference(
        "Allow names the methods of all routes that match the path, not those of the first.",
        r"methods: \w+ /split",
        allow_all,
    ),
    Difference(
        "The debug page and its traceback are our own.",
        r"debug: GET /unknown.*",
        take_debug_page,
    ),
    Difference(
        "What middleware refuses has the status it names, as from an endpoint.",
        r"refusing middleware: GET /(before|after)",
        answer_json(b'"Who?"', 401),
    ),
    Difference(
        "Bad JSON is the client's fault: 400 with the reason, never a 500.",
        r"(request json: POST /json .*|refusing middleware: GET /json)",
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
        "A form that is cut off or malformed is refused, never read in part; boundaries are 1 to 256 "
        "characters; text is UTF-8 or Latin-1, as other charsets hide what it says.",
        r"forms read otherwise: POST /form malformed .*",
        refuse_form,
    ),
    Difference(
        "A small form leaves its body behind.",
        r"forms read otherwise: POST /before_body .*",
        keep_body,
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
        "Bytes within a value are base64 (finding them takes longer than encoding), sets are arrays.",
        r"responses: GET /json-more",
        answer_json(b'["eA==",[1],"1.10"]'),
    ),
    Difference(
        "Keys that are numbers, which True is one of, are written as numbers.",
        r"responses: GET /json-true-key",
        change_body({b'"true"': b'"1"'}),
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
        "An endpoint that returns something else is named.",
        r"no answer: GET /nothing",
        raise_with(
            "TypeError: 'NoneType' object is not callable: nothing has to return a Response"
        ),
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
        "Several failing background tasks are raised together.",
        r"failing tasks: GET /",
        raise_group,
    ),
    Difference(
        "An unhandled 500 passes the user's middleware: CORS headers and request ids are on it.",
        r"middleware: GET /(fail|broken)",
        pass_user_middleware,
    ),
    Difference(
        "The 500 of a middleware that fails passes those around it.",
        r"failing middleware: GET /",
        pass_outer_middleware,
    ),
    Difference(
        "A 413 of the application's own is not replaced by ours.",
        r"body limits: POST \S*/caught (declared too long|shorter than declared|far too long|"
        r"at the limit|longer than declared)",
        keep_own_413,
    ),
    *(Difference(*row) for row in sockets.ROWS),
    Difference(
        "All that may be markup is escaped, whatever its file is called.",
        r"pages: GET /files/page.html.j2 .*",
        change_body({b"<&'\">": b"&lt;&amp;&#39;&#34;&gt;"}),
    ),
    Difference(
        "A symbolic link that leads to itself is no file: 404, not 500.",
        r"static(: GET /static/loop| trees: GET /\w+/to-itself.*)",
        answer_404,
    ),
    Difference(
        "Names that begin with a dot are not for the public.",
        r"static: GET /static/\.hidden",
        answer_404,
    ),
    Difference(
        "What may not be read is a 401, whether it is a file, an index or its directory.",
        r"static rights: (GET|HEAD) /(\w+/(closed|link)\.txt|html/(closed|listed)/?)",
        answer_with(401, b"Unauthorized"),
    ),
    Difference(
        "A name that is too long is not there, and where nothing is there the page for that is sent.",
        r"static: GET /pages/n{300}.*",
        send_404_file("text/html"),
    ),
    Difference(
        "Conditions are about what would otherwise succeed (RFC 9110 section 13.2.1).",
        r"static: GET /fallback/a if-(none-match: (\"|W/|\*)|modified-since: Tue).*",
        send_404_file("text/plain"),
    ),
    Difference(
        "The rest of a body that is too large is not read, so the connection is closed.",
        r"(body limits|levels): .*",
        close_after_413,
    ),
    Difference(
        "A line end in the kind of a Content-Disposition is refused where it is set.",
        r"files: \w+ /bad-kind",
        raise_with(
            "ValueError: header value 'a\\r\\nb: c; filename=\"a\"' holds a control character: "
            "remove or encode it"
        ),
    ),
    Difference(
        "A slash in an encoded file name is encoded too (RFC 8187).",
        r"files: GET /named/6",
        lambda theirs, _: set_header(
            theirs, "content-disposition", "inline; filename*=utf-8''%C3%BC%2Fb.txt"
        ),
    ),
    Difference(
        "A Range with a unit that is not known is ignored (RFC 9110 section 14.2).",
        r"ranges: GET /small items=0-1 .*",
        answer_with(200, bytes(range(50))),
    ),
    Difference(
        "A range beyond the end beside others is left out; 416 is for when none is left (RFC 9110).",
        r"ranges: GET /small bytes=0-1,60- .*",
        answer_with(206, bytes(range(2))),
    ),
    Difference(
        "Positions are digits, without signs and underscores.",
        r"ranges: GET /small bytes=(\+1-\+2|1_0-2_0|--5) .*",
        answer_with(400, b"Range header: range must be requested"),
    ),
    Difference(
        "A position of very many digits is beyond the end, as any large one.",
        r"ranges: GET /small bytes=0-9{16} .*",
        answer_with(206, bytes(range(50))),
    ),
    Difference(
        "The boundary of a multipart answer is random.",
        r"ranges: \w+ .*,.*",
        use_boundary,
    ),
    Difference(
        "A cookie that is signed and no session (a list) is an empty one, never a 500.",
        r"sessions: GET /\w+ no_object",
        take_no_session,
    ),
    Difference(
        "An unhandled 500 passes the user's middleware, and depends on the session.",
        r"sessions: GET /(fail .*|(del|pop|popitem) without one)",
        vary_by_cookie,
    ),
    Difference(
        "A session that is taken from the scope is read too.",
        r"sessions: GET /direct",
        vary_by_cookie,
    ),
    Difference(
        "A field stands in Vary once.",
        r"sessions: GET /read\?vary=cookie",
        vary_once,
    ),
    Difference(
        "What changes inside a list or dictionary of the session is written.",
        r"sessions: GET /nested list",
        set_session("eyJsaXN0IjogWzAsIDFdfQ=="),
    ),
    Difference(
        "A session that changes before a WebSocket is accepted is written with the acceptance.",
        r"sessions: WEBSOCKET /ws",
        set_session("eyJhIjogMSwgIndzIjogMX0="),
    ),
    Difference(
        "The session cookie is for TLS only but for debug and private hosts on plain HTTP.",
        r"session defaults: .*",
        send_over_tls_only,
    ),
    Difference(
        "An answer that depends on the session is not for shared caches.",
        r"session.*: .*",
        keep_private,
    ),
    *(Difference(*row) for row in front.ROWS),
    Difference(
        "A port is text in a WSGI environment (PEP 3333).",
        r"wsgi: \w+ /environ/.*",
        change_chunks(
            {
                b"SERVER_PORT=8000\n": (b"SERVER_PORT='8000'\n",),
                b"SERVER_PORT=None\n": (b"SERVER_PORT=''\n",),
            }
        ),
    ),
    Difference(
        "A body that came in chunks has a length for WSGI, as most applications read none without.",
        r"wsgi: POST /environ/x without a length",
        change_chunks(
            {b"HTTP_HOST='example.org'\n": (b"CONTENT_LENGTH='4'\n", b"HTTP_HOST='example.org'\n")}
        ),
    ),
    Difference(
        "Several Cookie fields are one with semicolons (RFC 9113 section 8.2.3).",
        r"wsgi: GET /environ/x two cookies",
        change_chunks({b"HTTP_COOKIE='a=1,b=2'\n": (b"HTTP_COOKIE='a=1; b=2'\n",)}),
    ),
    Difference(
        "Fields that pass for others in a WSGI environment are left out (CVE-2016-5385 for Proxy).",
        r"wsgi: GET /environ/x (underscore|proxy)",
        change_chunks({b"HTTP_X_REAL_USER='admin'\n": (), b"HTTP_PROXY='evil:1'\n": ()}),
    ),
    Difference(
        "A body that the client has cut off does not reach a WSGI application.",
        r"wsgi: POST /echo/ cut off",
        fail_with_500("ClientDisconnect: "),
    ),
    Difference(
        "A WSGI response starts with its first chunk (PEP 3333): what fails before it is a 500.",
        r"wsgi: GET /broken_after_start/",
        fail_with_500("LookupError: broken"),
    ),
)
