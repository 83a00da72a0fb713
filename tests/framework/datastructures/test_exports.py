"""Everything that Starlette's `datastructures` offers is here under the same name."""

from __future__ import annotations

import inspect

import pytest
from starlette import datastructures as starlette

from framework import datastructures


def _classes(module: object) -> set[str]:
    return {
        name
        for name, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__.startswith("starlette.datastructures")
    }


@pytest.mark.parametrize("name", sorted(_classes(starlette)))
def test_every_class_has_every_public_member(name: str) -> None:
    ours, theirs = getattr(datastructures, name), getattr(starlette, name)
    members = {member for member in dir(theirs) if not member.startswith("_")}
    assert members <= set(dir(ours))
    assert name in datastructures.__all__
