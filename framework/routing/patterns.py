"""Path templates: `/users/{id:int}` as a regular expression, as a format and as segments."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Pattern
from typing import Any

from framework._defaults import MAX_FLOAT_CHARACTERS, MAX_INT_DIGITS
from framework.convertors import (
    CONVERTOR_TYPES,
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    StringConvertor,
    UUIDConvertor,
)

__all__ = [
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "PathPattern",
    "SegmentFinder",
    "compile_path",
    "convert_params",
    "find_float",
    "find_int",
    "find_uuid",
]

# A parameter in a template: {name} or {name:convertor}.
PARAM_REGEX = re.compile("{([a-zA-Z_][a-zA-Z0-9_]*)(:[a-zA-Z_][a-zA-Z0-9_]*)?}")
# A parameter in a format: {name}.
PARAM_FORMAT_REGEX = re.compile("{([a-zA-Z_][a-zA-Z0-9_]*)}")

# Converts the text of one whole segment; None when the text does not match. No finder at all (None)
# takes the text as it is.
SegmentFinder = Callable[[str], Any]

_FLOAT = re.compile(FloatConvertor.regex)
_UUID = re.compile(UUIDConvertor.regex)
_uuid_convertor = UUIDConvertor()


def find_int(text: str) -> int | None:
    """Return the number of an `{name:int}` segment, None when it is none."""
    if len(text) <= MAX_INT_DIGITS and text.isdigit() and text.isascii():
        return int(text)
    return None


def find_float(text: str) -> float | None:
    """Return the number of a `{name:float}` segment, None when it is none."""
    if len(text) <= MAX_FLOAT_CHARACTERS and _FLOAT.fullmatch(text):
        return float(text)
    return None


def find_uuid(text: str) -> Any:
    """Return the UUID of a `{name:uuid}` segment, None when it is none."""
    return _uuid_convertor.convert(text) if _UUID.fullmatch(text) else None


# PERF: these convertors cannot match a slash, so a segment that is nothing but such a parameter is
# converted without a regular expression. By exact type: a subclass or a replacement goes the long way.
_SEGMENT_FINDERS: dict[type[Convertor[Any]], SegmentFinder | None] = {
    StringConvertor: None,
    IntegerConvertor: find_int,
    FloatConvertor: find_float,
    UUIDConvertor: find_uuid,
}


class PathPattern:
    """What the index knows of a template.

    Attributes:
        segments: the leading segments; a text is itself, None is any one non-empty segment.
        captures: (segment, name, finder) of each parameter that is a whole segment of a built-in
            convertor.
        is_segmental: whether `segments` and `captures` say everything, so that the regular expression
            need not be asked.
        is_open: whether more may follow `segments` (`{name:path}`, own convertors, mounts).
        takes_rest: whether it takes whatever follows `segments`, one slash at least (mounts, and a
            `{name:path}` that is the whole last segment).
    """

    __slots__ = ("captures", "is_open", "is_segmental", "segments", "takes_rest")

    def __init__(
        self, template: str, convertors: dict[str, Convertor[Any]], *, is_prefix: bool = False
    ) -> None:
        self.is_open = is_prefix
        self.is_segmental = not is_prefix
        self.takes_rest = is_prefix
        self.segments: list[str | None] = []
        self.captures: list[tuple[int, str, SegmentFinder | None]] = []
        segments = template.split("/")[1:]
        for position, segment in enumerate(segments, start=1):
            params = [name for name, _ in PARAM_REGEX.findall(segment)]
            if not params:
                self.segments.append(segment)
                continue
            kinds = [type(convertors[name]) for name in params]
            if not all(kind in _SEGMENT_FINDERS for kind in kinds):
                # This parameter may hold slashes: from here on the regular expression decides.
                self.is_open, self.is_segmental = True, False
                is_whole_end = position == len(segments) and PARAM_REGEX.fullmatch(segment)
                self.takes_rest = bool(is_whole_end) and kinds[0] is PathConvertor and not is_prefix
                break
            self.segments.append(None)
            if PARAM_REGEX.fullmatch(segment):
                self.captures.append((position, params[0], _SEGMENT_FINDERS[kinds[0]]))
            else:
                self.is_segmental = False


def compile_path(path: str) -> tuple[Pattern[str], str, dict[str, Convertor[Any]]]:
    """Compile a template such as `/{name}` or, for a host, `{sub}.example.org`.

    Returns:
        The regular expression, the format (`/{name}`), and the convertors by parameter name.

    Raises:
        ValueError: a parameter name appears twice, or a convertor is not registered.
    """
    is_host = not path.startswith("/")
    regex, path_format, end = "^", "", 0
    convertors: dict[str, Convertor[Any]] = {}
    duplicates: set[str] = set()
    for match in PARAM_REGEX.finditer(path):
        name, kind = match.group(1), (match.group(2) or ":str")[1:]
        convertor = CONVERTOR_TYPES.get(kind)
        if convertor is None:
            known = ", ".join(sorted(CONVERTOR_TYPES))
            raise ValueError(f"Unknown path convertor {kind!r} in {path!r}; known are {known}")
        literal = path[end : match.start()]
        regex += f"{re.escape(literal)}(?P<{name}>{convertor.regex})"
        path_format += f"{literal}{{{name}}}"
        if name in convertors:
            duplicates.add(name)
        convertors[name] = convertor
        end = match.end()
    if duplicates:
        names = ", ".join(sorted(duplicates))
        plural = "s" if len(duplicates) > 1 else ""
        raise ValueError(f"Duplicated param name{plural} {names} at path {path}")
    literal = path[end:]
    path_format += literal
    if is_host and not literal.endswith("]"):
        literal = literal.rsplit(":", 1)[0]  # hosts are compared without their port
    # \Z, not $: the latter also matches before a newline at the end of the path. Host names have no
    # case (RFC 9110 section 4.2.3).
    flags = re.IGNORECASE if is_host else 0
    return re.compile(f"{regex}{re.escape(literal)}\\Z", flags), path_format, convertors


def convert_params(match: re.Match[str], convertors: dict[str, Convertor[Any]]) -> Any:
    """Return the converted groups of a match, None when a value cannot be converted."""
    params: dict[str, Any] = match.groupdict()
    try:
        for name, value in params.items():
            params[name] = convertors[name].convert(value)
    except ValueError:
        return None
    return params
