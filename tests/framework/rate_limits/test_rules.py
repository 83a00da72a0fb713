"""The numbers of a limit."""

from __future__ import annotations

from typing import Any

import pytest

from framework.rate_limits import RateLimit


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"requests": 0, "seconds": 1}, "requests=0 must be at least 1"),
        ({"requests": 1, "seconds": 0}, "seconds=0 must be above 0 and at most 86400"),
        ({"requests": 1, "seconds": float("nan")}, "seconds=nan must be above 0"),
        ({"requests": 1, "seconds": 86_401}, "seconds=86401 must be above 0 and at most 86400"),
        ({"requests": 2_000_001, "seconds": 1}, "more than 1,000,000 a second"),
        ({"requests": 5, "seconds": 1, "burst": 6}, "burst=6 must be from 1 to requests=5"),
        ({"requests": 5, "seconds": 1, "burst": 0}, "burst=0 must be from 1 to requests=5"),
    ],
)
def test_numbers_that_make_no_limit_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RateLimit(**options)
