"""The metrics of job workers: those of one machine share a folder, and one of them serves it for all."""

from __future__ import annotations

import errno
import hashlib
import threading
from contextlib import ExitStack

from app.jobs.engine import find_file
from app.jobs.slots import Slots, borrow
from framework.folders import build_private_path, make_private
from framework.observability.exporter import MetricsServer, build_directory_renderer
from framework.observability.logging import get_logger
from framework.observability.metrics import http_metrics, mark_dead, use_directory

_log = get_logger(__name__)


class WorkerPlace:
    """Where a worker writes its metrics, in files named after its number, and how they are served.

    A worker that follows a dead one goes on with its counters. The first worker of a machine begins
    with an empty folder.

    Args:
        url: the database, as `JOBS_URL`: workers on another one have another folder.
        host: address that the metrics are served on.
        port: the port, which one of the workers has; when that ends another one takes it.
    """

    def __init__(self, url: str, *, host: str, port: int) -> None:
        file = find_file(url)
        place = url if file is None else str(file.absolute())
        name = hashlib.sha256(place.encode()).hexdigest()[:16]
        self.folder = build_private_path(f"jobs-{name}")
        self._host = host
        self._port = port
        self._server: MetricsServer | None = None
        self._is_told = False

    def start(self, number: int, slots: Slots) -> None:
        """Write there from now on.

        Raises:
            RuntimeError: the folder is not private to this user.
        """
        make_private(self.folder)
        others = self._list_numbers("") - {number}
        with ExitStack() as stack:
            # All at once: as long as they are held, none of them can come to life.
            if all(stack.enter_context(borrow(slots, other)) for other in others):
                for path in self.folder.glob("*.db"):
                    path.unlink(missing_ok=True)
        use_directory(self.folder, slot=number)
        http_metrics().worker.start()

    def look(self, number: int, slots: Slots) -> None:
        """Forget what workers had that are gone, and serve the metrics if nobody does."""
        for other in self._list_numbers("gauge_live") - {number}:
            with borrow(slots, other) as is_free:
                if is_free:
                    mark_dead(other)
        if self._server is None:
            self._serve()

    def stop(self, number: int) -> None:
        """Count to the end, and leave the port to another worker."""
        http_metrics().worker.stop()
        mark_dead(number)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _serve(self) -> None:
        try:
            server = MetricsServer(self._host, self._port, build_directory_renderer(self.folder))
        except OSError as exc:
            if not self._is_told:
                self._is_told = True
                is_taken = exc.errno == errno.EADDRINUSE
                reason = "the port is in use" if is_taken else exc.strerror or str(exc)
                _log.info("metrics not served here", port=self._port, reason=reason)
            return
        self._server = server
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        _log.info("metrics served", host=self._host, port=self._port)

    def _list_numbers(self, prefix: str) -> set[int]:
        ends = {path.stem.rpartition("_")[2] for path in self.folder.glob(f"{prefix}*.db")}
        return {int(end) for end in ends if end.isdecimal()}
