from __future__ import annotations

from framework.server.boot import Boot


def test_the_last_worker_of_the_first_start_completes_it_once() -> None:
    boot = Boot(3)
    assert not boot.has_been_up
    assert [boot.record_start() for _ in range(5)] == [False, False, True, False, False]
    assert boot.has_been_up


def test_a_single_worker_completes_the_start() -> None:
    assert Boot(1).record_start()


def test_one_of_many_may_report() -> None:
    boot = Boot(4)
    assert [boot.claim_report() for _ in range(4)] == [True, False, False, False]


def test_the_wait_grows_with_each_failure_and_starts_anew_after_a_success() -> None:
    boot = Boot(2)
    waits = [boot.record_failure() for _ in range(20)]
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(waits[5:]) == {15.0}
    boot.record_start()
    assert boot.record_failure() == 0.5
