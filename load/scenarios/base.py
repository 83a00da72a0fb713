"""What all personas share: a request whose whole answer is checked, not only its status."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from locust import FastHttpUser, constant_throughput

REQUEST_ID: Final = "X-Request-ID"
TASKS_PER_SECOND: Final = 20


class ServiceUser(FastHttpUser):
    """A client of the service that notices wrong answers.

    It aims at a fixed pace: when the service gets slower, the waits get shorter, so a slow answer
    does not thin out the load that follows it.
    """

    abstract = True
    wait_time = constant_throughput(TASKS_PER_SECOND)
    network_timeout = 10.0
    connection_timeout = 5.0

    def call(
        self,
        method: str,
        path: str,
        *,
        route: str,
        status: int = 200,
        media_type: str = "application/json",
        expected: Mapping[str, Any] | None = None,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one request and record it as a failure unless the answer is exactly right.

        Every request has its own id and the answer must carry it: an answer that got mixed up with
        that of another client is found by this.

        Args:
            method: GET, POST and so on.
            path: what is requested.
            route: the name in the statistics; paths with different parameters share one.
            status: the only status that is right.
            media_type: of the answer, without parameters.
            expected: members that the answer, a JSON object, must have.
            body: of the request.
            headers: of the request.
        """
        request_id = uuid.uuid4().hex
        sent = {REQUEST_ID: request_id, **(headers or {})}
        with self.client.request(
            method, path, name=route, data=body, headers=sent, catch_response=True
        ) as response:
            problem = find_problem(response, status, media_type, expected, request_id)
            if problem is None:
                response.success()
            else:
                response.failure(problem)


def find_problem(
    response: Any,
    status: int,
    media_type: str,
    expected: Mapping[str, Any] | None,
    request_id: str,
) -> str | None:
    """Return what is wrong with an answer, None when nothing is."""
    if response.status_code != status:
        reason = f" ({response.error})" if response.status_code == 0 else ""
        return f"status {response.status_code}{reason} instead of {status}"
    received = response.headers.get("content-type", "").partition(";")[0]
    if received != media_type:
        return f"content-type {received!r} instead of {media_type!r}"
    if response.headers.get(REQUEST_ID) != request_id:
        return f"the answer does not carry the request's {REQUEST_ID}"
    return None if expected is None else find_difference(response.content, expected)


def find_difference(body: bytes, expected: Mapping[str, Any]) -> str | None:
    """Return the first member of a JSON object that is not as expected."""
    try:
        document = json.loads(body)
    except ValueError:
        return "the body is not JSON"
    for key, value in expected.items():
        if not isinstance(document, dict) or document.get(key) != value:
            return f"the member {key!r} is not {value!r}"
    return None
