"""The settings of the service: one frozen object, read once from the environment.

Each field carries its variable, default, rule and meaning; the table in `README.md` is made from
them (`python -m app.settings` prints it). An empty variable counts as one that is not set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from app.setting_rules import (
    CHANNELS_URL,
    ENDPOINT,
    FLAG,
    HOST,
    HOSTS,
    JOBS_URL,
    LINK,
    ORIGINS,
    PROXIES,
    SECONDS,
    SOCKET,
    Rule,
    choice,
    number,
    text,
)

DEFAULT_SERVICE_NAME: Final = "slipway"

_WILDCARD_HOSTS: Final = frozenset({"0.0.0.0", "::"})


class SettingsError(ValueError):
    """A setting that cannot be used; its text is one line with variable, value and remedy."""


def _setting(
    env: str, default: object, rule: Rule, doc: str, *, shown: str = "", secret: bool = False
) -> Any:
    """Describe one field.

    Args:
        env: its variable.
        default: its value without the variable.
        rule: what the variable may hold.
        doc: what it sets.
        shown: the default in words, where the value does not say it.
        secret: the value may hold a password, so no error and no `repr` shows it.
    """
    metadata = {"env": env, "rule": rule, "doc": doc, "shown": shown, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set from outside.

    Raises:
        SettingsError: two settings contradict each other.
    """

    service_name: str = _setting(
        "SERVICE_NAME",
        DEFAULT_SERVICE_NAME,
        text(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}", "1 to 63 letters, digits, spaces, . _ or -"),
        "Name shown on the landing page and by `/version`.",
    )
    host: str = _setting("HOST", "127.0.0.1", HOST, "Address the service listens on.")
    port: int = _setting("PORT", 8000, number(1, 65535), "Port the service listens on.")
    uds: str = _setting(
        "UDS",
        "",
        SOCKET,
        "Unix socket the service listens on instead of `HOST` and `PORT`.",
        shown="none",
    )
    http: Literal["httptools", "zttp"] = _setting(
        "HTTP",
        "httptools",
        choice("httptools", "zttp"),
        "What reads HTTP. zttp is an experiment that also speaks HTTP/2; it needs the extra `zttp`.",
    )
    web_concurrency: int | None = _setting(
        "WEB_CONCURRENCY",
        None,
        number(1, 256),
        "Number of worker processes.",
        shown="usable CPUs, 2 to 8",
    )
    metrics_host: str = _setting(
        "METRICS_HOST", "127.0.0.1", HOST, "Address the metrics are served on."
    )
    metrics_port: int = _setting(
        "METRICS_PORT", 9000, number(0, 65535), "Port the metrics are served on; 0 turns it off."
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        "INFO",
        choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "Lines below this level are not written.",
    )
    log_format: Literal["auto", "json", "console"] = _setting(
        "LOG_FORMAT",
        "auto",
        choice("auto", "json", "console"),
        "Shape of log lines; auto is console on a terminal and JSON elsewhere.",
    )
    log_probes: bool = _setting(
        "LOG_PROBES", True, FLAG, "Write access lines for `/livez` and `/readyz` that succeed, too."
    )
    otlp_endpoint: str = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        ENDPOINT,
        "Collector that gets the spans of requests over OTLP/HTTP; the other variables of "
        "OpenTelemetry apply, too. Needs the extra `otel`.",
        shown="none",
    )
    grafana_url: str = _setting(
        "GRAFANA_URL", "", LINK, "Grafana that the landing page links to.", shown="none"
    )
    prometheus_url: str = _setting(
        "PROMETHEUS_URL", "", LINK, "Prometheus that the landing page links to.", shown="none"
    )
    debug: bool = _setting(
        "DEBUG", False, FLAG, "Show source code when a handler fails. Never live."
    )
    max_body_bytes: int = _setting(
        "MAX_BODY_BYTES",
        1024 * 1024,
        number(1, 2**31 - 1, "bytes"),
        "Largest request body; a longer one is answered with 413.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "ALLOWED_HOSTS",
        (),
        HOSTS,
        "Public names of the service. IP addresses, names without a dot and *.localhost are always "
        "allowed; other hosts are answered with 400.",
        shown="none",
    )
    cors_origins: tuple[str, ...] = _setting(
        "CORS_ORIGINS",
        (),
        ORIGINS,
        "Other sites whose pages may call the service from a browser.",
        shown="none",
    )
    https_only: bool = _setting(
        "HTTPS_ONLY", False, FLAG, "Redirect requests that did not come over TLS."
    )
    rate_limit: int = _setting(
        "RATE_LIMIT",
        0,
        number(0, 1_000_000),
        "Requests a minute that one client may make; more are answered with 429. 0 for no limit.",
    )
    max_in_flight: int = _setting(
        "MAX_IN_FLIGHT",
        200,
        number(1, 100_000),
        "Requests that a worker serves at once; more wait for a second, then get 503.",
    )
    request_timeout: int = _setting(
        "REQUEST_TIMEOUT", 20, SECONDS, "How long a request may take; then it is answered with 504."
    )
    readiness_timeout: float = _setting(
        "READINESS_TIMEOUT",
        2.0,
        number(0.1, 60, "seconds", whole=False),
        "How long `/readyz` waits for its checks.",
    )
    worker_timeout: int = _setting(
        "WORKER_TIMEOUT",
        30,
        number(3, 3600, "seconds"),  # heartbeats are up to two seconds apart
        "A worker silent for this long is replaced.",
    )
    graceful_timeout: int = _setting(
        "GRACEFUL_TIMEOUT", 25, SECONDS, "How long requests may go on after a stop was asked for."
    )
    stop_grace_period: int = _setting(
        "STOP_GRACE_PERIOD",
        35,
        SECONDS,
        "How long compose, Kubernetes or systemd wait after a stop was asked for, before they kill. "
        "Only compared with `GRACEFUL_TIMEOUT`: change it there, too (compose: `stop_grace_period`).",
    )
    drain_seconds: float = _setting(
        "DRAIN_SECONDS",
        1.0,
        number(0, 60, "seconds", whole=False),
        "How long a worker that was told to stop goes on taking requests while `/readyz` says 503.",
    )
    keepalive: int = _setting(
        "KEEPALIVE", 75, SECONDS, "How long an idle connection stays open; more than the proxy's."
    )
    first_byte_timeout: int = _setting(
        "FIRST_BYTE_TIMEOUT",
        15,
        SECONDS,
        "How long a new connection may say nothing; then it is closed.",
    )
    header_timeout: int = _setting(
        "HEADER_TIMEOUT",
        10,
        SECONDS,
        "How long the header of a request may take to arrive; then it is answered with 408.",
    )
    body_timeout: int = _setting(
        "BODY_TIMEOUT",
        10,
        SECONDS,
        "How long a body may come slower than 240 bytes a second; then it is answered with 408.",
    )
    stall_timeout: int = _setting(
        "STALL_TIMEOUT",
        20,
        SECONDS,
        "How long a client may take less than 240 bytes a second of its answer (seen in steps of up to "
        "60 KB); then it is cut off.",
    )
    max_requests: int = _setting(
        "MAX_REQUESTS",
        20_000,
        number(0, 1_000_000_000),
        "A worker is replaced after this many requests; 0 for never.",
    )
    max_requests_jitter: int = _setting(
        "MAX_REQUESTS_JITTER",
        4_000,
        number(0, 1_000_000_000),
        "At most this many more, drawn for each worker, so that not all are replaced at once; at most "
        "`MAX_REQUESTS` (unless that is 0).",
    )
    max_rss: int = _setting(
        "MAX_RSS",
        1024**3,
        number(0, 2**40, "bytes"),
        "A worker with more resident memory than this is replaced; 0 for never.",
    )
    channels_url: str = _setting(
        "CHANNELS_URL",
        "",
        CHANNELS_URL,
        "What carries broadcasts from worker to worker; Redis for more than one machine.",
        shown="a folder in memory",
        secret=True,
    )
    demo: bool = _setting(
        "DEMO", False, FLAG, "Serve `/live`, which shows several processes at work; so does DEBUG."
    )
    jobs_url: str = _setting(
        "JOBS_URL",
        "sqlite:///data/jobs.sqlite",
        JOBS_URL,
        "Database of the durable jobs; a relative file is below the folder of the service.",
        secret=True,
    )
    jobs_metrics_port: int = _setting(
        "JOBS_METRICS_PORT",
        9001,
        number(0, 65535),
        "Port that one `make worker` of a machine serves the metrics of all on; 0 turns it off.",
    )
    jobs_concurrency: int = _setting(
        "JOBS_CONCURRENCY",
        4,
        number(1, 1000),
        "Jobs that one `make worker` executes at the same time.",
    )
    forwarded_allow_ips: str = _setting(
        "FORWARDED_ALLOW_IPS",
        "127.0.0.1,::1",
        PROXIES,
        "Proxies whose `X-Forwarded-*` headers are believed.",
    )
    git_revision: str = _setting(
        "GIT_REVISION",
        "",
        text(r"[A-Za-z0-9._/-]{1,64}", "1 to 64 letters, digits, . _ / or -"),
        "Revision shown on the landing page and by `/version`.",
        shown="asked from git",
    )

    def __post_init__(self) -> None:
        # A stop has to be over before gunicorn takes the worker for dead, or others kill it.
        self._refuse_order("graceful_timeout", "worker_timeout")
        self._refuse_order("graceful_timeout", "stop_grace_period")
        self._refuse_order("drain_seconds", "graceful_timeout")
        # A connection that is slow with a request must not outlive one that is idle.
        self._refuse_order("first_byte_timeout", "keepalive", may_be_equal=True)
        self._refuse_order("header_timeout", "keepalive", may_be_equal=True)
        if 0 < self.max_requests < self.max_requests_jitter:
            raise SettingsError(
                f"MAX_REQUESTS_JITTER={self.max_requests_jitter} is not allowed with "
                f"MAX_REQUESTS={self.max_requests}: set MAX_REQUESTS_JITTER to at most "
                f"{self.max_requests}, or MAX_REQUESTS to at least {self.max_requests_jitter}"
            )
        if (
            self.port == self.metrics_port
            and not self.uds
            and _overlap(self.host, self.metrics_host)
        ):
            raise SettingsError(
                f"METRICS_PORT={self.metrics_port} is not allowed with PORT={self.port}: "
                "use another METRICS_PORT, or 0 to turn metrics off"
            )
        # Both are on METRICS_HOST.
        if self.metrics_port == self.jobs_metrics_port != 0:
            raise SettingsError(
                f"JOBS_METRICS_PORT={self.jobs_metrics_port} is not allowed with "
                f"METRICS_PORT={self.metrics_port}: use another JOBS_METRICS_PORT, or 0 to turn "
                "the metrics of job workers off"
            )

    def _refuse_order(self, smaller: str, larger: str, *, may_be_equal: bool = False) -> None:
        low, high = getattr(self, smaller), getattr(self, larger)
        if low < high or (may_be_equal and low == high):
            return
        low_name, high_name = smaller.upper(), larger.upper()
        raise SettingsError(
            f"{low_name}={low} is not allowed with {high_name}={high}: "
            f"use a smaller {low_name} or a larger {high_name}"
        )


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environ`.

    Raises:
        SettingsError: a value is not allowed, or two contradict each other.
    """
    values: dict[str, Any] = {}
    for item in fields(Settings):
        env: str = item.metadata["env"]
        rule: Rule = item.metadata["rule"]
        value = environ.get(env, "").strip()
        if not value:
            continue
        try:
            values[item.name] = rule.parse(value)
        except ValueError:
            given = env if item.metadata["secret"] else f"{env}={value!r}"
            raise SettingsError(f"{given} is not allowed: use {rule.allowed}") from None
    return Settings(**values)


def render_settings_table() -> str:
    """Return the table of all settings as Markdown."""
    head = "| variable | default | what it sets | allowed |\n|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in _rows())


def _rows() -> Iterator[tuple[str, str, str, str]]:
    for item in fields(Settings):
        meta = item.metadata
        is_flag = isinstance(item.default, bool)
        default = str(item.default).lower() if is_flag else str(item.default)
        shown = meta["shown"] or f"`{default}`"
        yield f"`{meta['env']}`", shown, meta["doc"], meta["rule"].allowed


def _overlap(host: str, other: str) -> bool:
    return host == other or host in _WILDCARD_HOSTS or other in _WILDCARD_HOSTS


if __name__ == "__main__":
    sys.stdout.write(render_settings_table())
