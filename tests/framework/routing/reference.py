"""What routing means, written as the slowest and plainest program that says it.

Routes are scanned in the order of registration. The first one that matches path and method wins. If
none does, but some match the path, the answer is 405 with the methods of all of those. Else, if the
path with its trailing slash added or removed would match, the answer is a redirect there, except for
a path that starts with two slashes. Else 404.
A mount that matches its prefix wins whatever is below it and decides about the rest of the path.
"""

from __future__ import annotations

import functools
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_INT_DIGITS: Final = 18
MAX_FLOAT_CHARACTERS: Final = 64

PATTERNS: Final = {
    "str": r"[^/]+",
    "path": r".*",
    "int": r"[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}",
}


@dataclass(frozen=True)
class RouteSpec:
    """A route as data; `methods` None means any method."""

    template: str
    methods: tuple[str, ...] | None
    label: str


@dataclass(frozen=True)
class MountSpec:
    """A prefix and what is below it."""

    template: str
    children: tuple[Spec, ...]


Spec = RouteSpec | MountSpec
Table = tuple[Spec, ...]


@dataclass(frozen=True)
class Outcome:
    """What routing decided: 200 with an endpoint, 405 with methods, 307 with a path, or 404."""

    status: int
    label: str = ""
    params: tuple[tuple[str, Any], ...] = ()
    allow: str = ""
    location: str = ""


def decide(table: Table, path: str, method: str) -> Outcome:
    """Decide what a request for `path` comes to."""
    return _decide(table, "", path, method, {})


def _decide(table: Table, base: str, path: str, method: str, outer: Mapping[str, Any]) -> Outcome:
    allowed: set[str] = set()
    for spec in table:
        match = find_match(spec, path)
        if match is None:
            continue
        params, rest = match
        if isinstance(spec, MountSpec):
            below = base + path[: len(path) - len(rest)]
            return _decide(spec.children, below, rest, method, {**outer, **params})
        methods = expand_methods(spec.methods)
        if methods is None or method in methods:
            return Outcome(200, spec.label, tuple(sorted({**outer, **params}.items())))
        allowed |= methods
    if allowed:
        return Outcome(405, allow=", ".join(sorted(allowed)))
    return _redirect(table, base, path)


def _redirect(table: Table, base: str, path: str) -> Outcome:
    if path == "/":
        return Outcome(404)
    whole = base + path
    if whole.startswith("//"):
        return Outcome(404)  # as a location it would name another host
    other = whole.rstrip("/") if path.endswith("/") else whole + "/"
    # Stripping may eat into the prefix of a mount; then nothing below it can match.
    if other.startswith(base) and any(find_match(spec, other[len(base) :]) for spec in table):
        return Outcome(307, location=other)
    return Outcome(404)


def expand_methods(methods: tuple[str, ...] | None) -> set[str] | None:
    """Who answers GET answers HEAD."""
    if methods is None:
        return None
    return {*methods, "HEAD"} if "GET" in methods else set(methods)


def find_match(spec: Spec, path: str) -> tuple[dict[str, Any], str] | None:
    """Return the parameters and, for a mount, the path below it; None when the path differs."""
    regex, kinds = compile_template(spec.template, is_mount=isinstance(spec, MountSpec))
    match = regex.fullmatch(path)
    if match is None:
        return None
    values = match.groupdict()
    rest = values.pop("_rest", None)
    params = {}
    for name, text in values.items():
        try:
            params[name] = CONVERT[kinds[name]](text)
        except ValueError:
            return None
    return params, "" if rest is None else "/" + rest


@functools.cache
def compile_template(template: str, *, is_mount: bool) -> tuple[re.Pattern[str], dict[str, str]]:
    """Turn a template into a regular expression with one group for each parameter."""
    pattern = ""
    kinds: dict[str, str] = {}
    parts = re.split(r"\{([a-zA-Z_]\w*)(?::([a-zA-Z_]\w*))?\}", template, flags=re.ASCII)
    for literal, name, kind in zip(
        parts[::3], [*parts[1::3], None], [*parts[2::3], None], strict=True
    ):
        pattern += re.escape(literal)
        if name is not None:
            kinds[name] = kind or "str"
            pattern += f"(?P<{name}>{PATTERNS[kinds[name]]})"
    return re.compile(pattern + ("/(?P<_rest>.*)" if is_mount else "")), kinds


def _convert_int(text: str) -> int:
    if len(text) > MAX_INT_DIGITS:
        raise ValueError(text)
    return int(text)


def _convert_float(text: str) -> float:
    if len(text) > MAX_FLOAT_CHARACTERS:
        raise ValueError(text)
    return float(text)


CONVERT: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "path": str,
    "int": _convert_int,
    "float": _convert_float,
    "uuid": uuid.UUID,
}
