"""The arithmetic of a rate limit: the generic cell rate algorithm, a token bucket in one number.

Each bucket is a time: when it will be empty again if nothing more is put in. A request puts `interval`
microseconds in and is refused when the bucket would hold more than `size`. All is counted in whole
microseconds, so that a limit of 100 is 100 and not 99 for the sake of a rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from framework._defaults import MAX_RATE_LIMIT_SECONDS
from framework.rate_limits.keys import KeyFunction, client_key, user_key

__all__ = ["Bucket", "RateLimit", "RateLimitStore", "StoreUnavailable", "Verdict", "decide"]


@dataclass(frozen=True)
class RateLimit:
    """At most `requests` in `seconds`, on average, for each key.

    A bucket of `burst` requests that is emptied evenly: `burst` may come at once, then one in every
    `seconds / requests`. What is refused does not count.

    Two limits with the same numbers at the same place (the application, or one route) and with the
    same key share their count. Limits of different routes do not, unless they have a name.

    Args:
        requests: how many, at most 1,000,000 a second.
        seconds: in which time, at most a day: what has to outlive a restart belongs in a database.
        burst: how many at once; `requests` unless given.
        key: from the scope to the text that is counted by; None for what is not counted.
        name: limits with this name, wherever they are, share their counts.

    Raises:
        ValueError: numbers that make no limit.
    """

    requests: int
    seconds: float
    burst: int | None = None
    key: KeyFunction = client_key
    name: str = ""

    def __post_init__(self) -> None:
        if self.requests < 1:
            raise ValueError(f"requests={self.requests!r} must be at least 1")
        if not 0 < self.seconds <= MAX_RATE_LIMIT_SECONDS:
            raise ValueError(
                f"seconds={self.seconds!r} must be above 0 and at most {MAX_RATE_LIMIT_SECONDS}"
            )
        if self.interval < 1:
            raise ValueError(
                f"{self.requests!r} requests in {self.seconds!r} seconds are more than 1,000,000 a "
                "second: nothing is limited by that"
            )
        if self.burst is not None and not 1 <= self.burst <= self.requests:
            raise ValueError(f"burst={self.burst!r} must be from 1 to requests={self.requests!r}")

    @property
    def stack_traits(self) -> tuple[str, ...]:
        """What the check of a stack has to know: whether authentication must come before."""
        return ("reads user",) if self.key is user_key else ()

    @property
    def interval(self) -> int:
        """What one request puts into the bucket, in microseconds."""
        return int(self.seconds * 1_000_000 / self.requests)

    @property
    def capacity(self) -> int:
        """How many requests an empty bucket takes at once."""
        return self.requests if self.burst is None else self.burst

    @property
    def size(self) -> int:
        """What the bucket holds, in microseconds."""
        return self.interval * self.capacity


class Bucket(NamedTuple):
    """What one request asks of one limit; `interval` and `size` in microseconds."""

    key: str
    interval: int
    size: int


class Verdict(NamedTuple):
    """Whether a request is allowed, and what each of its buckets holds after it, in microseconds."""

    is_allowed: bool
    levels: tuple[int, ...]


class StoreUnavailable(Exception):
    """The store of a rate limit cannot say in time whether a request is allowed."""


class RateLimitStore(Protocol):
    """Keeps the buckets."""

    async def open(self) -> None:
        """Get ready, when the application starts. Raises what makes it impossible."""

    async def take(self, buckets: Sequence[Bucket]) -> Verdict:
        """Fill all buckets, at once for everybody else, or none of them when one has no room.

        Raises:
            StoreUnavailable: it cannot tell.
        """


def decide(buckets: Sequence[Bucket], levels: Sequence[int]) -> Verdict:
    """Return the verdict about one request, given what its buckets hold before it.

    A level above the size of its bucket is none that a request has left behind: it counts as empty.
    """
    found = []
    filled = []
    is_allowed = True
    for (_, interval, size), level in zip(buckets, levels, strict=True):
        kept = level if level <= size else 0
        found.append(kept)
        filled.append(kept + interval)
        is_allowed = is_allowed and kept + interval <= size
    return Verdict(is_allowed, tuple(filled if is_allowed else found))
