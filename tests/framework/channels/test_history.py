"""What a process keeps of the topics."""

from __future__ import annotations

import pytest

from framework.channels import Event, _history
from framework.channels._history import History


def build(topic: str, event_id: int, raw: bytes = b"") -> Event:
    return Event(topic, event_id, "bytes", raw)


def find_ids(history: History, *topics: str, prefixes: tuple[str, ...] = ()) -> list[int]:
    return [event.id for event in history.find(topics, prefixes, after=None, last=None)]


def test_each_topic_has_its_own() -> None:
    history = History(2)
    for number, topic in enumerate("aabab"):
        history.add(build(topic, number))
    assert find_ids(history, "a") == [1, 3]
    assert find_ids(history, "b") == [2, 4]
    assert find_ids(history, "c") == []
    assert find_ids(history, "b", "a", prefixes=("",)) == [1, 2, 3, 4]


def test_there_may_be_none() -> None:
    history = History(0)
    history.add(build("a", 1))
    assert find_ids(history, "a") == []
    assert len(history) == 0


def test_topics_that_are_quiet_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_history, "MAX_CHANNEL_HISTORY_TOPICS", 2)
    history = History(5)
    for number, topic in enumerate(["a", "b", "a", "c", "d"]):
        history.add(build(topic, number))
    assert len(history) == 2
    assert find_ids(history, prefixes=("",)) == [3, 4]


def test_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_history, "MAX_CHANNEL_HISTORY_BYTES", 100)
    history = History(100)
    for number in range(50):
        history.add(build("ab"[number % 2], number, bytes(10)))
    found = find_ids(history, prefixes=("",))
    assert len(found) <= 10
    assert found[-1] == 49
    assert history._bytes == 10 * len(found)
    history.add(build("large", 50, bytes(101)))
    assert (len(history), history._bytes) == (0, 0)
