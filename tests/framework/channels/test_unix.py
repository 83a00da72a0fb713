"""The folder that processes share."""

from __future__ import annotations

import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from framework.channels import Channels
from framework.channels._log import EventLog
from framework.channels.unix import UnixBackend
from tests.conftest import Backend

pytestmark = pytest.mark.anyio


def list_names(folder: Path, pattern: str = "*") -> list[str]:
    return [path.name for path in folder.glob(pattern)]


async def test_the_folder_is_private_and_left_without_sockets(
    anyio_backend: Backend, folder: Path
) -> None:
    async with Channels(UnixBackend(folder)) as channels:
        await channels.publish("a", 1)
        assert len(list_names(folder, "*.sock")) == 1
        assert stat.S_IMODE((await anyio.Path(folder).stat()).st_mode) == 0o700
    assert list_names(folder) == ["events-1.log"]


async def test_a_folder_that_others_can_use_is_refused(folder: Path) -> None:
    await anyio.Path(folder).mkdir(mode=0o755)
    with pytest.raises(RuntimeError, match="only this user"):
        await Channels(UnixBackend(folder)).__aenter__()


async def test_an_event_arrives_without_a_datagram(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Channels(UnixBackend(folder)) as here,
        Channels(UnixBackend(folder)) as there,
        there.subscribe("a") as events,
    ):
        monkeypatch.setattr(UnixBackend, "_send", lambda backend, name: True)
        await here.publish("a", 1)
        with anyio.fail_after(10):
            assert (await anext(events)).data == 1


async def test_a_broken_log_is_replaced(folder: Path) -> None:
    async with Channels(UnixBackend(folder)) as channels:
        last = await channels.publish("a", "lost" * 100)
    path = folder / "events-1.log"
    path.write_bytes(path.read_bytes().replace(b"lostlost", b"________"))
    async with Channels(UnixBackend(folder)) as channels, channels.subscribe("a") as events:
        assert await channels.publish("a", "new") > last
        with anyio.fail_after(10):
            assert (await anext(events)).data == "new"


def retire_log(folder: Path) -> None:
    """Do what a process does that finds the log locked for too long."""
    log = EventLog.open_latest(folder, 1)
    log.retire(folder)
    log.close()


async def test_all_follow_when_a_log_is_replaced(folder: Path) -> None:
    async with (
        Channels(UnixBackend(folder)) as here,
        Channels(UnixBackend(folder)) as there,
        here.subscribe("a") as one,
        there.subscribe("a") as two,
    ):
        await here.publish("a", 0)
        await anyio.to_thread.run_sync(retire_log, folder)
        await there.publish("a", 1)
        await here.publish("a", 2)
        with anyio.fail_after(10):
            for events in (one, two):
                assert [(await anext(events)).data for _ in range(3)] == [0, 1, 2]
        assert here.statistics().reconnects == 1
        assert list_names(folder, "events-*") == ["events-2.log"]
