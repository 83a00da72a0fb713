"""What both kinds of connections read from a scope and add to a message."""

from __future__ import annotations

from framework.middleware._templates import find_template
from framework.observability._labels import UNMATCHED_ROUTE
from framework.observability.context import REQUEST_ID_HEADER
from framework.types import Message, Scope

__all__ = ["add_request_id", "find_route_template"]


def find_route_template(scope: Scope) -> str:
    """Return the template of the matched route, mounts included, `__unmatched__` without one."""
    return find_template(scope) or UNMATCHED_ROUTE


def add_request_id(message: Message, request_id: str) -> Message:
    """Return the message with the header; the message itself may be shared between requests."""
    headers = [field for field in message.get("headers", ()) if field[0] != REQUEST_ID_HEADER]
    headers.append((REQUEST_ID_HEADER, request_id.encode("ascii")))
    return {**message, "headers": headers}
