"""Every signal that gunicorn documents, to a master and its workers: lines, exit statuses, times."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, wait_for

QUICK_SECONDS = 2.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as running:
        yield running.wait_until_up()


def keep_busy(service: Service, path: str = "/endless") -> threading.Thread:
    def ask() -> None:
        with contextlib.suppress(OSError):
            service.get(path)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.4)
    return thread


def is_pending(service: Service, number: signal.Signals) -> bool:
    """Say whether a signal waits for the master: a second one of its kind would be lost."""
    status = Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8")
    (pending,) = re.findall(r"^ShdPnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(pending, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_an_idle_service_ends_at_once_with_its_lifespan(
    service: Service, number: signal.Signals
) -> None:
    begun = time.monotonic()
    service.signal(number)
    assert service.wait() == 0
    drain = 1.0 if number == signal.SIGTERM else 0.0
    assert time.monotonic() - begun < QUICK_SECONDS + drain
    assert len(list(service.folder.glob("shutdown-*"))) == 2
    assert service.count(f"Handling signal: {number.name[3:].lower()}") == 1
    assert service.count("Shutting down: Master") == 1
    assert service.count("Finished server process") == 2
    assert service.find_processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("pause", [0.05, 0.5])
def test_a_second_signal_ends_fast(service: Service, number: signal.Signals, pause: float) -> None:
    request = keep_busy(service)
    begun = time.monotonic()
    service.signal(signal.SIGTERM)
    wait_for(lambda: not is_pending(service, signal.SIGTERM), "the first has arrived")
    time.sleep(pause)
    service.signal(number)
    assert service.wait() == 0
    assert time.monotonic() - begun < pause + QUICK_SECONDS + 1
    request.join()
    assert len(list(service.folder.glob("shutdown-*"))) == 2
    assert service.find_processes() == []


def test_a_second_signal_ends_a_quick_stop_that_hangs(service: Service) -> None:
    (service.folder / "hang-shutdown").touch()
    begun = time.monotonic()
    service.signal(signal.SIGINT)
    wait_for(lambda: not is_pending(service, signal.SIGINT), "the first has arrived")
    time.sleep(0.5)
    service.signal(signal.SIGINT)
    assert service.wait() == 0
    assert time.monotonic() - begun < 4
    assert list(service.folder.glob("shutdown-*")) == []
    assert service.find_processes() == []


def test_a_terminal_sends_ctrl_c_to_all_processes_at_once(service: Service) -> None:
    begun = time.monotonic()
    os.killpg(service.pid, signal.SIGINT)
    assert service.wait() == 0
    assert time.monotonic() - begun < QUICK_SECONDS
    assert len(list(service.folder.glob("shutdown-*"))) == 2
    assert "Traceback" not in service.output


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGWINCH])
def test_signals_about_log_files_and_windows_change_nothing(
    service: Service, number: signal.Signals
) -> None:
    before = service.workers()
    request = keep_busy(service, "/slow")
    service.signal(number)
    for pid in before.values():
        os.kill(pid, number)
    request.join()
    line = f"Handling signal: {number.name[3:].lower()}"
    wait_for(lambda: service.count(line) == 1, "the master has handled it")
    assert service.workers() == before


def test_the_last_worker_stays(service: Service) -> None:
    service.signal(signal.SIGTTOU)
    wait_for(lambda: service.count("Handling signal: ttou") == 1, "it is handled")
    service.signal(signal.SIGTTOU)
    wait_for(lambda: service.count("Handling signal: ttou") == 2, "it is handled")
    wait_for(lambda: service.count("Finished server process") == 1, "one worker less")
    time.sleep(0.3)
    assert len(service.workers()) == 1


def test_a_worker_told_to_end_orderly_is_replaced(service: Service) -> None:
    before = service.workers()
    os.kill(before[0], signal.SIGTERM)
    wait_for(lambda: service.count("Worker 0 serves") == 2, "the worker is replaced")
    assert (service.folder / f"shutdown-{before[0]}").read_text() == "draining"
    assert service.count("exited with code") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_worker_told_to_end_quickly_waits_for_no_request(
    service: Service, number: signal.Signals
) -> None:
    requests = [keep_busy(service) for _ in range(4)]
    before = service.workers()
    for pid in before.values():
        os.kill(pid, number)
    wait_for(lambda: len(list(service.folder.glob("shutdown-*"))) == 2, "both have ended")
    wait_for(lambda: service.count(" serves") == 4, "both are replaced")
    for request in requests:
        request.join()


def test_a_reload_and_an_upgrade_are_announced(service: Service) -> None:
    service.signal(signal.SIGHUP)
    wait_for(lambda: service.count("Finished server process") == 2, "the old workers are gone")
    assert service.count("Handling signal: hup") == 1
    service.signal(signal.SIGUSR2)
    wait_for(lambda: service.count("The service is up") == 2, "the second master serves")
    assert service.count("Handling signal: usr2") == 1
    service.signal(signal.SIGUSR2)
    wait_for(lambda: service.count("USR2 signal ignored. Child exists.") == 1, "it is refused")


class Slots:
    """The slots of the workers that live, looked at again and again; `used` are all that were seen."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.used: set[int] = set()

    def look(self) -> dict[int, int]:
        """The pids of the workers that have served and are alive, by slot."""
        served = {
            (event["worker_slot"], event["pid"])
            for event in self.service.events
            if event["event"].endswith(" serves")
        }
        living = set(self.service.find_processes())
        found = sorted((slot, pid) for slot, pid in served if pid in living)
        slots = dict(found)
        assert len(slots) == len(found), f"two live workers share a slot: {found}"
        self.used |= slots.keys()
        return slots

    def wait_for_rest(self, gone: Iterable[int] = ()) -> dict[int, int]:
        """Wait until there are two workers and none of `gone`."""
        left = set(gone)
        wait_for(lambda: self._is_at_rest(left), "two workers are at rest")
        return self.look()

    def _is_at_rest(self, gone: set[int]) -> bool:
        slots = self.look()
        return len(slots) == 2 and not gone & set(slots.values())


def test_slots_are_kept_and_never_shared(tmp_path: Path) -> None:
    limits = {"MAX_REQUESTS": "80", "MAX_REQUESTS_JITTER": "0", "DRAIN_SECONDS": "0.2"}
    with Service(tmp_path, env=limits) as service:
        service.wait_until_up()
        watch = Slots(service)
        slots = watch.wait_for_rest()
        assert sorted(slots) == [0, 1]
        for _ in range(3):
            service.signal(signal.SIGHUP)
            slots = watch.wait_for_rest(slots.values())
            victim = slots[max(slots)]
            os.kill(victim, signal.SIGKILL)
            after = watch.wait_for_rest([victim])
            assert after.keys() == slots.keys(), "the one in its place has its slot"
            slots = after
        old = set(slots.values())
        while old & set(watch.look().values()):
            service.ask()
        watch.wait_for_rest(old)
        assert watch.used == {0, 1, 2}, "one more than workers, for the one that comes first"
