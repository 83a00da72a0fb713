"""Every error of the service as `application/problem+json` (RFC 9457), and input with a type.

A handler raises `HTTPException` or `ProblemError`; `read_json` and `convert` raise them for what does
not fit a type. Titles are the phrases of RFC 9110, `type` stays `about:blank`: the status says which kind of
problem it is, `detail` what is wrong with this request, `errors` where in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec

from framework.exceptions import HTTPException, RequestBodyTooLarge
from framework.observability.context import REQUEST_ID_SCOPE_KEY
from framework.requests import Request, explain_json_error
from framework.responses import JSONResponse, Response
from framework.types import ExceptionHandler

T = TypeVar("T")

# Python before 3.13 has the phrases of an older RFC for these two.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}

_BODY_MISMATCH: Final = "The request body does not have the expected form."
_PARAMETER_MISMATCH: Final = "The parameters of the request do not have the expected form."

_ERROR_STATUS: Final = 400
_MAX_DETAIL_CHARACTERS: Final = 300
_MAX_POINTED_CHARACTERS: Final = 100

# What msgspec appends to its message: the place, such as `$.items[0].name`.
_PLACE: Final = re.compile(r"(?P<reason>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")
_MEMBER: Final = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)


class ProblemError(HTTPException):
    """A problem to be told to the client.

    Args:
        status_code: 400 or above.
        detail: what is wrong with this request and how to put it right.
        headers: fields to add to the answer.
        errors: the faults in the request, each with `detail` and `pointer` (RFC 6901, from `#`).
    """

    def __init__(
        self,
        status_code: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: tuple[Mapping[str, str], ...] = (),
    ) -> None:
        super().__init__(status_code, detail, headers)
        self.errors = errors


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"


async def read_json(request: Request, type_: type[T]) -> T:
    """Return the JSON body of a request as a `type_`, usually a `msgspec.Struct`.

    Raises:
        RequestBodyTooLarge: the body is over the limit in force (413).
        ProblemError: the body is not declared to be JSON (415), or does not fit `type_` (422).
        JSONDecodeError: the body is not JSON (400).
    """
    # First, so that a body over the limit is answered with that, whatever else is wrong with it.
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        sent = repr(media_type[:100]) if media_type else "no Content-Type"
        raise ProblemError(
            415,
            f"This resource reads application/json; the request has {sent}.",
            headers={"Accept": "application/json"},
        )
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as exc:
        raise _build_mismatch(_BODY_MISMATCH, str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise explain_json_error(body, exc) from None


def convert(params: Mapping[str, Any], type_: type[T]) -> T:
    """Return parameters, such as `request.path_params`, as a `type_`.

    Raises:
        ProblemError: they do not fit `type_` (422).
    """
    try:
        return msgspec.convert(params, type_)
    except msgspec.ValidationError as exc:
        raise _build_mismatch(_PARAMETER_MISMATCH, str(exc)) from None


def _build_mismatch(detail: str, message: str) -> ProblemError:
    """Return the 422 for what msgspec says about input that does not fit its type."""
    found = _PLACE.fullmatch(message)
    reason, path = (found["reason"], found["path"] or "") if found else (message, "")
    # The keys of a mapping are not told; what contains them is the best place to point at.
    path, is_inside_mapping, _ = path.partition("[...]")
    steps = [name or index for name, index in _STEP.findall(path)]
    member = _MEMBER.fullmatch(reason)
    if member and not is_inside_mapping and len(member[1]) <= _MAX_POINTED_CHARACTERS:
        steps.append(member[1])
    pointer = "#" + "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
    error = {"detail": reason[:_MAX_DETAIL_CHARACTERS], "pointer": pointer}
    return ProblemError(422, detail, errors=(error,))


async def answer_http_exception(request: Request, exc: HTTPException) -> Response:
    """Answer an `HTTPException` with a problem document."""
    if exc.status_code < _ERROR_STATUS:
        return Response(status_code=exc.status_code, headers=exc.headers)
    return _build_response(request, exc.status_code, _explain(exc), exc)


async def answer_failure(request: Request, exc: Exception) -> Response:
    """Answer an exception that nobody handled, without a word about it."""
    return _build_response(request, 500, "The server failed; its log has the cause.", exc)


def _build_response(
    request: Request, status_code: int, detail: str, exc: Exception
) -> ProblemResponse:
    title = _find_title(status_code)
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status_code}
    if detail:
        problem["detail"] = detail
    if isinstance(exc, ProblemError) and exc.errors:
        problem["errors"] = exc.errors
    request_id = request.scope.get(REQUEST_ID_SCOPE_KEY)
    if request_id is not None:
        problem["request_id"] = request_id
    headers = exc.headers if isinstance(exc, HTTPException) else None
    return ProblemResponse(problem, status_code, headers)


def _explain(exc: HTTPException) -> str:
    """Return what there is to say beyond the title of the status, "" for nothing."""
    if isinstance(exc, RequestBodyTooLarge):
        return f"The request body is larger than {exc.max_body_size} bytes."
    allowed = (exc.headers or {}).get("Allow")
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED and allowed:
        return f"This resource answers to {allowed}."
    phrases = {_find_title(exc.status_code), HTTPException(exc.status_code).detail}
    if exc.status_code == HTTPStatus.NOT_FOUND and exc.detail in phrases:
        return "There is nothing at this path."
    return "" if exc.detail in phrases else exc.detail


def _find_title(status_code: int) -> str:
    try:
        return _TITLES.get(status_code) or HTTPStatus(status_code).phrase
    except ValueError:
        return "Error"


EXCEPTION_HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    HTTPException: answer_http_exception,
    Exception: answer_failure,
}
