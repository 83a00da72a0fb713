"""Is there a service to put under load?"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Final

PROBE_TIMEOUT_SECONDS: Final = 5


def find_service_problem(host: str) -> str | None:
    """Return why the service at `host` cannot be loaded, with the remedy; None when it answers."""
    remedy = "start it with `make run`, or name another one: --host http://ADDRESS:PORT"
    try:
        request = urllib.request.Request(f"{host}/livez")  # noqa: S310 - http is checked before
        with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        return f"{host}/livez answers with status {error.code}: this is not the service; {remedy}"
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        return f"no service answers at {host} ({reason}); {remedy}"
