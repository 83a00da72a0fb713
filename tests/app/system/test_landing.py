"""The landing page: what it says, where it links to, and that its policy allows all of it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.main import create_app
from app.settings import Settings
from framework.testclient import TestClient
from tests.clients import ClientFactory

METRICS = "http://127.0.0.1:9000/metrics"


class PageParser(HTMLParser):
    """Collects links, inline sources and everything a browser would load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.sources: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            elif tag == "a" and name == "href":
                self.links.append(value or "")
            elif name in {"src", "srcset", "href", "action", "data"}:
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in {"style", "script"}:
            self.sources[self._inside] = self.sources.get(self._inside, "") + data


def read_page(client: TestClient) -> str:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response.text


def test_the_page_says_what_runs(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_WORKERS", "3")
    worker = client.get("/worker").json()

    page = read_page(client)

    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Afloat, with 3 workers" in text
    assert "name Testing" in text
    assert "git revision 3f9c1ab" in text
    assert f"slot {worker['slot']}, pid {worker['pid']}" in text
    assert re.search(r"up for \d+ ", text)
    assert "It is ready" in text
    assert "$" not in page


def test_one_worker_is_not_several(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_WORKERS", raising=False)

    assert "<b>1</b> worker." in read_page(client)


def test_the_page_is_not_stored_and_ends_its_connection(client: TestClient) -> None:
    """A browser would otherwise keep the connection, and with it the worker."""
    headers = client.get("/").headers

    assert headers["cache-control"] == "no-store"
    assert headers["connection"] == "close"


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    sources = PageParser(read_page(client)).sources

    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(sources[tag].encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "*" not in policy


def test_the_page_loads_nothing_and_has_no_inline_handlers(client: TestClient) -> None:
    page = PageParser(read_page(client))

    assert [source for source in page.loads if not source.startswith("data:")] == []
    assert page.inline == []


def test_every_link_into_the_service_works(client: TestClient) -> None:
    links = PageParser(read_page(client)).links

    assert {"/livez", "/readyz", "/version", "/readme"} <= set(links)
    for link in links:
        if link.startswith("/"):
            assert client.get(link).status_code == 200, link


@pytest.mark.parametrize(
    ("settings", "base_url", "link"),
    [
        (Settings(), "http://127.0.0.1:8000", METRICS),
        (Settings(), "http://localhost:8000", METRICS),
        (Settings(metrics_host="localhost"), "http://[::1]:8000", "http://localhost:9000/metrics"),
        (Settings(metrics_host="::1"), "http://localhost", "http://[::1]:9000/metrics"),
        (Settings(metrics_host="0.0.0.0"), "http://box.example", "http://box.example:9000/metrics"),
        (Settings(metrics_host="10.0.0.5"), "http://box.example", "http://10.0.0.5:9000/metrics"),
        (Settings(), "http://box.example:8000", None),
        (Settings(metrics_port=0), "http://127.0.0.1:8000", None),
    ],
)
def test_metrics_are_linked_where_the_browser_can_reach_them(
    client_factory: ClientFactory, settings: Settings, base_url: str, link: str | None
) -> None:
    settings = replace(settings, allowed_hosts=("box.example",))
    client = client_factory(create_app(settings), base_url=base_url)

    links = PageParser(read_page(client)).links

    assert [found for found in links if "metrics" in found] == ([link] if link else [])
    assert "metrics" in read_page(client)


def test_what_shows_the_metrics_is_linked_where_it_is_configured(
    client_factory: ClientFactory,
) -> None:
    grafana, prometheus = "https://grafana.example.com/d/service", "http://127.0.0.1:9090"
    settings = Settings(grafana_url=grafana, prometheus_url=prometheus)

    client = client_factory(create_app(settings))
    links = PageParser(read_page(client)).links
    policy = client.get("/").headers["content-security-policy"]
    plain = read_page(client_factory(create_app(Settings())))

    assert {grafana, prometheus} <= set(links)
    # The browser asks them whether they run.
    asked = "connect-src 'self' https://grafana.example.com http://127.0.0.1:9090;"
    assert asked in policy
    assert "Grafana" not in plain
    assert "Prometheus</code>" not in plain


@pytest.mark.parametrize("host", ['"><script>alert(1)</script>', "a b", "", "[", "x" * 300])
def test_a_host_from_the_client_cannot_write_into_the_page(
    client_factory: ClientFactory, host: str
) -> None:
    client = client_factory(create_app(Settings(metrics_host="0.0.0.0")))

    response = client.get("/", headers={"Host": host})

    assert response.status_code in {200, 400}
    assert "alert" not in response.text
