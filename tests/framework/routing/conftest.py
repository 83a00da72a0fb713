"""What the tests of routing share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from framework._defaults import MAX_SHARED_SEGMENT_CHARACTERS


@pytest.fixture(autouse=True, scope="module")
def any_length(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lift the limits on text that parameters share: the references do not know them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if not request.module.__name__.endswith("test_patterns"):
            limits = (100_000,) * len(MAX_SHARED_SEGMENT_CHARACTERS)
            name = "framework.routing.patterns.MAX_SHARED_SEGMENT_CHARACTERS"
            monkeypatch.setattr(name, limits)
        yield
