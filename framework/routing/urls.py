"""From a route's name and parameters back to a path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from framework.convertors import Convertor
from framework.datastructures import URLPath
from framework.exceptions import NoMatchFound
from framework.routing.patterns import PARAM_FORMAT_REGEX
from framework.types import URLPathProvider

__all__ = [
    "find_child_name",
    "find_url_path",
    "replace_params",
]


def replace_params(
    path: str, param_convertors: dict[str, Convertor[Any]], path_params: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Fill a format such as `/{name}`; each parameter is put in once and never looked into.

    Returns:
        The path and the parameters that were not used (`path_params`, without the used ones).
    """
    parts = PARAM_FORMAT_REGEX.split(path)
    for position in range(1, len(parts), 2):
        name = parts[position]
        if name in path_params:
            parts[position] = param_convertors[name].to_string(path_params.pop(name))
        else:
            parts[position] = "{" + name + "}"
    return "".join(parts), path_params


def find_child_name(own: str | None, name: str) -> str | None:
    """Return what `name` calls a route below a route called `own`, None when it means another one."""
    if own is None:
        return name
    return name[len(own) + 1 :] if name.startswith(own + ":") else None


def find_url_path(
    routes: Iterable[URLPathProvider], name: str, path_params: dict[str, Any]
) -> URLPath | None:
    """Return the path that the first of `routes` with this name gives, None when none has it."""
    for route in routes:
        try:
            return route.url_path_for(name, **path_params)
        except NoMatchFound:
            continue
    return None
