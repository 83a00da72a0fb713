"""The inside of each file: length, closures, imports, exports."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.architecture import house_rules
from tests.architecture.sources import Source, Violation, read_sources

PRODUCT = read_sources("framework", "app")
EVERYTHING = (*PRODUCT, *read_sources("tests", "load", "deploy"))


def check_any_file(source: Source) -> Iterator[Violation]:
    """Apply the rules that hold for every Python file of the repository."""
    return itertools.chain(
        house_rules.find_long_files(source),
        house_rules.find_long_functions(source),
        house_rules.find_nested_closures(source),
        house_rules.find_late_imports(source),
        house_rules.find_relative_imports(source),
        house_rules.find_missing_future(source),
        house_rules.find_type_checking(source),
        house_rules.find_nameless_files(source),
    )


def check_product_file(source: Source) -> Iterator[Violation]:
    """Apply the rules that hold for the two packages only."""
    return itertools.chain(
        house_rules.find_asserts(source),
        house_rules.find_export_faults(source),
        house_rules.find_package_contents(source),
    )


@pytest.mark.parametrize("source", EVERYTHING, ids=lambda source: source.path)
def test_a_file_keeps_the_house_rules(source: Source) -> None:
    violations = [str(violation) for violation in check_any_file(source)]
    assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize("source", PRODUCT, ids=lambda source: source.path)
def test_a_file_of_the_product_keeps_the_rules_of_the_product(source: Source) -> None:
    violations = [str(violation) for violation in check_product_file(source)]
    assert not violations, "\n" + "\n".join(violations)


FUTURE = "from __future__ import annotations\n"
NESTED = """
def outer():
    def inner():
        def innermost():
            pass
"""
CLASS_IN_FUNCTION = """
def outer():
    class Local:
        def method(self):
            def closure():
                pass
"""

# Each row: module name, text, the line to be reported, words of the message.
BROKEN = [
    ("app.main", FUTURE + "x = 1\n" * 400, 401, "401 lines; a file has at most 400"),
    ("app.main", FUTURE + "def f():\n" + "    x = 1\n" * 50, 2, "f has 51 lines"),
    ("app.main", FUTURE + "async def f():\n" + "    x = 1\n" * 50, 2, "f has 51 lines"),
    ("app.main", FUTURE + NESTED, 5, "innermost is a closure inside a closure"),
    ("app.main", FUTURE + CLASS_IN_FUNCTION, 6, "closure is a closure inside a closure"),
    ("app.main", FUTURE + "def f():\n    import json\n", 3, "import inside f"),
    ("app.main", FUTURE + "def f():\n    if x:\n        from a import b\n", 4, "import inside f"),
    ("app.main", FUTURE + "from . import settings\n", 2, "relative import"),
    ("app.main", '"""Doc."""\nimport json\n', 1, "from __future__ import annotations is missing"),
    ("app.main", FUTURE + "from typing import TYPE_CHECKING\nif TYPE_CHECKING: pass\n", 3, "TYPE_"),
    ("app.main", FUTURE + "import typing\nif typing.TYPE_CHECKING: pass\n", 3, "TYPE_CHECKING"),
    ("framework.utils", FUTURE, 1, "utils names no subject"),
    ("framework._http.helpers", FUTURE, 1, "helpers names no subject"),
    ("app.main", FUTURE + "def f(x):\n    assert x\n", 3, "assert: raise ValueError"),
    ("framework.status", FUTURE + "x = 1\n", 1, "framework.status is public and has no __all__"),
    ("framework.status", FUTURE + "__all__ = ['b', 'a']\n", 2, "expected ['a', 'b']"),
    (
        "framework.status",
        FUTURE + "__all__ = ['a', 'Box', 'CC']\n",
        2,
        "expected ['CC', 'Box', 'a']",
    ),
    ("framework", FUTURE + "__version__ = '1'\nfrom framework import x\n", 3, "holds __version__"),
]


@pytest.mark.parametrize(("module", "text", "line", "message"), BROKEN)
def test_a_broken_rule_is_reported_with_file_and_line(
    module: str, text: str, line: int, message: str
) -> None:
    source = Source(module, "some/file.py", text)
    reports = [str(found) for found in (*check_any_file(source), *check_product_file(source))]
    place = f"some/file.py:{line}: "
    assert any(report.startswith(place) and message in report for report in reports), reports


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("app.main", FUTURE + "x = 1\n" * 399),
        ("app.main", FUTURE + "def f():\n" + "    x = 1\n" * 49),
        ("app.main", FUTURE + "def f():\n    def g():\n        return lambda: 1\n"),
        ("app.main", '"""Only a docstring."""\n'),
        ("app.main", FUTURE + "try:\n    import json\nexcept ImportError:\n    json = None\n"),
        ("framework.types", FUTURE + "from typing import TYPE_CHECKING\n__all__ = []\n"),
        ("framework.status", FUTURE + "__all__ = ['ALL', 'Big', 'Zoo', 'small']\n"),
        ("framework._defaults", FUTURE + "x = 1\n"),
        ("framework.server", '"""Only a docstring."""\n'),
        ("framework", '"""Doc."""\n' + FUTURE + "__version__ = '1'\n"),
        ("framework", "__version__ = '1'\n"),
    ],
)
def test_a_kept_rule_is_not_reported(module: str, text: str) -> None:
    source = Source(module, "some/file.py", text)
    assert [str(found) for found in (*check_any_file(source), *check_product_file(source))] == []
