"""That headers, nonces, cookies and the fallback do in a real browser what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Browser, Page
from tests.e2e.toolkit import build_site
from tests.framework.server.http.serving import Running, build_protocol, serve


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Running]:
    with serve(build_site(folder), build_protocol()) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.open_page() as opened:
        yield opened


@pytest.fixture
def address(site: Running) -> str:
    return f"http://localhost:{site.port}"


def read_header(response: dict[str, Any], name: str) -> str:
    fields = {key.lower(): value for key, value in response["headers"].items()}
    return str(fields[name])


def test_only_the_script_with_the_nonce_of_the_answer_runs(page: Page, address: str) -> None:
    response = page.visit(f"{address}/page")

    page.evaluate("document.querySelector('button').click()")
    ran = page.evaluate("[window.allowed, window.inline, window.guessed, window.handler]")
    assert ran == [True, None, None, None]
    page.wait_for_event(
        lambda: sum("Content Security Policy" in text for text in page.complaints) == 3
    )
    nonce = page.evaluate("document.querySelector('script').nonce")
    assert f"'nonce-{nonce}'" in read_header(response, "content-security-policy")
    page.visit(f"{address}/page")
    assert page.evaluate("document.querySelector('script').nonce") != nonce


def test_what_a_template_is_given_is_text(page: Page, address: str) -> None:
    page.visit(f"{address}/page")
    assert page.evaluate("document.querySelector('p').innerText") == "<b>Ada</b>"


def test_a_page_cannot_be_framed(page: Page, address: str) -> None:
    page.visit(f"{address}/embed")
    page.wait_for_event(
        lambda: any(
            "frame-ancestors" in text or "X-Frame-Options" in text for text in page.complaints
        )
    )


def test_a_session_lives_in_a_cookie_that_scripts_cannot_read(page: Page, address: str) -> None:
    page.visit(f"{address}/page")
    visits = [page.evaluate("fetch('/visit').then(r => r.json())") for _ in range(3)]
    assert visits == [1, 2, 3]
    assert page.evaluate("document.cookie") == ""
    [cookie] = page.command("Network.getCookies", urls=[address])["cookies"]
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("session", True, True)
    assert cookie["sameSite"] == "Lax"


def list_statuses(page: Page) -> list[int]:
    """The statuses of all responses, also of those that the page may not read."""
    return [
        event["params"]["statusCode"]
        for event in page.events
        if event["method"] == "Network.responseReceivedExtraInfo"
    ]


def test_a_page_of_another_origin_can_change_nothing(page: Page, address: str) -> None:
    page.visit(f"{address}/page")
    same = "fetch('/change', {method: 'POST'}).then(r => r.status)"
    assert page.evaluate(same) == 200

    # Another site to the browser, the same server to the test.
    page.visit(address.replace("localhost", "127.0.0.1") + "/embed")
    sent = f"fetch('{address}/change', {{method: 'POST', mode: 'no-cors'}}).then(() => 1, () => 0)"
    assert page.evaluate(sent) == 0, "Cross-Origin-Resource-Policy keeps the answer from the page"
    page.wait_for_event(lambda: list_statuses(page)[-1:] == [403])


def test_a_single_page_application_answers_for_all_its_places(page: Page, address: str) -> None:
    response = page.visit(f"{address}/spa/deep/link")

    assert response["status"] == 200
    page.wait_until("document.title === 'spa at /spa/deep/link'")
    assets = {
        event["params"]["response"]["url"].removeprefix(address): event["params"]["response"]
        for event in page.events
        if event["method"] == "Network.responseReceived"
    }
    assert "immutable" in read_header(assets["/spa/app.3f2a91bc.js"], "cache-control")
    assert "immutable" not in read_header(response, "cache-control")
    for missing in ("/spa/missing.js", "/spa/.env"):
        status = page.evaluate(f"fetch('{missing}').then(r => r.status)")
        assert status == 404, missing
