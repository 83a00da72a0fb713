"""A headless Chromium, driven through its DevTools protocol."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from websockets.sync.client import ClientConnection, connect

from tests.e2e.service import wait_for

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1200,960",
    "--remote-debugging-port=0",
)
_PATIENCE_SECONDS: Final = 10.0


def find_browser() -> str | None:
    """Return the path of an installed Chromium, None when there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """A browser with a profile of its own in `folder`."""

    def __init__(self, command: str, folder: Path) -> None:
        self._port_file = folder / "DevToolsActivePort"
        self._process = subprocess.Popen(
            [command, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # The session is ours: the browser and all of its helpers.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @contextlib.contextmanager
    def open_page(self) -> Iterator[Page]:
        """Give a new page."""
        wait_for(self._find_port, "the browser listens")
        connection = http.client.HTTPConnection("127.0.0.1", self._find_port(), timeout=10)
        try:
            connection.request("PUT", "/json/new?about:blank")
            target = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = Page(socket)
            yield page
            # A page that stays open keeps its connections, of which a browser has six for a host.
            page.command("Page.close")

    def _find_port(self) -> int:
        lines = self._port_file.read_text().splitlines() if self._port_file.exists() else []
        return int(lines[0]) if len(lines) > 1 else 0


class Page:
    """One page: commands, and everything that the browser reports about it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings: of scripts, of the policy, of what could not be loaded."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Log.entryAdded":
                found.append(params["entry"]["text"])
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(str(params["args"]))
        return found

    @property
    def requested(self) -> list[str]:
        """The addresses that the page has asked for, besides those that hold their own data."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
            and not event["params"]["request"]["url"].startswith("data:")
        ]

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (answer := self._read()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def visit(self, address: str) -> dict[str, Any]:
        """Go to an address, wait until it is loaded and return the response of the document.

        Earlier events are forgotten.
        """
        self.events.clear()
        loader = self.command("Page.navigate", url=address)["loaderId"]
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()
        [response] = [
            event["params"]["response"]
            for event in self.events
            if event["method"] == "Network.responseReceived"
            and event["params"]["requestId"] == loader
        ]
        return dict(response)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited when it is a promise."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        wait_for(lambda: self.evaluate(f"Boolean({expression})"), expression)

    def wait_for_event(self, has_come: Callable[[], bool]) -> None:
        """Wait until the events say it: they come from other processes than results, in any order."""
        while not has_come():
            self._read()

    def _read(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=_PATIENCE_SECONDS))
        if "method" in message:
            self.events.append(message)
        return message
