"""Run one process that starts again when a source file changes: `make dev`."""

from __future__ import annotations

import socket

from uvicorn import Config
from uvicorn.supervisors import ChangeReload

from app.settings import Settings, SettingsError, load_settings
from deploy.serve import find_problem
from framework.observability.exporter import start_metrics_server
from framework.observability.logging import configure_logging
from framework.server.lifecycle import ReadinessServer
from framework.server.worker import SlipwayWorker

_STOP_SECONDS = 2
"""How long a reload waits for open requests; a browser's idle connection must not hold it up."""


class DevServer(ReadinessServer):
    """A server in the process that is started anew with each change."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Set up what the parent process cannot set up for this one, and serve."""
        settings = load_settings()
        _configure_logging(settings)
        if settings.metrics_port:
            start_metrics_server(settings.metrics_host, settings.metrics_port)
        super().run(sockets)


def main() -> None:
    """Serve on HOST and PORT until Ctrl-C."""
    try:
        settings = load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
    if (problem := find_problem(settings)) is not None:
        raise SystemExit(problem)
    _configure_logging(settings)
    config = Config(
        "app.main:app",
        host=settings.host,
        port=settings.port,
        reload=True,
        reload_dirs=["app", "framework"],
        workers=1,
        log_config=None,
        timeout_graceful_shutdown=_STOP_SECONDS,
        **SlipwayWorker.CONFIG_KWARGS,
    )
    server = DevServer(config)
    ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()


def _configure_logging(settings: Settings) -> None:
    configure_logging(level=settings.log_level, format=settings.log_format)


if __name__ == "__main__":
    main()
