"""Routing: which endpoint answers a request."""

from __future__ import annotations

from framework._callables import get_name
from framework.convertors import CONVERTOR_TYPES
from framework.exceptions import NoMatchFound
from framework.routing.patterns import PARAM_FORMAT_REGEX, PARAM_REGEX, compile_path
from framework.routing.router import Mount, Router
from framework.routing.routes import BaseRoute, Match, Route, request_response
from framework.routing.urls import replace_params

__all__ = [
    "CONVERTOR_TYPES",
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "BaseRoute",
    "Match",
    "Mount",
    "NoMatchFound",
    "Route",
    "Router",
    "compile_path",
    "get_name",
    "replace_params",
    "request_response",
]
