"""Random route tables, and paths made to collide with them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import Final

from hypothesis import strategies as st

from tests.framework.routing.reference import MountSpec, RouteSpec, Spec, Table

A_UUID: Final = str(uuid.UUID(int=0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0))

# {} becomes a parameter name, so that names are unique in a template.
LITERALS: Final = (
    "a",
    "b",
    "users",
    "me",
    "1",
    "12",
    "1.5",
    "a.b",
    "x-y",
    "é",
    "a b",
    "%",
    "+",
    "$",
)
PARAMETERS: Final = ("{}", "{}", "{:str}", "{:int}", "{:int}", "{:float}", "{:uuid}", "{:path}")
MIXED: Final = (
    "a{}",
    "{}b",
    "a{}b",
    "{}.{}",
    "v{:int}",
    "{:int}-{:int}",
    "{:float}.{:int}",
    "{:uuid}.txt",
    "{:path}.txt",
    "x{:path}",
)
METHODS: Final = (
    ("GET",),
    ("GET",),
    ("POST",),
    ("GET", "POST"),
    ("PUT", "DELETE"),
    ("QUERY",),
    None,
)

# Values for the parameters: right ones, nearly right ones and hostile ones.
TEXTS: Final = (
    "a",
    "b",
    "me",
    "1",
    "x.y",
    "a.b",
    "1-2",
    "é",
    "%2F",
    "a b",
    "\n",
    "a\n",
    "\x00",
    "٣",
)
NUMBERS: Final = (
    "",
    "0",
    "007",
    "12",
    "9" * 18,
    "9" * 19,
    "9" * 64,
    "9" * 65,
    "1.5",
    "1.",
    ".5",
    "1e5",
    "1.5.5",
    "0." + "3" * 62,
    "0." + "3" * 63,
    "+1",
    "-1",
    "1_0",
    "1\n",
    "٣",
    "²",
)
UUIDS: Final = (A_UUID, A_UUID.upper(), A_UUID.replace("-", ""), A_UUID[:-1], A_UUID + "\n")
PATHS: Final = ("", "a", "a/b", "a/b/", "/", "//", "a\nb", "x.txt", "../a")
LONG: Final = "1" * 5000
VALUES: Final = {
    "str": ("a", "b") * 5 + TEXTS,
    "int": ("1", "12") * 8 + NUMBERS,
    "float": ("1", "1.5") * 8 + NUMBERS,
    "uuid": (A_UUID,) * 4 + (*UUIDS, "a"),
    "path": ("a", "a/b") * 4 + (*PATHS, *TEXTS),
}
PARAMETER: Final = re.compile(r"\{(\w+)(?::(\w+))?\}", re.ASCII)


def _fill_names(template: str, prefix: str) -> str:
    parts = re.split(r"\{(:?\w*)\}", template)
    named = [f"{{{prefix}{number}{kind}}}" for number, kind in enumerate(parts[1::2])]
    return "".join(text for pair in zip(parts[::2], [*named, ""], strict=True) for text in pair)


# Few different segments, so that templates overlap; the odd ones are drawn now and then.
_segments = st.sampled_from(("a", "a", "b", "b") * 3 + PARAMETERS * 2 + ("", *LITERALS[2:], *MIXED))


@st.composite
def _route(draw: st.DrawFn, depth: int) -> RouteSpec:
    segments = draw(st.lists(_segments, max_size=4))
    template = "/" + "/".join(segments) + draw(st.sampled_from(("", "", "/")))
    label = f"{depth}:{draw(st.integers(0, 999))}{draw(st.sampled_from('aff'))}"
    return RouteSpec(_fill_names(template, "p"), draw(st.sampled_from(METHODS)), label)


@st.composite
def _mount(draw: st.DrawFn, depth: int) -> MountSpec:
    segments = draw(st.lists(_segments, max_size=2))
    template = ("/" + "/".join(segments)).rstrip("/")
    children = draw(st.lists(_spec(depth + 1), max_size=4))
    # Half of the prefixes use the names of the routes below: the inner value counts.
    prefix = draw(st.sampled_from((f"m{depth}_", "p")))
    return MountSpec(_fill_names(template, prefix), tuple(children))


def _spec(depth: int) -> st.SearchStrategy[Spec]:
    route = _route(depth)
    return st.one_of(route, route, route, _mount(depth)) if depth < 2 else route


tables: st.SearchStrategy[Table] = st.lists(_spec(0), min_size=1, max_size=10).map(tuple)


def list_templates(table: Table, prefix: str = "") -> Iterator[str]:
    """Yield the whole template of each route and of each mount, with a rest behind the latter."""
    for spec in table:
        if isinstance(spec, MountSpec):
            yield prefix + spec.template + "/{rest:path}"
            yield from list_templates(spec.children, prefix + spec.template)
        else:
            yield prefix + spec.template


def path_lists(table: Table, size: int) -> st.SearchStrategy[list[str]]:
    """Make different paths: as they are, and changed in what routers get wrong."""
    fitting = st.one_of([_fill_values(template) for template in sorted(set(list_templates(table)))])
    return st.lists(fitting, min_size=size, max_size=size).map(_change)


def _fill_values(template: str) -> st.SearchStrategy[str]:
    """Make paths that fit a template, or nearly do."""
    parts = PARAMETER.split(template)
    literals = parts[::3]
    values = []
    for number, kind in enumerate(parts[2::3]):
        is_whole = literals[number].endswith("/") and literals[number + 1][:1] in {"", "/"}
        # Beside other text in a segment, regular expressions take quadratic time for long values.
        long = (LONG,) if is_whole else ()
        values.append(st.sampled_from((*VALUES[kind or "str"], *long)))
    return st.tuples(*values).map(
        lambda texts: "".join(
            text for pair in zip(literals, (*texts, ""), strict=True) for text in pair
        )
    )


def _change(paths: list[str]) -> list[str]:
    # With an odd number of changes, the step of two goes through all of them.
    changed = {
        CHANGES[(2 * number + offset) % len(CHANGES)](path)
        for number, path in enumerate(paths)
        for offset in (0, 1)
    }
    return sorted(changed.union(paths))


def _double_slashes(path: str) -> str:
    return path.replace("/", "//")


def _drop_last_segment(path: str) -> str:
    return path.rpartition("/")[0]


CHANGES: Final[tuple[Callable[[str], str], ...]] = (
    "{}/".format,
    "{}\n".format,
    "{}//".format,
    "/{}".format,
    "{}/a".format,
    _double_slashes,
    _drop_last_segment,
    methodcaller("rstrip", "/"),
    methodcaller("removeprefix", "/"),
)
