"""Counts in Redis: one for all machines; when it is down nobody waits for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from blockbuster import BlockBuster
from redis.asyncio import Redis

from framework.middleware.rate_limit import RateLimit, RateLimitMiddleware
from framework.rate_limits import Bucket, StoreUnavailable
from framework.rate_limits.redis import RedisStore
from framework.responses import PlainTextResponse
from tests.framework.asgi import build_scope, call
from tests.framework.rate_limits.servers import RedisServer

pytestmark = pytest.mark.anyio

# Where Redis has to answer. The default is less than a busy machine may take for a moment.
PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Only asyncio: redis-py has no other."""
    return "asyncio"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    # A short path: that of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        yield server
        server.stop()


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Any]:
    client = Redis.from_url(server.url)
    await client.flushall()
    yield client
    await client.aclose()


def fill(key: str, requests: int, seconds: float = 3600) -> Bucket:
    limit = RateLimit(requests, seconds)
    return Bucket(key, limit.interval, limit.size)


async def count_taken(store: RedisStore, *buckets: Bucket, tries: int = 5) -> int:
    return sum([(await store.take(buckets)).is_allowed for _ in range(tries)])


async def test_a_key_has_what_its_limit_gives(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    await store.open()
    assert await count_taken(store, fill("a", 3)) == 3
    assert await count_taken(store, fill("b", 3)) == 3
    assert await count_taken(store, fill("a", 3)) == 0


async def test_it_comes_back_with_time(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    bucket = fill("a", 4, 0.4)
    began = time.monotonic()
    taken = 0
    while (spent := time.monotonic() - began) < 1:
        taken += await count_taken(store, bucket, tries=1)
        await anyio.sleep(0.01)
    assert taken <= 4 + spent / 0.1
    assert taken >= 8


async def test_all_buckets_are_filled_or_none(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    wide, narrow = fill("wide", 5), fill("narrow", 1)
    assert await count_taken(store, wide, narrow, tries=20) == 1
    assert await count_taken(store, wide, tries=10) == 4


async def test_levels_are_those_of_the_shared_memory(client: Any) -> None:
    verdict = await RedisStore(client, timeout=PATIENCE_SECONDS).take([fill("a", 3), fill("b", 2)])
    assert verdict == (True, (1200 * 10**6, 1800 * 10**6))


async def test_keys_go_away_by_themselves_and_tell_nothing(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS, prefix="service:")
    await store.take([fill("203.0.113.9 secret-token", 3)])
    [key] = await client.keys()
    assert key.startswith(b"service:")
    assert b"203" not in key
    assert b"secret" not in key
    assert 1_199_000 < await client.pttl(key) <= 1_200_000


async def test_a_time_that_the_limit_cannot_reach_counts_as_empty(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    assert await count_taken(store, fill("a", 3)) == 3
    [key] = await client.keys()
    await client.set(key, 10**18)
    assert await count_taken(store, fill("a", 3)) == 3


async def test_the_script_is_sent_again_to_a_server_that_has_lost_it(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    assert await count_taken(store, fill("a", 3), tries=1) == 1
    await client.script_flush()
    assert await count_taken(store, fill("a", 3)) == 2


async def test_one_request_is_one_round_trip(client: Any) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS)
    await count_taken(store, fill("a", 9), tries=1)
    before = (await client.info("stats"))["total_commands_processed"]
    calls = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await store.take([fill("a", 9), fill("b", 9), fill("c", 9)])
    assert (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] == calls + 1
    # The script, what it calls (TIME, 3 GET, 3 SET), and two questions of this test.
    assert (await client.info("stats"))["total_commands_processed"] - before <= 11


WORKER = """
import sys, anyio
from redis.asyncio import Redis
from framework.middleware.rate_limit import RateLimit
from framework.rate_limits import Bucket
from framework.rate_limits.redis import RedisStore

async def main():
    client = Redis.from_url(sys.argv[1])
    limit = RateLimit(300, 3600)
    store = RedisStore(client, timeout=10)
    bucket = Bucket("shared", limit.interval, limit.size)
    print(sum([(await store.take([bucket])).is_allowed for _ in range(200)]))
    await client.aclose()

anyio.run(main)
"""


def test_four_processes_share_one_limit_exactly(server: RedisServer) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, server.url], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert sum(int(worker.communicate()[0]) for worker in workers) == 300


async def test_a_server_that_is_down_is_asked_again_after_a_pause(blockbuster: BlockBuster) -> None:
    # redis-py reads its own version from a file for each new connection.
    blockbuster.deactivate()
    absent = Redis.from_url("unix:///nowhere/redis.sock")
    store = RedisStore(absent, pause=0.05)
    with pytest.raises(StoreUnavailable, match="Redis: ConnectionError"):
        await store.take([fill("a", 3)])
    with pytest.raises(StoreUnavailable, match="failed a moment ago"):
        await store.take([fill("a", 3)])
    await anyio.sleep(0.06)
    with pytest.raises(StoreUnavailable, match="ConnectionError"):
        await store.take([fill("a", 3)])
    await absent.aclose()


async def test_a_server_that_stalls_holds_nobody_up(
    server: RedisServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS, pause=0.2)
    app = RateLimitMiddleware(PlainTextResponse("served"), RateLimit(2, 3600), store=store)
    assert (await call(app, build_scope())).headers[b"ratelimit-remaining"] == b"1"
    store.timeout = 0.05
    server.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(20):
            assert (await call(app, build_scope())).body == b"served"
        assert time.monotonic() - began < 1
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert len(caplog.records) == 1
    assert "TimeoutError" in caplog.text
    store.timeout = PATIENCE_SECONDS
    await anyio.sleep(0.25)
    # What was asked in between may have been counted, late; nobody gets another one's answer.
    assert (await call(app, build_scope())).status in (200, 429)
    assert (await call(app, build_scope())).status == 429


async def test_a_connection_left_in_the_middle_is_not_used_again(
    server: RedisServer, client: Any
) -> None:
    store = RedisStore(client, timeout=PATIENCE_SECONDS, pause=0)
    assert await count_taken(store, fill("a", 3), tries=1) == 1
    store.timeout = 0.05
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            await store.take([fill("other", 1000)])
    finally:
        server.process.send_signal(signal.SIGCONT)
    store.timeout = PATIENCE_SECONDS
    await anyio.sleep(0.05)
    assert (await store.take([fill("a", 3)])).levels == pytest.approx((2400 * 10**6,), abs=10**7)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"timeout": 0}, "timeout=0 must be above 0"),
        ({"pause": -1}, "pause=-1 must not be negative"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RedisStore(Redis(), **options)


def test_without_redis_the_command_that_installs_it_is_named() -> None:
    code = "import sys; sys.modules['redis'] = None; import framework.rate_limits.redis"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: RedisStore needs redis, which is not installed: pip install redis" in (
        done.stderr
    )
