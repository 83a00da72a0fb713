"""The lines a person looks for after a start: where the service is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from framework.observability.logging import get_logger

__all__ = ["Announcement", "build_url"]

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said once, when all workers of the first start serve.

    Args:
        title: name and version of the service.
        links: places to look at, by name.
        console: whether a person reads: lines of text, otherwise one log event.
    """

    title: str
    links: Mapping[str, str]
    console: bool

    def publish(self, workers: int) -> None:
        """Write the announcement to standard output."""
        if not self.console:
            get_logger("framework.server").info(
                "The service is up", service=self.title, workers=workers, **self.links
            )
            return
        width = max(map(len, self.links))
        lines = [f"{name:>{width + 2}}  {link}\n" for name, link in self.links.items()]
        count = "1 worker" if workers == 1 else f"{workers} workers"
        sys.stdout.write(f"\n  {self.title} is up, {count}\n\n{''.join(lines)}\n")
        sys.stdout.flush()


def build_url(host: str, port: int) -> str:
    """Return the address to open in a browser on this machine."""
    shown = _WILDCARDS.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
