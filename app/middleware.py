"""The layers around all routes, in the order of production."""

from __future__ import annotations

from typing import Final

from app.places import build_service_id
from app.settings import Settings
from app.tracing import build_tracing
from framework.middleware import Middleware
from framework.middleware.admission import Admission, AdmissionMiddleware
from framework.middleware.compress import CompressMiddleware
from framework.middleware.cors import CORSMiddleware
from framework.middleware.cross_origin import CrossOriginProtection
from framework.middleware.etag import ETagMiddleware
from framework.middleware.httpsredirect import HTTPSRedirectMiddleware
from framework.middleware.rate_limit import RateLimit, RateLimitMiddleware
from framework.middleware.security_headers import SecurityHeadersMiddleware
from framework.middleware.timeout import TimeoutMiddleware
from framework.middleware.trustedhost import TrustedHostMiddleware
from framework.observability.metrics import publish_statistics
from framework.rate_limits import SharedMemoryStore

PROBES: Final = ("/livez", "/readyz")
"""Asked by whoever decides about this process: never limited, never made to wait."""

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_FIELDS: Final = ("Authorization", "Content-Type", "X-Request-ID")
_RESPONSE_FIELDS: Final = ("ETag", "Retry-After", "X-Request-ID")


def build_middleware(settings: Settings) -> list[Middleware]:
    """Return the layers, outermost first: what refuses cheaply before what costs."""
    origins = settings.cors_origins
    stack = [
        *build_tracing(settings),
        # On every answer, those of the layers below included.
        Middleware(SecurityHeadersMiddleware),
        Middleware(
            TrustedHostMiddleware,
            allowed_hosts=list(settings.allowed_hosts),
            www_redirect=False,
            allow_private=True,
        ),
    ]
    if settings.https_only:
        stack.append(Middleware(HTTPSRedirectMiddleware))
    if origins:
        # Outside what refuses: a browser shows a script no answer without these fields.
        stack.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=_METHODS,
                allow_headers=_REQUEST_FIELDS,
                expose_headers=_RESPONSE_FIELDS,
            )
        )
    stack.append(Middleware(CrossOriginProtection, trusted_origins=origins))
    if settings.rate_limit:
        limit = RateLimit(settings.rate_limit, seconds=60)
        # Counted by all workers together, and by no other service of the machine.
        store = SharedMemoryStore(name=build_service_id(settings))
        stack.append(Middleware(RateLimitMiddleware, limit, store=store, exempt=PROBES))
    admission = Admission(settings.max_in_flight)
    publish_statistics("admission", admission.statistics, counters=("rejected",))
    stack += [
        Middleware(AdmissionMiddleware, admission, exempt=PROBES),
        Middleware(TimeoutMiddleware, settings.request_timeout, exempt=PROBES),
        Middleware(CompressMiddleware),
        # Inside the compression, which makes strong tags weak.
        Middleware(ETagMiddleware),
    ]
    return stack
