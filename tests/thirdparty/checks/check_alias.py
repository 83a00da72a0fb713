"""The alias itself: `starlette` is the framework, whole and with nothing else mixed in."""

from __future__ import annotations

import importlib

import pytest

pytestmark = pytest.mark.difference("this is not Starlette")


@pytest.mark.parametrize("name", ["applications", "routing", "responses", "middleware.errors"])
def test_a_module_is_the_same_under_both_names(name: str) -> None:
    module = importlib.import_module(f"starlette.{name}")
    assert module is importlib.import_module(f"framework.{name}")
    assert module.__name__ == f"framework.{name}" == getattr(module.__spec__, "name", None)


def test_starlette_is_app() -> None:
    module = importlib.import_module("starlette.applications")
    assert module.Starlette is importlib.import_module("framework.applications").App


def test_what_the_framework_does_not_have_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named framework\.nonesuch"):
        importlib.import_module("starlette.nonesuch")
