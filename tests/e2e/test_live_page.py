"""The live page as people see it: four workers, a job worker, several tabs of a real browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, Page
from tests.e2e.service import GUNICORN, ROOT, Service

WORKERS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    env = {
        "DEMO": "1",
        "WEB_CONCURRENCY": str(WORKERS),
        "JOBS_URL": f"sqlite:///{folder}/jobs.sqlite",
        "CHANNELS_URL": f"unix://{folder}/channels",
    }
    with Service(folder, (*GUNICORN, "app.main:app"), env) as running:
        yield running.wait_until_up()


@pytest.fixture
def job_worker(folder: Path) -> Iterator[None]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "deploy.worker"],
        cwd=ROOT,
        env={
            "PATH": "",
            "JOBS_URL": f"sqlite:///{folder}/jobs.sqlite",
            "JOBS_METRICS_PORT": "0",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    yield
    worker.terminate()
    worker.wait(20)


@pytest.fixture
def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}/live"


def read(page: Page, selector: str) -> str:
    text: str = page.evaluate(f"document.querySelector({selector!r}).textContent")
    return text


def open_tab(browser: Browser, stack: ExitStack, address: str) -> Page:
    page = stack.enter_context(browser.open_page())
    page.visit(address)
    page.wait_until("document.getElementById('counter-slot').textContent !== '-'")
    return page


def test_every_tab_on_every_worker_sees_the_same_number(browser: Browser, address: str) -> None:
    with ExitStack() as stack:
        tabs = [open_tab(browser, stack, address)]
        slots = {read(tabs[0], "#counter-slot")}
        for _ in range(50):
            # The kernel chooses the worker of a connection; another one has to take part.
            with ExitStack() as attempt:
                tab = open_tab(browser, attempt, address)
                if read(tab, "#counter-slot") not in slots:
                    stack.push(attempt.pop_all())
                    tabs.append(tab)
                    break
        assert len(tabs) == 2, "one worker takes all connections"
        begin = int(read(tabs[1], "#number"))
        for tab in (*tabs, tabs[0]):
            tab.evaluate("document.getElementById('press').click()")
        for tab in tabs:
            tab.wait_until(f"document.getElementById('number').textContent === '{begin + 3}'")
        assert [tab.complaints for tab in tabs] == [[], []]


def test_the_clock_goes(browser: Browser, address: str) -> None:
    with ExitStack() as stack:
        tab = open_tab(browser, stack, address)
        tab.wait_until("document.getElementById('time').textContent !== '-'")
        before = read(tab, "#time")
        tab.wait_until(f"document.getElementById('time').textContent !== '{before}'")
        assert read(tab, "#clock-slot") in {str(slot) for slot in range(WORKERS)}


@pytest.mark.timeout(60)
def test_a_job_shows_how_far_it_is_and_ends(
    browser: Browser, address: str, job_worker: None
) -> None:
    with ExitStack() as stack:
        tab = open_tab(browser, stack, address)
        tab.evaluate("document.getElementById('start').click()")
        tab.wait_until("(v => v > 0 && v < 1)(document.getElementById('progress').value)")
        tab.wait_until("document.getElementById('progress').value === 1")
        tab.wait_until("document.getElementById('job').textContent === 'The job is succeeded.'")
        assert tab.complaints == []
