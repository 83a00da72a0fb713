"""Real processes: killed, stopped and replaced."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from framework.channels import Channels
from framework.channels.unix import UnixBackend
from tests.framework.channels.processes import Crowd, Process, open_crowd


@pytest.fixture
def crowd(folder: Path) -> Iterator[Crowd]:
    with open_crowd(folder) as crowd:
        yield crowd


def publish(folder: Path, topic: str, *data: object) -> None:
    """Publish from this process."""

    async def main() -> None:
        async with Channels(UnixBackend(folder)) as channels:
            for item in data:
                await channels.publish(topic, item)

    anyio.run(main)


def get_numbers(lines: list[str], topic: str) -> list[int]:
    """Return the numbers that a listener has got from one publisher."""
    return [int(line.split()[1]) for line in lines if line.split()[0] == topic]


def test_a_killed_process_costs_the_others_nothing(crowd: Crowd) -> None:
    listeners = [crowd.listen(), crowd.listen()]
    victim = crowd.publish("victim", 10**9)
    publishers = [crowd.publish("one", 1000), crowd.publish("two", 1000)]
    for process in (victim, *publishers):
        process.go()
    for process in publishers:
        assert process.read_line().startswith("done")
    victim.kill()
    victim.process.wait()
    publish(crowd.folder, "end", "end")
    for listener in listeners:
        lines = listener.finish()
        assert lines[-1] == "missed 0 False"
        for topic in ("one", "two"):
            assert get_numbers(lines, topic) == list(range(1000))
        from_victim = get_numbers(lines, "victim")
        assert from_victim == list(range(len(from_victim)))
        assert from_victim
    # What it has left behind is removed by the next who publishes.
    publish(crowd.folder, "end", "end")
    assert list(crowd.folder.glob("*.sock")) == []


def test_killed_again_and_again_while_it_writes(crowd: Crowd) -> None:
    listener = crowd.listen()
    for number in range(5):
        victim = crowd.publish(f"victim{number}", 10**9)
        victim.go()
        time.sleep(0.4 + 0.013 * number)
        victim.kill()
        victim.process.wait()
    publish(crowd.folder, "last", *range(100), "end")
    lines = listener.finish()
    assert get_numbers(lines, "last") == list(range(100))
    for number in range(5):
        from_victim = get_numbers(lines, f"victim{number}")
        assert from_victim == list(range(len(from_victim)))
        assert from_victim


def test_five_recycles_lose_nothing(crowd: Crowd) -> None:
    staying = crowd.listen()
    constant = crowd.publish("constant", 3000)
    constant.go()
    retired: list[Process] = []
    for number in range(5):
        # As in a reload: the new worker is there before the old one goes.
        worker = crowd.publish(f"worker{number}", 300)
        worker.go()
        if retired:
            retired[-1].finish()
        retired.append(worker)
    retired[-1].finish()
    constant.finish()
    late = crowd.listen()
    publish(crowd.folder, "end", "after", "end")
    lines = staying.finish()
    assert get_numbers(lines, "constant") == list(range(3000))
    for number in range(5):
        assert get_numbers(lines, f"worker{number}") == list(range(300))
    # Who came last begins with what was published after it was there.
    assert late.finish() == ["end after", "missed 0 False"]


def test_a_stopped_listener_holds_nobody_up_and_misses_nothing_that_has_room(crowd: Crowd) -> None:
    stopped, other = crowd.listen(), crowd.listen()
    stopped.kill(signal.SIGSTOP)
    publisher = crowd.publish("one", 2000)
    publisher.go()
    publisher.finish()
    publish(crowd.folder, "end", "end")
    assert get_numbers(other.finish(), "one") == list(range(2000))
    stopped.kill(signal.SIGCONT)
    assert get_numbers(stopped.finish(), "one") == list(range(2000))


def test_who_is_too_far_behind_is_told(crowd: Crowd) -> None:
    stopped = crowd.listen(log_bytes=2 * 1024 * 1024)
    stopped.kill(signal.SIGSTOP)
    publish(crowd.folder, "large", *["x" * 10_000] * 400, "end")
    stopped.kill(signal.SIGCONT)
    *_, last = stopped.finish()
    _, missed, overflowed = last.split()
    assert 150 < int(missed) < 400
    assert overflowed == "True"


def test_a_process_that_is_stopped_while_it_writes_holds_nobody_up(crowd: Crowd) -> None:
    listener = crowd.listen()
    publish(crowd.folder, "before", *range(10))
    stopped = crowd.publish("stopped", 3, role="stop_inside")
    stopped.go()
    _wait_until_stopped(stopped)
    began = time.monotonic()
    publisher = crowd.publish("one", 500)
    publisher.go()
    publisher.finish()
    assert time.monotonic() - began < 10
    late = crowd.listen()
    stopped.kill(signal.SIGCONT)
    stopped.finish()
    publish(crowd.folder, "end", "end")
    lines = listener.finish()
    assert get_numbers(lines, "before") == list(range(10))
    assert get_numbers(lines, "one") == list(range(500))
    assert sorted(set(get_numbers(lines, "stopped"))) == [0, 1, 2]
    assert lines[-1] == "missed 0 False"
    assert get_numbers(late.finish(), "stopped") == [0, 1, 2]
    assert [path.name for path in crowd.folder.glob("events-*")] == ["events-2.log"]


def _wait_until_stopped(process: Process) -> None:
    give_up_at = time.monotonic() + 10
    status = Path(f"/proc/{process.process.pid}/stat")
    while status.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "T":
        if time.monotonic() > give_up_at:
            raise RuntimeError("it does not stop")
        time.sleep(0.01)
