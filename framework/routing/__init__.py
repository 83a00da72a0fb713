"""Routing: which endpoint answers a request."""

from __future__ import annotations

from framework._callables import get_name
from framework._http.paths import get_route_path
from framework.convertors import CONVERTOR_TYPES
from framework.exceptions import NoMatchFound
from framework.routing.hosts import Host
from framework.routing.patterns import PARAM_FORMAT_REGEX, PARAM_REGEX, compile_path
from framework.routing.router import Mount, Router
from framework.routing.routes import BaseRoute, Match, Route, request_response
from framework.routing.urls import replace_params
from framework.routing.websockets import WebSocketRoute, websocket_session

__all__ = [
    "CONVERTOR_TYPES",
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "BaseRoute",
    "Host",
    "Match",
    "Mount",
    "NoMatchFound",
    "Route",
    "Router",
    "WebSocketRoute",
    "compile_path",
    "get_name",
    "get_route_path",
    "replace_params",
    "request_response",
    "websocket_session",
]
