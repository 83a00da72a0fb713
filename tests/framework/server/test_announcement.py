from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from framework.server.announcement import Announcement, build_url

LINKS = {"page": "http://127.0.0.1:8000/", "docs": "README.md"}


def test_a_person_reads_aligned_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Announcement("slipway 1.2", LINKS, console=True).publish(4)
    assert capsys.readouterr().out == (
        "\n  slipway 1.2 is up, 4 workers\n\n  page  http://127.0.0.1:8000/\n  docs  README.md\n\n"
    )


def test_one_worker_is_not_several(capsys: pytest.CaptureFixture[str]) -> None:
    Announcement("slipway 1.2", LINKS, console=True).publish(1)
    assert "is up, 1 worker\n" in capsys.readouterr().out


def test_a_machine_reads_one_event() -> None:
    with capture_logs() as events:
        Announcement("slipway 1.2", LINKS, console=False).publish(4)
    (event,) = events
    assert event["event"] == "The service is up"
    assert event["workers"] == 4
    assert event["page"] == "http://127.0.0.1:8000/"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("example.org", "http://example.org:80"),
    ],
)
def test_the_address_can_be_opened_on_this_machine(host: str, url: str) -> None:
    assert build_url(host, 80) == url
