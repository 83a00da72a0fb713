"""The process that serves the metrics of all workers: started, restarted and stopped."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Final

from framework.observability.logging import LogFormat

__all__ = ["ExporterProcess"]

_MODULE: Final = "framework.observability.exporter"
_STOP_SECONDS: Final = 5.0

_logger = logging.getLogger("framework.server")


class ExporterProcess:
    """The metrics exporter as a child of the master.

    It is a process of its own, so that a scrape costs no worker any time and is answered while
    all of them are busy. A dead one is noticed when a worker comes or goes.

    Args:
        host: address to listen on.
        port: port to listen on; 0 means that there is no exporter.
        log_level: lowest level that it logs.
        log_format: shape of its log lines.
    """

    def __init__(self, host: str, port: int, *, log_level: str, log_format: LogFormat) -> None:
        self._host = host
        self._port = port
        self._log_options = ["--log-level", log_level, "--log-format", log_format]
        self.bind_seconds: float | None = None
        """How long it waits for the port, in seconds; None for its own default."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the exporter, None when it has not been started."""
        return None if self._process is None else self._process.pid

    def ensure_running(self) -> None:
        """Start the exporter unless it runs."""
        if self._port == 0:
            return
        if self._process is not None:
            if self._process.poll() is None:
                return
            _logger.warning("The metrics exporter has ended and is started again")
        command = [sys.executable, "-m", _MODULE, "--parent", str(os.getpid())]
        command += ["--host", self._host, "--port", str(self._port), *self._log_options]
        if self.bind_seconds is not None:
            command += ["--bind-seconds", str(self.bind_seconds)]
        self._process = subprocess.Popen(  # noqa: S603 - all of it is ours
            command,
            stdin=subprocess.DEVNULL,
            # Ctrl-C reaches the whole group of the terminal; the exporter serves to the end.
            process_group=0,
        )

    def stop(self) -> None:
        """Stop the exporter, by force when it does not end within 5 seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
