"""Numbers that others keep, as metrics."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from framework.middleware.admission import Admission
from framework.observability._published import PublishedStatistics
from framework.observability.metrics import http_metrics, publish_statistics
from tests.framework.observability.harness import LogStream


class Statistics(NamedTuple):
    sent: int
    open: int


@pytest.fixture
def published(registry: CollectorRegistry) -> PublishedStatistics:
    return PublishedStatistics(registry)


def test_numbers_are_gauges_and_those_that_only_grow_counters(
    published: PublishedStatistics, registry: CollectorRegistry
) -> None:
    numbers = [Statistics(3, 2), Statistics(10, 1)]
    published.add("rooms", lambda: numbers.pop(0), counters=("sent",))
    published.publish()
    assert registry.get_sample_value("rooms_sent_total") == 3
    assert registry.get_sample_value("rooms_open") == 2
    published.publish()
    assert registry.get_sample_value("rooms_sent_total") == 10
    assert registry.get_sample_value("rooms_open") == 1


def test_sources_of_one_kind_are_told_apart_by_labels(
    published: PublishedStatistics, registry: CollectorRegistry
) -> None:
    for name, used in (("main", 3), ("reports", 4)):
        published.add("database_pool", partial(dict, used=used), labels={"pool": name})
    published.publish()
    value = registry.get_sample_value
    assert value("database_pool_used", {"pool": "main"}) == 3
    assert value("database_pool_used", {"pool": "reports"}) == 4


def test_a_new_source_goes_on_where_the_one_before_has_ended(
    published: PublishedStatistics, registry: CollectorRegistry
) -> None:
    for total in (5, 3):
        published.add("mails", partial(dict, sent=total), counters={"sent"})
        published.publish()
        published.publish()
    assert registry.get_sample_value("mails_sent_total") == 8


def test_a_counter_that_falls_back_is_not_counted_twice_nor_taken_back(
    published: PublishedStatistics, registry: CollectorRegistry
) -> None:
    totals = [5, 2, 4]
    published.add("mails", lambda: {"sent": totals.pop(0)}, counters={"sent"})
    for _ in range(3):
        published.publish()
    assert registry.get_sample_value("mails_sent_total") == 7


def test_who_fails_is_one_line_and_the_others_go_on(
    published: PublishedStatistics, registry: CollectorRegistry, log: LogStream
) -> None:
    def fail() -> dict[str, float]:
        raise LookupError("closed")

    published.add("broken", fail)
    published.add("numberless", lambda: {"name": "text"})  # type: ignore[dict-item]
    published.add("rooms", lambda: {"open": 2})
    published.publish()
    published.publish()
    assert registry.get_sample_value("rooms_open") == 2
    assert [line["prefix"] for line in log.named("statistics not readable")] == [
        "broken",
        "numberless",
    ]


def test_counters_as_one_text_are_refused(published: PublishedStatistics) -> None:
    with pytest.raises(TypeError, match="counters='sent' is one text"):
        published.add("mails", lambda: {"sent": 1}, counters="sent")


@pytest.mark.anyio
async def test_admission_is_such_a_source() -> None:
    value: Any = REGISTRY.get_sample_value
    admission = Admission(1, max_waiting=0)
    before = value("tested_admission_rejected_total") or 0.0
    publish_statistics("tested_admission", admission.statistics, counters=("rejected",))
    await admission.acquire()
    await admission.acquire()
    http_metrics().worker.published.publish()

    assert value("tested_admission_in_flight") == 1
    assert value("tested_admission_rejected_total") == before + 1
