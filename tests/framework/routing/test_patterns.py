"""Templates as regular expressions: what they match, and how long that may take."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, strategies as st

from framework._defaults import MAX_SHARED_SEGMENT_CHARACTERS
from framework.convertors import CONVERTOR_TYPES
from framework.routing.patterns import PARAM_REGEX, compile_path

PARAMS = ("{a}", "{b}", "{c:int}", "{d:path}", "{e:float}", "{f}")
LITERALS = ("-", ".", "x", "/", "_", "1")
TEMPLATES = st.tuples(
    st.permutations(PARAMS), st.lists(st.sampled_from(("", *LITERALS)), max_size=len(PARAMS))
).map(lambda drawn: "".join(f"{param}{text}" for param, text in zip(*drawn, strict=False)))
PATHS = st.text(alphabet="a1-.x/_\n", max_size=12)

# What the parameters could share in many ways, and a character that none of these ways ends with.
HOSTILE = [
    ("/{a}{b}x", "a"),
    ("/{a}{b}{c}x", "a"),
    ("/{a}-{b}-{c}x", "-"),
    ("/{a}-{b}_{c}.json", "-_"),
    ("/{a}-{b}-{c}-{d}-{e}-{f}-{g}x", "-"),
    ("/{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}x", "a"),
    ("/{a:int}{b:int}{c:int}x", "1"),
    ("/{a:path}{b:path}{c:path}x", "a"),
    ("/{a:path}-{b}-{c}/x", "-"),
    ("/{a:path}/{b}/{c:path}", "a/"),
    ("/{a:path}.{b}/{c}", "."),
    ("/{a}-{b:path}", "-"),
    ("/{a:path}.{b}", "./"),
    ("/{a}-{b}/{c}-{d}/{e}-{f}/{g:int}", "-"),
]


def compile_plainly(template: str) -> re.Pattern[str]:
    """Return the expression of a template without anything that keeps matches short."""
    regex, end = "", 0
    for match in PARAM_REGEX.finditer(template):
        kind = (match[2] or ":str")[1:]
        regex += re.escape(template[end : match.start()])
        regex += f"(?P<{match[1]}>{CONVERTOR_TYPES[kind].regex})"
        end = match.end()
    return re.compile(f"{regex}{re.escape(template[end:])}\\Z")


@given(TEMPLATES, PATHS)
@example("{a}-{b}x", "a--x")
@example("{a}-{b}.x/{f}", "a-.x.x/a")
@example("{a}_{d:path}x", "a_/x")
def test_a_guarded_template_matches_as_a_plain_one(template: str, path: str) -> None:
    guarded = compile_path(f"/{template}")[0].match(f"/{path}")
    plain = compile_plainly(f"/{template}").match(f"/{path}")
    assert (guarded and guarded.groupdict()) == (plain and plain.groupdict())


@pytest.mark.parametrize(("template", "unit"), HOSTILE)
def test_no_path_takes_long(template: str, unit: str) -> None:
    """Without guards the second and most others of these would take minutes."""
    pattern = compile_path(template)[0]
    longest = 0.0
    for size in (23, 40, 90, 240, 1400, 8000):
        text = (unit * size)[:size]
        for path in (
            f"/{text}",
            f"/{text}/y",
            f"/{text}/{text}/{text}/y",
            f"/{text}x/y\n",
            f"/{text}\n{text}\n",
        ):
            began = time.thread_time()
            pattern.match(path)
            longest = max(longest, time.thread_time() - began)
    assert longest < 1


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 8, 9])
def test_text_that_parameters_share_may_have_so_many_characters(count: int) -> None:
    template = "/" + "-".join(f"{{p{number}}}" for number in range(count)) + ".x"
    pattern = compile_path(template)[0]
    limit = MAX_SHARED_SEGMENT_CHARACTERS[min(count, 8) - 2]
    text = "a" * (limit - 2 * count) + "-b" * (count - 1) + ".x"
    text = "a" * (limit - len(text)) + text
    assert pattern.match(f"/{text}")
    assert not pattern.match(f"/a{text}")


def test_what_shares_nothing_has_no_limit() -> None:
    long = "a" * 8000
    for template, path in [
        ("/{a}", f"/{long}"),
        ("/{a}/{b}", f"/{long}/{long}"),
        ("/{a:path}", f"/{long}/{long}"),
        ("/{a:path}/{b}", f"/{long}/{long}"),
        ("/{a:path}/{b}/{c:path}", f"/{long}/b/{long}"),
        ("/{a}-{b}", f"/{long}-{long}"),
        ("/x{a}.json", f"/x{long}.json"),
    ]:
        assert compile_path(template)[0].match(path), template
