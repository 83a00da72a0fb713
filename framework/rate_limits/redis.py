"""`RedisStore`: counts that all machines share, in Redis."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Final

import anyio

from framework._defaults import RATE_LIMIT_PAUSE_SECONDS, RATE_LIMIT_STORE_SECONDS
from framework.rate_limits.rules import Bucket, StoreUnavailable, Verdict

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError
except ImportError as exc:
    raise ImportError("RedisStore needs redis, which is not installed: pip install redis") from exc

__all__ = ["RedisStore"]

_DIGEST_BYTES: Final = 16

# What `rules.decide` does, by the clock of Redis, which is the same for all machines. A bucket is gone
# when it is empty. Times are written out: Lua would round numbers of that size to 14 digits.
_SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local found, filled, allowed = {}, {}, 1
for i, key in ipairs(KEYS) do
    local interval, size = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local level = tonumber(redis.call('GET', key) or 0) - now
    if level < 0 or level > size then level = 0 end
    found[i] = level
    filled[i] = level + interval
    if filled[i] > size then allowed = 0 end
end
if allowed == 0 then return {0, unpack(found)} end
for i, key in ipairs(KEYS) do
    local full_until = string.format('%.0f', now + filled[i])
    redis.call('SET', key, full_until, 'PX', math.ceil(filled[i] / 1000))
end
return {1, unpack(filled)}
"""


class RedisStore:
    """Counts in Redis: one script and one round trip for each request, however many limits it meets.

    Keys are digests, so that no address and no token is readable there. After a failure nothing is
    asked for `pause` seconds: a Redis that is down or stalls does not hold up every request. asyncio
    only, as redis-py. In a cluster all keys of a request must be in one slot: use a hash tag as
    `prefix`, such as `{rates}:`.

    Args:
        client: a `redis.asyncio.Redis`; closing it is the application's part.
        prefix: in front of every key.
        timeout: seconds for an answer, connecting included.
        pause: seconds after a failure in which Redis is not asked.

    Raises:
        ValueError: `timeout` is not above 0, or `pause` is negative.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "rate-limit:",
        timeout: float = RATE_LIMIT_STORE_SECONDS,
        pause: float = RATE_LIMIT_PAUSE_SECONDS,
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout={timeout!r} must be above 0 seconds")
        if not pause >= 0:
            raise ValueError(f"pause={pause!r} must not be negative; 0 asks Redis every time")
        self.prefix = prefix
        self.timeout = timeout
        self.pause = pause
        self._script = client.register_script(_SCRIPT)
        self._asks_again_at = 0.0

    async def open(self) -> None:
        """Do nothing: Redis may come later than the application, and go in between."""

    async def take(self, buckets: Sequence[Bucket]) -> Verdict:
        """Fill all buckets or none. Raises `StoreUnavailable` when Redis does not answer in time."""
        if time.monotonic() < self._asks_again_at:
            raise StoreUnavailable("Redis has failed a moment ago")
        keys = [self._build_key(bucket.key) for bucket in buckets]
        numbers = [number for bucket in buckets for number in (bucket.interval, bucket.size)]
        try:
            with anyio.fail_after(self.timeout):
                is_allowed, *levels = await self._script(keys=keys, args=numbers)
        except (RedisError, OSError) as exc:  # a TimeoutError is an OSError
            self._asks_again_at = time.monotonic() + self.pause
            raise StoreUnavailable(f"Redis: {type(exc).__name__}") from exc
        return Verdict(bool(is_allowed), tuple(levels))

    def _build_key(self, key: str) -> str:
        data = key.encode("utf-8", "surrogatepass")
        return self.prefix + hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
