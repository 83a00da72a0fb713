"""gunicorn's configuration. It is read at start and again at each SIGHUP.

    gunicorn --config deploy/gunicorn.conf.py

What an operator may want to change is a variable of the environment (README.md, "Settings"); what
is fixed here is fixed for the reason beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app import __version__
from app.settings import SettingsError, load_settings
from deploy.packages import find_missing
from framework.observability.logging import configure_logging
from framework.server.announcement import Announcement, build_url
from framework.server.cpus import default_workers
from framework.server.hooks import build_master_hooks
from framework.server.http.limits import HttpLimits
from framework.server.logger import GunicornLogger
from framework.server.worker import SlipwayWorker

try:
    _settings = load_settings()
except SettingsError as exc:
    # Status 1 and the text on standard error; gunicorn lets it pass.
    raise SystemExit(f"{exc}") from None

configure_logging(level=_settings.log_level, format=_settings.log_format)

if (_problem := find_missing(_settings)) is not None:
    raise SystemExit(_problem)

_url = build_url(_settings.host, _settings.port)
_links = (
    {"socket": _settings.uds} if _settings.uds else {"page": f"{_url}/", "health": f"{_url}/readyz"}
)
_place = _settings.uds or f"{_settings.host}-{_settings.port}"
if _settings.metrics_port:
    _metrics_url = build_url(_settings.metrics_host, _settings.metrics_port)
    _links["metrics"] = f"{_metrics_url}/metrics"
_links["docs"] = "README.md"

_hooks = build_master_hooks(
    name=f"{_settings.service_name}-{_place}",
    metrics_host=_settings.metrics_host,
    metrics_port=_settings.metrics_port,
    log_level=_settings.log_level,
    log_format=_settings.log_format,
)
_hooks.drain_seconds = _settings.drain_seconds
_hooks.max_rss = _settings.max_rss
_hooks.http_parser = _settings.http
_hooks.limits = HttpLimits(
    first_byte_seconds=_settings.first_byte_timeout,
    header_seconds=_settings.header_timeout,
    body_grace_seconds=_settings.body_timeout,
    stalled_seconds=_settings.stall_timeout,
)
_hooks.announcement = Announcement(
    title=f"{_settings.service_name} {__version__}",
    links=_links,
    console=_settings.log_format == "console"
    or (_settings.log_format == "auto" and sys.stdout.isatty()),
)

# What runs.
wsgi_app = "app.main:app"
worker_class = SlipwayWorker
logger_class = GunicornLogger
loglevel = _settings.log_level.lower()
proc_name = _settings.service_name

# Where, and with how many processes. Sockets that systemd hands over (LISTEN_FDS) are taken instead.
if _settings.uds:
    bind = [f"unix:{_settings.uds}"]
elif ":" in _settings.host:
    bind = [f"[{_settings.host}]:{_settings.port}"]
else:
    bind = [f"{_settings.host}:{_settings.port}"]

# A Unix socket is for this user and its group: whoever connects there is believed what it says about
# the client. gunicorn's default lets everybody on the machine do so.
umask = 0o007
workers = _settings.web_concurrency or default_workers()

# Each worker imports the application itself: nothing (connections, threads, locks) is shared by
# accident, and SIGHUP loads new code. What the master itself has loaded is frozen before the first
# fork (`MasterHooks.when_ready`), what the worker has loaded when it serves: no collection walks
# through it, and the memory of the master stays shared.
preload_app = False

# With one socket for each worker the kernel deals connections out before a worker is known to be
# alive, and those waiting at a worker that ends are reset. One socket for all has neither.
reuse_port = False

# Time. A worker silent for `timeout` is replaced; it is a heartbeat, no limit on requests. A stop
# takes at most `graceful_timeout`, which is below `timeout` and below the 35 seconds after which
# compose and Kubernetes kill (stop_grace_period, terminationGracePeriodSeconds). The settings refuse
# another order.
timeout = _settings.worker_timeout
graceful_timeout = _settings.graceful_timeout

# Longer than proxies keep idle connections (60 s): else one is closed here in the moment the proxy
# sends on it, and a client sees 502.
keepalive = _settings.keepalive

# What a request may be made of. gunicorn hands these to workers that read HTTP themselves, ours to the
# protocol. The longest line and field gunicorn allows, and its own number of fields.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# Slow leaks end with the worker; the jitter keeps all from being replaced at once.
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests_jitter

# The heartbeat is a file that is touched. On a disk that is busy this blocks the worker.
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes its file there with a random name
worker_tmp_dir = str(_memory) if _memory.is_dir() else None

# X-Forwarded-* of anybody else are ignored.
forwarded_allow_ips = _settings.forwarded_allow_ips

# gunicorn's control interface writes into the home directory, which containers do not have, and is
# one more way in. Signals do all that is needed.
control_socket_disable = True

on_starting = _hooks.on_starting
when_ready = _hooks.when_ready
pre_fork = _hooks.pre_fork
post_fork = _hooks.post_fork
child_exit = _hooks.child_exit
on_exit = _hooks.on_exit
