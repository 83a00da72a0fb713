"""The folder that processes share."""

from __future__ import annotations

import errno
import fcntl
import shutil
import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from framework.channels import Channels, ChannelsUnavailable, unix
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


async def test_a_folder_that_was_removed_is_made_again(folder: Path) -> None:
    async with (
        Channels(UnixBackend(folder)) as here,
        Channels(UnixBackend(folder)) as there,
        here.subscribe("a") as one,
        there.subscribe("a") as two,
    ):
        await anyio.to_thread.run_sync(shutil.rmtree, folder)
        async with Channels(UnixBackend(folder)) as late, late.subscribe("a") as three:
            # Nobody knows of the others yet.
            last = max(await here.publish("a", 0), await late.publish("a", 0))
            for events in (one, two, three):
                assert (await anext(events)).data == 0
            with anyio.fail_after(10):
                while not all(names.statistics().reconnects for names in (here, there, late)):  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            for publisher in (here, there, late):
                assert (await publisher.publish("a", 1)) > last
            with anyio.fail_after(0.8):  # woken, not found a second later
                for events in (one, two, three):
                    assert [(await anext(events)).data for _ in range(3)] == [1, 1, 1]
            assert len(list_names(folder, "*.sock")) == 3


async def test_a_log_that_was_made_while_nobody_could_be_found_is_given_up(folder: Path) -> None:
    """Its number is below that of the others, who have lost their folder before."""
    async with Channels(UnixBackend(folder)) as here, here.subscribe("a") as one:
        for _ in range(2):
            await anyio.to_thread.run_sync(retire_log, folder)
            await here.publish("a", 0)
            assert (await anext(one)).data == 0
        await anyio.to_thread.run_sync(shutil.rmtree, folder)
        async with Channels(UnixBackend(folder)) as late, late.subscribe("a") as two:
            with anyio.fail_after(10):
                while not late.statistics().reconnects:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
                await here.publish("a", 1)
                await late.publish("a", 2)
                for events in (one, two):
                    assert [(await anext(events)).data for _ in range(2)] == [1, 2]
            assert list_names(folder, "events-*") == ["events-4.log"]


async def test_many_publishers_replace_a_locked_log_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.channels.unix.CHANNEL_LOCK_SECONDS", 0.05)
    async with Channels(UnixBackend(folder)) as channels, channels.subscribe("a") as events:
        for number in range(1, 4):
            with (folder / f"events-{number}.log").open("rb") as stopped:
                fcntl.flock(stopped, fcntl.LOCK_EX)
                async with anyio.create_task_group() as tasks:
                    for data in range(20):
                        tasks.start_soon(channels.publish, "a", data)
            assert sorted([(await anext(events)).data for _ in range(20)]) == list(range(20))


async def test_a_folder_that_cannot_be_used_for_a_time_ends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_broken = True
    open_latest = EventLog.open_latest

    def refuse(folder: Path, capacity: int) -> EventLog:
        if is_broken:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_latest(folder, capacity)

    monkeypatch.setattr(unix, "CHANNEL_POLL_SECONDS", 0.05)
    async with Channels(UnixBackend(folder)) as channels, channels.subscribe("a") as events:
        await anyio.to_thread.run_sync(retire_log, folder)
        monkeypatch.setattr(EventLog, "open_latest", refuse)
        with anyio.fail_after(10):
            while not caplog.records:  # noqa: ASYNC110 - a list that somebody fills
                await anyio.sleep(0.01)
            with pytest.raises(ChannelsUnavailable, match="Too many open files"):
                await channels.publish("a", 0)
            is_broken = False
            await channels.publish("a", 1)
            assert (await anext(events)).data == 1
    assert "try again" in caplog.messages[0]


def append_garbage(folder: Path) -> None:
    log = EventLog.open_latest(folder, 1)
    assert log.append(b"of another version")
    log.close()


async def test_a_record_that_is_no_event_is_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Channels(UnixBackend(folder)) as channels, channels.subscribe("a") as events:
        await anyio.to_thread.run_sync(append_garbage, folder)
        await channels.publish("a", 1)
        with anyio.fail_after(10):
            assert (await anext(events)).data == 1
    async with Channels(UnixBackend(folder)):  # which begins with what is there
        assert len(caplog.messages) == 2
    assert "no event" in caplog.messages[0]
