"""The metrics of all workers over HTTP, on a port of their own.

    python -m framework.observability.exporter --host 127.0.0.1 --port 9000

It is a process beside the workers, started by their master: a scrape never stops a worker, and it is
answered while all of them are busy. It ends by itself within a second when its parent is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from types import FrameType
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, generate_latest

from framework.observability._limits import (
    BIND_RETRY_INTERVAL_SECONDS,
    BIND_RETRY_SECONDS,
    PARENT_CHECK_INTERVAL_SECONDS,
    SCRAPE_CACHE_SECONDS,
    SCRAPER_TIMEOUT_SECONDS,
)
from framework.observability._merge import MetricsDirectory
from framework.observability.logging import configure_logging, get_logger
from framework.observability.metrics import MULTIPROCESS_DIRECTORY_VARIABLE

__all__ = [
    "MetricsServer",
    "Scraper",
    "build_directory_renderer",
    "main",
    "start_metrics_server",
]

_log = get_logger("framework.observability.exporter")  # __name__ is "__main__" as a process


class Scraper:
    """Renders metrics at most once in a second, however many ask at the same time."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._text = b""
        self._taken_at = float("-inf")

    def scrape(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        with self._lock:
            if time.monotonic() - self._taken_at > SCRAPE_CACHE_SECONDS:
                self._text = self._render()
                self._taken_at = time.monotonic()
            return self._text


class MetricsServer(ThreadingTCPServer):
    """Serves `/metrics`; everything else is 404.

    Args:
        host: an IPv4 or IPv6 address or a host name.
        port: 0 picks a free one; `server_address` tells.
        render: returns what is served, in the Prometheus text format.

    Raises:
        OSError: the address cannot be used.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, render: Callable[[], bytes]) -> None:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self.address_family = family
        self.scraper = Scraper(render)
        super().__init__(cast("tuple[str, int]", address), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with one connection; one that the scraper closed is nothing."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            _log.error("scrape failed", exc_info=True, client=client_address[0])


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = SCRAPER_TIMEOUT_SECONDS
    server_version = "slipway"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            try:
                self._answer(200, self.server.scraper.scrape(), CONTENT_TYPE_PLAIN_0_0_4)
            except Exception:
                _log.error("metrics not readable", exc_info=True)
                self._answer(503, b"The metrics cannot be read at the moment.\n")
        elif path == "/":
            self._answer(200, b"The metrics are at /metrics\n")
        else:
            self._answer(404, b"Not found; the metrics are at /metrics\n")

    do_HEAD = do_GET  # noqa: N815

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("scrape", message=format % args, client=self.client_address[0])


def start_metrics_server(host: str, port: int) -> MetricsServer:
    """Serve the metrics of this process from a daemon thread, for a service of one process.

    Raises:
        OSError: the address cannot be used.
    """
    server = MetricsServer(host, port, partial(generate_latest, REGISTRY))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def build_directory_renderer(directory: Path) -> Callable[[], bytes]:
    """Return what a `MetricsServer` renders for the processes that write to a metrics directory."""
    return MetricsDirectory(directory).render


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the merged metrics of all workers until the parent process is gone."""
    options = _parse(argv)
    parent = options.parent
    directory = os.environ.get(MULTIPROCESS_DIRECTORY_VARIABLE, "")
    if not directory or not Path(directory).is_dir():
        _log.error(
            "no metrics directory: set it to the directory that the workers write to",
            variable=MULTIPROCESS_DIRECTORY_VARIABLE,
            value=directory,
        )
        return 1
    signal.signal(signal.SIGTERM, _exit)
    render = build_directory_renderer(Path(directory))
    try:
        server = _bind(options.host, options.port, render, parent, options.bind_seconds)
    except OSError as exc:
        _log.error(
            "metrics port not available: stop what uses it or choose another",
            host=options.host,
            port=options.port,
            reason=exc.strerror or str(exc),
        )
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _log.info("metrics served", url=_describe(server))
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL_SECONDS)
    return 0


def _bind(
    host: str, port: int, render: Callable[[], bytes], parent: int, seconds: float
) -> MetricsServer:
    """Take the port; while somebody else has it, try again for some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return MetricsServer(host, port, render)
        except OSError as exc:
            is_last = time.monotonic() >= deadline or os.getppid() != parent
            if exc.errno != errno.EADDRINUSE or is_last:
                raise
        time.sleep(BIND_RETRY_INTERVAL_SECONDS)


def _describe(server: MetricsServer) -> str:
    host, port = server.server_address[:2]
    shown = f"[{host!s}]" if server.address_family == socket.AF_INET6 else host
    return f"http://{shown!s}:{port}/metrics"


def _exit(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the options and set up the logging that they ask for."""
    parser = argparse.ArgumentParser(prog="python -m framework.observability.exporter")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    # Told, because a parent that ends while this process starts would not be missed.
    parser.add_argument("--parent", type=int, default=os.getppid())
    parser.add_argument("--bind-seconds", type=float, default=BIND_RETRY_SECONDS)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="auto")
    options = parser.parse_args(argv)
    try:
        configure_logging(level=options.log_level, format=options.log_format)
    except ValueError as exc:
        parser.error(str(exc))
    return options


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
