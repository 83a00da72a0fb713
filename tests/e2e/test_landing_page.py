"""The landing page as a person sees it: real workers, a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, Page
from tests.e2e.service import GUNICORN, Service

# Texts of the page and what they stand on.
TEXTS = ("h1", "h1 b", ".lead", "h2", ".slot", ".pid", ".mark", "#told", "dt", "dd", ".links span")
TEXTS_ON_CONTROLS = ("button", ".links a")

# The page has asked the workers and shows their answers.
IS_QUIET = "!document.querySelector('#ask').disabled"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, (*GUNICORN, "app.main:app"), {"GIT_REVISION": "3f9c1ab"}) as running:
        yield running.wait_until_up()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.open_page() as opened:
        yield opened


@pytest.fixture
def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}/"


def read_text(page: Page, selector: str) -> str:
    text: str = page.evaluate(f"document.querySelector({selector!r}).innerText")
    return text


def read_slot(page: Page) -> int:
    return int(page.evaluate("document.querySelector('.here').dataset.slot"))


def parse_colour(text: str) -> tuple[float, float, float]:
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", text)[:3])
    return red, green, blue


def find_contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, 1.4.3)."""
    lights = []
    for colour in (one, other):
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in parse_colour(colour)
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def read_grounds(page: Page, selector: str) -> list[str]:
    """The colours behind an element: of the nearest ancestor that has any, all of a gradient's."""
    found: list[str] = page.evaluate(f"""(() => {{
        for (let node = document.querySelector({selector!r}); node; node = node.parentElement) {{
            const style = getComputedStyle(node);
            if (style.backgroundImage !== "none") return style.backgroundImage.match(/rgb\\([^)]*\\)/g);
            if (!/, 0\\)$/.test(style.backgroundColor)) return [style.backgroundColor];
        }}
        return [];
    }})()""")
    return found


def test_the_page_shows_every_worker_and_the_browser_has_nothing_to_complain_about(
    page: Page, address: str
) -> None:
    page.visit(address)
    page.wait_until(IS_QUIET)
    # One that is given no processor meanwhile is asked once more, as a person would.
    page.evaluate("document.querySelector('.silent') && document.querySelector('#ask').click()")
    page.wait_until(IS_QUIET)

    assert read_text(page, "h1") == "Afloat, with 2 workers."
    assert read_text(page, "dl div:nth-child(3)").split() == ["git", "revision", "3f9c1ab"]
    slots = page.evaluate("[...document.querySelectorAll('.tile')].map(tile => tile.dataset.slot)")
    pids = page.evaluate("[...document.querySelectorAll('.tile')].map(tile => tile.dataset.pid)")
    assert slots == ["0", "1"]
    assert len(set(pids)) == 2
    assert read_text(page, "#told").startswith("2 workers heard from")
    assert page.complaints == []
    assert all(url.startswith(address) for url in page.requested)


def test_every_reload_has_a_connection_of_its_own_and_reaches_other_workers(
    page: Page, address: str
) -> None:
    slots, connections = set(), []
    for _ in range(20):
        connections.append(page.visit(address)["connectionId"])
        slots.add(read_slot(page))
        if slots == {0, 1}:
            break

    assert slots == {0, 1}
    assert len(set(connections)) == len(connections)


def test_asking_again_counts_more_answers(page: Page, address: str) -> None:
    count = "[...document.querySelectorAll('[data-answers]')].reduce((sum, t) => sum + +t.dataset.answers, 0)"
    page.visit(address)
    page.wait_until(IS_QUIET)
    before = page.evaluate(count)

    page.evaluate("document.querySelector('#ask').click()")
    page.wait_until(IS_QUIET)

    assert page.evaluate(count) >= before + 6
    assert page.complaints == []


def test_the_policy_is_in_force(page: Page, address: str) -> None:
    """Also the proof that a violation would be noticed by the other tests."""
    page.visit(address)
    page.wait_until(IS_QUIET)

    page.evaluate("document.body.setAttribute('style', 'color: red')")

    page.wait_for_event(lambda: any("Content Security Policy" in text for text in page.complaints))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_colour_scheme_and_can_be_read_in_it(
    page: Page, address: str, scheme: str
) -> None:
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    page.command("Emulation.setEmulatedMedia", features=media)
    page.visit(address)
    page.wait_until(IS_QUIET)

    [ground] = read_grounds(page, "body")
    assert (sum(parse_colour(ground)) < 1.5) is (scheme == "dark")
    for selector in (*TEXTS, *TEXTS_ON_CONTROLS):
        colour = page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).color")
        for behind in read_grounds(page, selector):
            assert find_contrast(colour, behind) >= 4.5, (selector, colour, behind)


@pytest.mark.parametrize("width", [320, 768, 1920])
def test_nothing_has_to_be_scrolled_sideways(page: Page, address: str, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 768}
    page.command("Emulation.setDeviceMetricsOverride", **size)
    page.visit(address)
    page.wait_until(IS_QUIET)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_tool_that_does_not_answer_is_said_to(
    browser: Browser, tmp_path: Path, service: Service
) -> None:
    running, away = f"http://127.0.0.1:{service.metrics_port}", "http://127.0.0.1:1"
    env = {"GRAFANA_URL": running, "PROMETHEUS_URL": away, "WEB_CONCURRENCY": "1"}
    with (
        Service(tmp_path, (*GUNICORN, "app.main:app"), env) as linking,
        browser.open_page() as page,
    ):
        linking.wait_until_up()
        page.visit(f"http://127.0.0.1:{linking.port}/")
        page.wait_until("document.querySelector('.away')")
        [told] = page.evaluate("[...document.querySelectorAll('.away')].map(li => li.innerText)")

    assert told.split("\n") == ["Prometheus", "does not answer"]
    assert not any("Content Security Policy" in complaint for complaint in page.complaints)


def test_every_link_leads_somewhere(page: Page, address: str) -> None:
    page.visit(address)
    links = page.evaluate("[...document.querySelectorAll('a')].map(link => link.href)")
    assert len(links) >= 5  # and those of the example, as long as there is one

    for link in links:
        assert page.visit(link)["status"] == 200, link
    assert any(link.endswith("/metrics") for link in links)
