"""The landing page: one HTML document that loads nothing and runs under a strict policy."""

from __future__ import annotations

import base64
import hashlib
import html
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

from app.settings import Settings
from app.system.facts import Build, Worker, format_duration

_FOLDER: Final = Path(__file__).parent
_STYLE: Final = (_FOLDER / "landing.css").read_text(encoding="utf-8")
_SCRIPT: Final = (_FOLDER / "landing.js").read_text(encoding="utf-8")
_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


def _hash_source(text: str) -> str:
    """Return the source expression that allows exactly this inline text (CSP Level 3)."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


class LandingPage:
    """The page of one service.

    Args:
        build: what was built.
        settings: for the addresses of the metrics and of what shows them.
        examples: paths to link to.
        has_readme: whether `/readme` exists.
    """

    def __init__(
        self, build: Build, settings: Settings, *, examples: Sequence[str], has_readme: bool
    ) -> None:
        self._settings = settings
        self._links = [
            ("/livez", "/livez", "this process answers"),
            ("/readyz", "/readyz", "it wants requests, its dependencies work"),
            ("/version", "/version", "what was built, as JSON"),
            *((path, path, "the example to copy") for path in examples),
        ]
        shown_in = [
            (settings.grafana_url, "Grafana", "dashboards: what the service does, and how well"),
            (settings.prometheus_url, "Prometheus", "all metrics over time, and alerts"),
        ]
        self._tools = [link for link in shown_in if link[0]]
        self.headers = _build_headers(link[0] for link in self._tools)
        self._docs = [("/readme", "README.md", "how it works, how to add to it")]
        if not has_readme:
            self._docs = [("", "README.md", "in the repository: how it works, how to add to it")]
        # What is the same in every answer is filled in once.
        template = Template((_FOLDER / "landing.html").read_text(encoding="utf-8"))
        self._page = Template(
            template.safe_substitute(
                style=_STYLE,
                script=_SCRIPT,
                name=html.escape(build.name),
                version=html.escape(build.version),
                revision=html.escape(build.revision),
                python=html.escape(build.python),
            )
        )

    def render(self, worker: Worker, state: str, *, hostname: str | None) -> str:
        """Return the page as `worker` answers it to a browser that knows the service as `hostname`."""
        # Whether the tools run is asked by the browser: this process may see another network.
        links = [*self._links, self._describe_metrics(hostname), *self._tools, *self._docs]
        return self._page.substitute(
            slot=worker.slot,
            pid=worker.pid,
            workers=worker.workers,
            workers_word="worker" if worker.workers == 1 else "workers",
            uptime=format_duration(worker.uptime_seconds),
            state=html.escape(state),
            links="".join(_render_links(links, asked=[link[0] for link in self._tools])),
        )

    def _describe_metrics(self, hostname: str | None) -> tuple[str, str, str]:
        """Return the link to the metrics; without an address where the browser cannot reach them."""
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if not port:
            return "", "metrics", "turned off (METRICS_PORT=0)"
        if host in _WILDCARDS and hostname:
            host = hostname
        elif _is_loopback(host) and not _is_loopback(hostname or ""):
            return "", f":{port}/metrics", "on the machine of the service only"
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return (
            f"http://{netloc}/metrics",
            f":{port}/metrics",
            "all workers added up, for Prometheus",
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _build_headers(asked: Iterable[str]) -> dict[str, str]:
    policy = (
        "default-src 'none'",
        f"style-src {_hash_source(_STYLE)}",
        f"script-src {_hash_source(_SCRIPT)}",
        " ".join(("connect-src 'self'", *map(_find_origin, asked))),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _find_origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _render_links(
    links: Iterable[tuple[str, str, str]], *, asked: Collection[str]
) -> Iterator[str]:
    for address, label, meaning in links:
        name = f"<code>{html.escape(label)}</code>"
        if address:
            mark = " data-asked" if address in asked else ""
            name = f'<a href="{html.escape(address)}"{mark}>{name}</a>'
        yield f"<li>{name}<span>{html.escape(meaning)}</span></li>\n"
