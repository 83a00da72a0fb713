"""The live page, without a server and without a worker for its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from app.system.live.counter import SharedCounter
from framework.testclient import TestClient
from tests.clients import ClientFactory


@pytest.fixture
def live(client_factory: ClientFactory, settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    demo = replace(
        settings,
        demo=True,
        service_name=tmp_path.name,
        jobs_url=f"sqlite:///{tmp_path}/jobs.sqlite",
        channels_url=f"unix://{tmp_path}/channels",
    )
    with client_factory(create_app(demo)) as client:
        yield client


def test_it_is_there_in_development_and_demonstrations_only(client: TestClient) -> None:
    assert client.get("/live").status_code == 404


def test_the_page_loads_nothing_of_others(live: TestClient) -> None:
    page = live.get("/live")
    assert page.status_code == 200
    assert "https://" not in page.text
    for name in ("live.js", "live.css", "icon.svg"):
        assert live.get(f"/live/page/{name}").status_code == 200


def test_every_tab_sees_what_any_tab_counts(live: TestClient) -> None:
    with (
        live.websocket_connect("/live/counter") as one,
        live.websocket_connect("/live/counter") as two,
    ):
        begin = one.receive_json()["number"]
        assert two.receive_json()["number"] == begin
        one.send_text("+1")
        assert one.receive_json()["number"] == begin + 1
        assert two.receive_json()["number"] == begin + 1
        two.send_text("anything else")
        two.send_text("+1")
        assert one.receive_json()["number"] == begin + 2


def test_a_job_is_accepted_and_waits_for_a_worker(live: TestClient) -> None:
    answer = live.post("/live/jobs")
    assert answer.status_code == 202
    assert live.get(f"/live/jobs/{answer.json()['id']}").json()["status"] == "waiting"
    assert live.get("/live/jobs/unknown").status_code == 404


def test_no_two_count_to_the_same_number(tmp_path: Path) -> None:
    counter = SharedCounter(tmp_path / "folder" / "counter")
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: counter.add(1), range(200)))
    assert sorted(numbers) == list(range(1, 201))
    assert counter.add(0) == 200
