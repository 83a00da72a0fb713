"""Path templates: `/users/{id:int}` as a regular expression, as a format and as segments."""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Pattern
from typing import Any

from framework._defaults import (
    MAX_FLOAT_CHARACTERS,
    MAX_INT_DIGITS,
    MAX_SHARED_SEGMENT_CHARACTERS,
)
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
    template = _drop_port(path) if is_host else path
    guards = _build_guards(template)
    regex, end = "^", 0
    convertors: dict[str, Convertor[Any]] = {}
    duplicates: set[str] = set()
    for match in PARAM_REGEX.finditer(template):
        name, kind = match.group(1), (match.group(2) or ":str")[1:]
        convertor = CONVERTOR_TYPES.get(kind)
        if convertor is None:
            known = ", ".join(sorted(CONVERTOR_TYPES))
            raise ValueError(f"Unknown path convertor {kind!r} in {path!r}; known are {known}")
        regex += _escape_literal(template, end, match.start(), guards)
        regex += f"(?P<{name}>{convertor.regex})"
        if name in convertors:
            duplicates.add(name)
        convertors[name] = convertor
        end = match.end()
    if duplicates:
        names = ", ".join(sorted(duplicates))
        plural = "s" if len(duplicates) > 1 else ""
        raise ValueError(f"Duplicated param name{plural} {names} at path {path}")
    regex += _escape_literal(template, end, len(template), guards)
    # \Z, not $: the latter also matches before a newline at the end of the path. Host names have no
    # case (RFC 9110 section 4.2.3).
    flags = re.IGNORECASE if is_host else 0
    return re.compile(f"{regex}\\Z", flags), PARAM_REGEX.sub(r"{\1}", path), convertors


def _drop_port(host: str) -> str:
    """Return the template of a host without a port: hosts are compared without theirs."""
    name, colon, port = host.rpartition(":")
    return name if colon and not set(port) & set("]}") else host


def _escape_literal(template: str, start: int, end: int, guards: dict[int, str]) -> str:
    """Return a literal of the template as a regular expression, with the guards that stand in it."""
    places = range(start, end + 1)
    return "".join(guards.get(at, "") + re.escape(template[at : min(at + 1, end)]) for at in places)


def _build_guards(template: str) -> dict[int, str]:
    """Return what keeps a match short, by the place in the template that it stands before.

    `re` tries every way in which parameters can share a text before it gives up. They share a segment,
    which is matched on its own (an atomic group); from a parameter on that may hold slashes, they share
    all that follows.
    """
    segments: dict[int, list[re.Match[str]]] = {}
    for match in PARAM_REGEX.finditer(template):
        segments.setdefault(template.count("/", 0, match.start()), []).append(match)
    guards: dict[int, str] = {}
    places = sorted(segments)
    for place in places:
        params = segments[place]
        first, last = params[0].start(), params[-1].end()
        if any(_may_hold_slashes(match) for match in params):
            # A parameter that has a segment to itself ends at its slash: it shares nothing.
            rest = [segments[other] for other in places if other >= place]
            count = sum(len(each) for each in rest if len(each) > 1 or _may_hold_slashes(each[0]))
            if count > 1:
                # Where two do, the last one takes what is left, but for line ends.
                final = rest[-1][0][0]
                takes_rest = final.endswith(":path}") and template.endswith("/" + final)
                any_length = r".*\Z|" if takes_rest and count == 2 else ""
                guards[first] = rf"(?={any_length}[\s\S]{{0,{_find_limit(count)}}}\Z)"
            break
        if len(params) > 1:
            # The last parameter takes what is left, where nothing else has to follow.
            count = len(params) - (last == len(template))
            limit = rf"(?=[^/]{{0,{_find_limit(count)}}}(?:/|\Z))" if count > 1 else ""
            guards[first] = limit + "(?>"
            slash = template.find("/", last)
            guards[len(template) if slash < 0 else slash] = r"(?=/|\Z))"
    return guards


def _find_limit(count: int) -> int:
    return MAX_SHARED_SEGMENT_CHARACTERS[min(count, len(MAX_SHARED_SEGMENT_CHARACTERS) + 1) - 2]


def _may_hold_slashes(match: re.Match[str]) -> bool:
    return type(CONVERTOR_TYPES.get((match.group(2) or ":str")[1:])) not in _SEGMENT_FINDERS


def convert_params(match: re.Match[str], convertors: dict[str, Convertor[Any]]) -> Any:
    """Return the converted groups of a match, None when a value cannot be converted."""
    params: dict[str, Any] = match.groupdict()
    try:
        for name, value in params.items():
            params[name] = convertors[name].convert(value)
    except ValueError:
        return None
    return params
