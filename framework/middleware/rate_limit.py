"""`RateLimitMiddleware`: so many requests for each client, user or route, and 429 for the rest.

The fields are those of draft-ietf-httpapi-ratelimit-headers-06 (`RateLimit-Limit`, `-Remaining`,
`-Reset`, `-Policy`), which clients read today; later drafts join the first three into one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Collection, Sequence
from typing import Final, Literal, NamedTuple

from framework._defaults import RATE_LIMIT_LOG_SECONDS
from framework._http.paths import get_route_path
from framework.exceptions import HTTPException
from framework.middleware._refusals import answer_refusal
from framework.middleware._templates import find_template
from framework.rate_limits import (
    Bucket,
    KeyFunction,
    RateLimit,
    RateLimitStore,
    SharedMemoryStore,
    StoreUnavailable,
    Verdict,
)
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["RateLimit", "RateLimitMiddleware"]

_logger = logging.getLogger(__name__)

_MICROSECONDS: Final = 1_000_000
_LIMIT: Final = b"ratelimit-limit"
_STARTS: Final = frozenset({"http.response.start", "websocket.accept"})


class RateLimitMiddleware:
    """Refuse a request that is over one of the limits with 429 and `Retry-After`.

    The answer goes through the application's handler for it if there is one. Every answer has the
    `RateLimit-*` fields of the limit that is closest to its end, `RateLimit-Policy` those of all. A
    request counts towards all limits or, when it is refused, towards none. WebSocket handshakes count
    as requests.

    Around an application or a mount, a limit counts all that is in it together. For a limit of each
    route, put it on the route: `Route(..., middleware=[Middleware(RateLimitMiddleware, limit)])`.

    When the store fails, requests are let through (or refused with 503, as `on_failure` says), and the
    log says so once a minute (`framework.middleware.rate_limit`).

    Args:
        app: the application.
        limits: one limit or several.
        store: where counts are kept; by default in memory that all workers of one machine share. A
            `framework.rate_limits.redis.RedisStore` for more machines.
        exempt: paths that are not counted, exactly as routes have them: health checks.
        on_failure: `"allow"` or `"refuse"` requests that the store cannot judge.

    Raises:
        ValueError: no limits, or an `on_failure` that is neither.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: RateLimit | Sequence[RateLimit],
        *,
        store: RateLimitStore | None = None,
        exempt: Collection[str] = (),
        on_failure: Literal["allow", "refuse"] = "allow",
    ) -> None:
        self.limits = (limits,) if isinstance(limits, RateLimit) else tuple(limits)
        if not self.limits:
            raise ValueError("limits=() limits nothing: give at least one RateLimit")
        if on_failure not in ("allow", "refuse"):
            raise ValueError(f"on_failure={on_failure!r} is neither 'allow' nor 'refuse'")
        if isinstance(exempt, str):
            raise TypeError(f"exempt={exempt!r} is one text: pass a collection of paths")
        self.app = app
        self.store: RateLimitStore = SharedMemoryStore() if store is None else store
        self.exempt = frozenset(exempt)
        self.refuses_on_failure = on_failure == "refuse"
        self.failures = 0
        self._logged_failures = 0
        self._logs_again_at = 0.0
        self._policy = ", ".join(_describe_policy(limit) for limit in self.limits)
        self._rules = tuple(_Rule.build(limit) for limit in self.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.store.open()
        elif not self.exempt or get_route_path(scope) not in self.exempt:
            await self._serve(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = find_template(scope)
        buckets = []
        for find_key, prefix, is_local, interval, size in self._rules:
            key = find_key(scope)
            if key is not None:
                where = place if is_local else ""
                buckets.append(Bucket(f"{prefix}\0{where}\0{key}", interval, size))
        if not buckets:
            await self.app(scope, receive, send)
            return
        try:
            verdict = await self.store.take(buckets)
        except StoreUnavailable as exc:
            self._report(exc)
            if self.refuses_on_failure:
                refusal = HTTPException(503, headers={"Retry-After": "1"})
                await answer_refusal(refusal, scope, receive, send)
                return
            await self.app(scope, receive, send)
            return
        if verdict.is_allowed:
            limited = _LimitedSend(send, buckets, verdict, self._policy)
            await self.app(scope, receive, limited)
            return
        fields = _describe(buckets, verdict, self._policy)
        fields["Retry-After"] = str(_compute_wait(buckets, verdict))
        await answer_refusal(HTTPException(429, headers=fields), scope, receive, send)

    def _report(self, exc: StoreUnavailable) -> None:
        self.failures += 1
        now = time.monotonic()
        if now < self._logs_again_at:
            return
        self._logs_again_at = now + RATE_LIMIT_LOG_SECONDS
        count, self._logged_failures = self.failures - self._logged_failures, self.failures
        done = "refused" if self.refuses_on_failure else "let through without a limit"
        _logger.warning("rate limit store failed (%s): %d requests %s", exc, count, done)


class _Rule(NamedTuple):
    """A limit, worked out when the application starts."""

    find_key: KeyFunction
    prefix: str
    is_local: bool
    interval: int
    size: int

    @classmethod
    def build(cls, limit: RateLimit) -> _Rule:
        prefix = f"{limit.name}\0{limit.interval}x{limit.capacity}"
        return cls(limit.key, prefix, not limit.name, limit.interval, limit.size)


class _LimitedSend:
    """Puts the fields on the response, unless a limit further in has put its own there."""

    __slots__ = ("buckets", "policy", "send", "verdict")

    def __init__(
        self, send: Send, buckets: Sequence[Bucket], verdict: Verdict, policy: str
    ) -> None:
        self.send = send
        self.buckets = buckets
        self.verdict = verdict
        self.policy = policy

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] in _STARTS:
            headers = list(message.get("headers", ()))
            if not any(name == _LIMIT for name, _ in headers):
                fields = _describe(self.buckets, self.verdict, self.policy)
                headers += [(k.lower().encode(), v.encode()) for k, v in fields.items()]
                # The message may be shared between requests.
                message = {**message, "headers": headers}
        return self.send(message)


def _describe(buckets: Sequence[Bucket], verdict: Verdict, policy: str) -> dict[str, str]:
    """Return the fields about the bucket that has least room, the slowest one of several."""
    fullest, level = min(zip(buckets, verdict.levels, strict=True), key=_find_room)
    return {
        "RateLimit-Limit": str(fullest.size // fullest.interval),
        "RateLimit-Remaining": str((fullest.size - level) // fullest.interval),
        "RateLimit-Reset": str(_round_up(level)),
        "RateLimit-Policy": policy,
    }


def _find_room(filled: tuple[Bucket, int]) -> tuple[int, int]:
    bucket, level = filled
    return (bucket.size - level) // bucket.interval, -level


def _describe_policy(limit: RateLimit) -> str:
    policy = f"{limit.requests};w={_round_up(int(limit.seconds * _MICROSECONDS))}"
    return policy if limit.burst is None else f"{policy};burst={limit.burst}"


def _compute_wait(buckets: Sequence[Bucket], verdict: Verdict) -> int:
    """Return the seconds after which there is room in every bucket."""
    return _round_up(
        max(
            level + bucket.interval - bucket.size
            for bucket, level in zip(buckets, verdict.levels, strict=True)
        )
    )


def _round_up(microseconds: int) -> int:
    return -(-microseconds // _MICROSECONDS)
