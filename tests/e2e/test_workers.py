"""The life of master and workers, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, wait_for


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as running:
        yield running.wait_until_up()


def read_metric(service: Service, name: str) -> float:
    wait_for(lambda: service.count("metrics served") >= 1, "the exporter serves")
    time.sleep(1.1)  # a scrape is kept for a second
    text = service.get("/metrics", port=service.metrics_port)[1].decode()
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def test_workers_have_slots_from_0_and_know_how_many_they_are(service: Service) -> None:
    assert sorted(service.workers()) == [0, 1]
    assert service.ask()["workers"] == 2
    assert service.ask()["readiness"] == "ready"


def test_a_killed_worker_is_replaced_and_the_new_one_takes_its_slot(service: Service) -> None:
    before = service.workers()
    os.kill(before[1], signal.SIGKILL)
    wait_for(lambda: service.count("Worker 1 serves") == 2, "the worker is replaced")
    after = service.workers()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_reload_replaces_every_worker_without_sharing_slots(service: Service) -> None:
    before = service.workers()
    service.signal(signal.SIGHUP)
    wait_for(lambda: service.count("Finished server process") == 2, "the old workers are gone")
    after = service.workers()
    assert not set(after.values()) & set(before.values())
    # One more than there are workers, as one is started before another is stopped.
    assert sorted(after) == [0, 2]
    service.signal(signal.SIGHUP)
    wait_for(lambda: service.count("Finished server process") == 4, "the old workers are gone")
    assert len(service.workers()) == 2
    assert max(service.workers()) <= 2
    assert service.count("The service is up") == 1


def test_a_reload_of_code_that_does_not_start_leaves_the_old_workers(
    service: Service, tmp_path: Path
) -> None:
    before = service.workers()
    (tmp_path / "fail-import").touch()
    service.signal(signal.SIGHUP)
    wait_for(lambda: service.count("A worker could not start") >= 2, "new workers fail")
    assert service.workers() == before
    (tmp_path / "fail-import").unlink()
    wait_for(lambda: service.count("Finished server process") == 2, "the old workers are gone")
    assert not set(service.workers().values()) & set(before.values())


def test_one_more_worker_has_the_next_slot_and_one_less_frees_it(service: Service) -> None:
    service.signal(signal.SIGTTIN)
    wait_for(lambda: service.count("Worker 2 serves") == 1, "a third worker")
    # The kernel chooses who answers: all of them do, but not in every thirty requests.
    wait_for(lambda: sorted(service.workers()) == [0, 1, 2], "answers of all three")
    assert read_metric(service, "sample_alive") == 3
    service.signal(signal.SIGTTOU)
    wait_for(lambda: service.count("Finished server process") == 1, "one worker less")
    wait_for(lambda: len(service.workers()) == 2, "answers of the other two")
    wait_for(lambda: read_metric(service, "sample_alive") == 2, "the gauge forgets the worker")


def test_metrics_add_up_over_workers_and_survive_their_death(service: Service) -> None:
    for _ in range(20):
        service.ask()
    assert read_metric(service, "sample_answers_total") == 20
    pids = service.workers()
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: service.count("Worker 0 serves") == 2, "the worker is replaced")
    service.ask()
    assert read_metric(service, "sample_answers_total") == service.answered
    assert len(list(service.run_directory.glob("counter_[0-9]*.db"))) == 2


def test_a_stop_lets_requests_end_and_applications_shut_down(service: Service) -> None:
    answers: list[int] = []
    request = threading.Thread(target=lambda: answers.append(service.get("/slow")[0]))
    request.start()
    time.sleep(0.5)
    assert service.run_directory.is_dir()
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    request.join()
    assert answers == [200]
    markers = list(service.folder.glob("shutdown-*"))
    assert [marker.read_text() for marker in markers] == ["draining", "draining"]
    assert not service.run_directory.exists()
    # Workers end by themselves, not by the signal: gunicorn's hooks and atexit have run.
    assert service.count("was sent SIGTERM") == 0
    assert service.count("Error while closing socket") == 0
    assert [event for event in service.events if event["level"] not in {"debug", "info"}] == []
    assert service.find_processes() == []


def test_a_request_that_does_not_end_is_cut_off_within_the_grace(tmp_path: Path) -> None:
    with Service(tmp_path, env={"GRACEFUL_TIMEOUT": "3", "WORKER_TIMEOUT": "4"}) as service:
        service.wait_until_up()
        request = threading.Thread(target=_ignore_end, args=(service,))
        request.start()
        time.sleep(0.3)
        begun = time.monotonic()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        request.join()
        assert 1.5 < time.monotonic() - begun < 3.5
        assert len(list(tmp_path.glob("shutdown-*"))) == 2
        assert "WORKER TIMEOUT" not in service.output


def _ignore_end(service: Service) -> None:
    with contextlib.suppress(OSError):
        service.get("/endless")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_waits_for_no_request_but_shuts_applications_down(
    service: Service, number: signal.Signals
) -> None:
    request = threading.Thread(target=_ignore_end, args=(service,))
    request.start()
    time.sleep(0.3)
    begun = time.monotonic()
    service.signal(number)
    assert service.wait() == 0
    request.join()
    assert time.monotonic() - begun < 3
    assert len(list(service.folder.glob("shutdown-*"))) == 2


def test_a_worker_is_replaced_after_its_requests_with_a_full_shutdown(tmp_path: Path) -> None:
    limits = {"MAX_REQUESTS": "5", "MAX_REQUESTS_JITTER": "0", "WEB_CONCURRENCY": "1"}
    with Service(tmp_path, env=limits) as service:
        service.wait_until_up()
        for _ in range(5):
            service.ask()
        wait_for(lambda: service.count("Worker 1 serves") == 1, "another worker is there first")
        wait_for(lambda: service.count("Finished server process") == 1, "the old one is gone")
        assert [path.read_text() for path in tmp_path.glob("shutdown-*")] == ["draining"]
        assert service.count("exited with code") == 0


def test_a_worker_that_has_grown_is_replaced(tmp_path: Path) -> None:
    with Service(tmp_path, env={"MAX_RSS": "1000000", "WEB_CONCURRENCY": "1"}) as service:
        service.wait_until_up()
        wait_for(lambda: service.count("bytes of memory, more than 1000000"), "it is noticed")
        wait_for(lambda: service.count("Worker 1 serves") == 1, "another worker is there first")
        wait_for(lambda: service.count("Finished server process") == 1, "the old one is gone")


def test_a_first_start_that_fails_says_why_once_and_ends(tmp_path: Path) -> None:
    (tmp_path / "fail-startup").touch()
    with Service(tmp_path) as service:
        assert service.wait() == 3
        reports = [event for event in service.events if event["level"] == "critical"]
        assert [report["event"] for report in reports] == [
            "The application could not start: ConnectionError: the database is away"
        ]
        assert not service.run_directory.exists()


def test_an_application_that_cannot_be_imported_says_why_once_and_ends(tmp_path: Path) -> None:
    (tmp_path / "fail-import").touch()
    with Service(tmp_path) as service:
        assert service.wait() == 3
        reports = [event for event in service.events if event["level"] == "critical"]
        assert [report["event"] for report in reports] == [
            "The application could not start: ImportError: the sample was told not to load"
        ]


@pytest.mark.parametrize("fault", ["fail-startup", "fail-import"])
def test_a_worker_that_cannot_start_again_does_not_stop_the_others(
    service: Service, fault: str
) -> None:
    (service.folder / fault).touch()
    survivor, victim = service.workers().values()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: service.count("A worker could not start") >= 2, "two tries")
    assert service.ask()["pid"] == survivor
    (service.folder / fault).unlink()
    wait_for(lambda: len(service.workers()) == 2, "all workers are back")


def test_workers_stop_when_their_master_has_died(service: Service) -> None:
    wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    wait_for(lambda: service.find_processes() == [], "workers and exporter end")
    assert len(list(service.folder.glob("shutdown-*"))) == 2


def test_a_dead_exporter_is_started_again_when_a_worker_comes(service: Service) -> None:
    wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
    exporters = [event["pid"] for event in service.events if event["event"] == "metrics served"]
    os.kill(exporters[0], signal.SIGKILL)
    os.kill(service.workers()[0], signal.SIGKILL)
    wait_for(lambda: service.count("metrics served") == 2, "the exporter serves again")


def test_an_upgrade_has_two_masters_with_slots_of_their_own(service: Service) -> None:
    for _ in range(10):
        service.ask()
    service.signal(signal.SIGUSR2)
    wait_for(lambda: service.count("The service is up") == 2, "the second master serves")
    assert set(service.workers()) <= {0, 1, 1000, 1001}
    starts = [event for event in service.events if "Starting gunicorn" in event["event"]]
    new_master = starts[1]["pid"]
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    wait_for(lambda: service.count("metrics served") == 2, "the port of metrics is handed over")
    assert sorted(service.workers()) == [1000, 1001]
    assert read_metric(service, "sample_answers_total") == service.answered
    os.kill(new_master, signal.SIGTERM)
    wait_for(lambda: service.find_processes() == [], "everything ends")
