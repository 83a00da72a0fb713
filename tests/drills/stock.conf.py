"""gunicorn with the worker that everybody uses, for `--stock`; its settings where it has them."""

from __future__ import annotations

import os

bind = [f"{os.environ['HOST']}:{os.environ['PORT']}"]
worker_class = "uvicorn_worker.UvicornWorker"
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT", "25"))
keepalive = int(os.environ.get("KEEPALIVE", "75"))
max_requests = int(os.environ.get("MAX_REQUESTS", "0"))
max_requests_jitter = int(os.environ.get("MAX_REQUESTS_JITTER", "0"))
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
