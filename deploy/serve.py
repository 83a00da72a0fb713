"""Start the service: check what can be wrong, then become gunicorn.

    python -m deploy.serve

A wrong setting, a missing package or a taken port ends it with one line and status 1. gunicorn alone
would try a taken port for five seconds, and fail with a traceback where a variable that it reads itself
is no number.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.settings import Settings, SettingsError, load_settings
from deploy.packages import find_missing
from framework.server.preflight import (
    find_bind_problem,
    find_socket_problem,
    is_socket_activated,
)


def find_problem(settings: Settings) -> str | None:
    """Return what will keep the service from starting, as one line with the remedy."""
    ports = {settings.port, settings.metrics_port, settings.jobs_metrics_port}
    problem = find_missing(settings)
    if problem is None and not is_socket_activated():
        problem = (
            find_socket_problem(settings.uds, setting="UDS")
            if settings.uds
            else find_bind_problem(
                settings.host,
                settings.port,
                host_setting="HOST",
                port_setting="PORT",
                reserved=ports,
            )
        )
    if problem is None and settings.metrics_port:
        problem = find_bind_problem(
            settings.metrics_host,
            settings.metrics_port,
            host_setting="METRICS_HOST",
            port_setting="METRICS_PORT",
            reserved=ports,
        )
    return problem


def main() -> None:
    """Check, then replace this process by gunicorn's master."""
    try:
        problem = find_problem(load_settings())
    except SettingsError as exc:
        problem = str(exc)
    if problem is not None:
        raise SystemExit(problem)
    # gunicorn reads this variable itself and takes an empty one for a wrong number.
    if not os.environ.get("WEB_CONCURRENCY", "").strip():
        os.environ.pop("WEB_CONCURRENCY", None)
    # The C library otherwise gives threads up to eight memory arenas for each CPU, which keep memory
    # that nobody uses. It reads this before Python starts.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    # The script and not the module: SIGUSR2 starts gunicorn again with the same arguments, and a
    # module would then run with gunicorn's own folder first in the path. Through the interpreter,
    # because the first line of the script is wrong after the folder has been moved.
    script = Path(sys.executable).with_name("gunicorn")
    os.chdir(Path(__file__).resolve().parents[1])
    command = [sys.executable, str(script), "--config", "deploy/gunicorn.conf.py"]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
