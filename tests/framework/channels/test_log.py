"""The ring in a file: records, their order, and what happens when it is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from framework.channels import _log
from framework.channels._log import EventLog

CAPACITY = 1000


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[], EventLog]]:
    logs = []

    def open_one() -> EventLog:
        logs.append(EventLog.open_latest(tmp_path, CAPACITY))
        return logs[-1]

    yield open_one
    for log in logs:
        log.close()


def read_all(log: EventLog) -> list[bytes]:
    frames = []
    while (record := log.read()) is not None:
        frames.append(record.frame)
    return frames


def append(log: EventLog, frame: bytes) -> int:
    record_id = log.append(frame)
    if record_id is None:
        raise RuntimeError("the log is locked")
    return record_id


def test_who_opens_it_reads_what_is_there_and_what_comes(open_log: Callable[[], EventLog]) -> None:
    writer = open_log()
    first = append(writer, b"one")
    reader = open_log()
    assert read_all(reader) == [b"one"]
    assert append(reader, b"two") == first + 1
    assert read_all(reader) == [b"two"]
    assert read_all(writer) == [b"one", b"two"]


def test_one_record_may_fill_it(open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    largest = bytes(CAPACITY - 16)
    for _ in range(3):
        append(log, largest)
        assert read_all(log) == [largest]


def test_who_is_too_slow_is_told_how_much_it_has_missed(open_log: Callable[[], EventLog]) -> None:
    log, slow = open_log(), open_log()
    for number in range(100):
        append(log, b"%03d" % number + bytes(97))
    record = slow.read()
    assert record is not None
    rest = read_all(slow)
    assert record.missed == 100 - 1 - len(rest)
    assert int(record.frame[:3]) == record.missed
    assert int(rest[-1][:3]) == 99


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(min_value=0, max_value=CAPACITY - 16), max_size=40), data=st.data()
)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer = EventLog.open_latest(folder, CAPACITY)
    reader = EventLog.open_latest(folder, CAPACITY)
    written: list[bytes] = []
    place = 0
    for number, size in enumerate(sizes):
        written.append(number.to_bytes(2, "little")[: min(size, 2)] + b"x" * max(size - 2, 0))
        append(writer, written[-1])
        if data.draw(st.booleans()):
            continue
        while (record := reader.read()) is not None:
            place += record.missed
            assert record.frame == written[place]
            place += 1
        assert place == len(written)
    writer.close()
    reader.close()


def test_a_locked_log_takes_nothing(tmp_path: Path, open_log: Callable[[], EventLog]) -> None:
    log, other = open_log(), open_log()
    assert other._lock()
    assert log.append(b"x") is None
    assert log.join() is None
    other._unlock()
    assert log.append(b"x") is not None
    assert log.join() == 1


def test_a_half_written_record_does_not_count(open_log: Callable[[], EventLog]) -> None:
    log, reader = open_log(), open_log()
    append(log, b"one")
    log._paste(log._numbers[3], b"half a record of a writer that was killed")
    assert read_all(reader) == [b"one"]
    append(log, b"two")
    assert read_all(reader) == [b"two"]


def test_a_record_that_is_not_all_there_is_waited_for(open_log: Callable[[], EventLog]) -> None:
    log, reader = open_log(), open_log()
    append(log, b"one")
    place = log._numbers[3] - 1
    log._paste(place, b"?")
    assert read_all(reader) == []
    assert reader.has_more
    log._paste(place, b"e")
    assert read_all(reader) == [b"one"]


def test_another_log_takes_its_place(tmp_path: Path, open_log: Callable[[], EventLog]) -> None:
    log = open_log()
    last = append(log, b"one")
    log.retire(tmp_path)
    log.retire(tmp_path)  # as another process might do at the same time
    assert log.is_retired()
    successor = open_log()
    assert (successor.number, successor.is_retired()) == (2, False)
    assert append(successor, b"two") > last
    assert read_all(successor) == [b"two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events-2.log"]


def test_ids_of_a_successor_are_above_those_of_a_log_that_was_made_meanwhile(
    tmp_path: Path, open_log: Callable[[], EventLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_ID_GAP", 1)
    log = open_log()
    (tmp_path / "events-1.log").unlink()
    assert log.is_gone
    last = append(open_log(), b"of those who cannot see the other one")
    log.retire(tmp_path)
    assert append(open_log(), b"of all") > last


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events-1.log").write_bytes(bytes(10_000))
    with pytest.raises(RuntimeError, match="no log of channels: remove it"):
        EventLog.open_latest(tmp_path, CAPACITY)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        EventLog.open_latest(tmp_path, CAPACITY).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
