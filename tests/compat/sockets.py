"""WebSockets: where the framework answers differently from Starlette, as rows of `differences.py`."""

from __future__ import annotations

from dataclasses import replace

from tests.compat.expectations import Expect, close_with, end_with, say_it_in_our_words
from tests.compat.harness import Result


def close_behind(code: int, reason: str = "") -> Expect:
    """Expect one more message: the close frame."""
    close = repr([("code", code), ("reason", reason), ("type", "websocket.close")])

    def expect(theirs: Result, _: Result) -> Result:
        return replace(theirs, others=(*theirs.others, close))

    return expect


def raise_nothing(theirs: Result, ours: Result) -> Result:
    """Expect no exception; so middleware that notes the way in notes the way out too."""
    return replace(theirs, raised="", notes=ours.notes)


def close_instead(theirs: Result, ours: Result) -> Result:
    """Expect a close frame instead of a response on a WebSocket that is open."""
    close = repr([("code", 1008), ("reason", "refused"), ("type", "websocket.close")])
    return replace(theirs, others=(theirs.others[0], close), notes=ours.notes)


def refuse_code(theirs: Result, ours: Result) -> Result:
    """Expect an error, and 1011 instead of a code that no frame may hold."""
    close = repr([("code", 1011), ("reason", ""), ("type", "websocket.close")])
    return replace(theirs, others=(theirs.others[0], close), raised=ours.raised or "an error")


ROWS = (
    (
        "A close code that no frame may hold is an error of the endpoint; servers fail with it.",
        r"websocket calls: WEBSOCKET /wrong_code",
        refuse_code,
    ),
    (
        "A WebSocket in the wrong state raises the same error in other words.",
        r"websocket calls: WEBSOCKET /(receive_all|early_\w+|twice|refuse|wrong_mode|deny without.*)",
        say_it_in_our_words,
    ),
    (
        "A frame of the wrong kind closes with 1003; it was a KeyError, and still is for an except.",
        r"websocket calls: WEBSOCKET /echo_(text|json) bytes",
        close_with(1003, "A text frame is expected here."),
    ),
    (
        "A frame of the wrong kind closes with 1003, for bytes too.",
        r"websocket calls: WEBSOCKET /echo_bytes text",
        close_with(1003, "A binary frame is expected here."),
    ),
    (
        "A frame that is not JSON (RFC 8259) closes with 1007 and is no error of the server.",
        r"websocket calls: WEBSOCKET /(echo_json (no json|nan)|receive_all no utf-8)",
        close_with(1007, "The frame is not valid JSON."),
    ),
    (
        "A WebSocketEndpoint closes for a frame of the wrong kind, and on_disconnect gets that code.",
        r"websocket endpoints: WEBSOCKET /text bytes",
        end_with(1003, "A text frame is expected here."),
    ),
    (
        "A WebSocketEndpoint closes for a frame of the wrong kind, for bytes too.",
        r"websocket endpoints: WEBSOCKET /bytes text",
        end_with(1003, "A binary frame is expected here."),
    ),
    (
        "A WebSocketEndpoint closes with 1007 for what is not JSON.",
        r"websocket endpoints: WEBSOCKET /json no json",
        end_with(1007, "The frame is not valid JSON."),
    ),
    (
        "on_disconnect is given the code of a WebSocketException, which is what the client gets.",
        r"websocket endpoints: WEBSOCKET /leaving",
        end_with(4001, "enough"),
    ),
    (
        "An endpoint that fails closes its WebSocket with 1011.",
        r"websocket calls: WEBSOCKET /(twice|wrong_mode)",
        close_behind(1011),
    ),
    (
        "An endpoint that fails closes its WebSocket with 1011, whatever is around it.",
        r"websocket (errors.*: WEBSOCKET (/noted)?/open/unknown|endpoints: WEBSOCKET /failing)",
        close_behind(1011),
    ),
    (
        "A WebSocket that is closed already is closed by close().",
        r"websocket calls: WEBSOCKET /refuse",
        raise_nothing,
    ),
    (
        "A client that has gone is no error.",
        r"websocket errors.*: WEBSOCKET (/noted)?/(early|open)/gone",
        raise_nothing,
    ),
    (
        "Leaving an endpoint closes its WebSocket.",
        r"websocket errors.*: WEBSOCKET (/noted)?/open/gone",
        close_behind(1000),
    ),
    (
        "A handler of WebSocketException that does not close leaves that to the exception.",
        r"websocket errors in a stack: WEBSOCKET (/noted)?/open/close",
        close_behind(4003, "closed"),
    ),
    (
        "An HTTPException of an open WebSocket closes it: there is no room for a response.",
        r"websocket errors.*: WEBSOCKET (/noted)?/open/http",
        close_instead,
    ),
)
