"""Rate limits: the rules, what they count by, and where the counts are kept.

Own code, because the libraries there are keep their memory in each process, so that four workers allow
four times the limit, and ask Redis once for each limit.
"""

from __future__ import annotations

from framework.rate_limits.keys import KeyFunction, client_key, route_key, user_key
from framework.rate_limits.memory import SharedMemoryStore
from framework.rate_limits.rules import (
    Bucket,
    RateLimit,
    RateLimitStore,
    StoreUnavailable,
    Verdict,
)

__all__ = [
    "Bucket",
    "KeyFunction",
    "RateLimit",
    "RateLimitStore",
    "SharedMemoryStore",
    "StoreUnavailable",
    "Verdict",
    "client_key",
    "route_key",
    "user_key",
]
