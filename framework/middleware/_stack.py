"""Whether a stack of middleware can work: asked when it is built, answered by tables.

Classes stand in the tables by their names, so nothing is imported for them; a subclass counts as what
it is derived from. Middleware of one's own, and an option handed to one (an authentication backend,
say), tells what it does by a tuple `stack_traits` of the words below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations
from typing import Any, Final, NamedTuple

from framework._callables import get_name, unwrap_partial
from framework.middleware import Middleware

READS_SESSION: Final = "reads session"
READS_USER: Final = "reads user"
CHANGES_BODY: Final = "changes body"
TRAITS: Final = (READS_SESSION, READS_USER, CHANGES_BODY)

_PACKAGE: Final = "framework.middleware."
_AUTHENTICATION: Final = _PACKAGE + "authentication.AuthenticationMiddleware"
_COMPRESS: Final = _PACKAGE + "compress.CompressMiddleware"
_CORS: Final = _PACKAGE + "cors.CORSMiddleware"
_CROSS_ORIGIN: Final = _PACKAGE + "cross_origin.CrossOriginProtection"
_ETAG: Final = _PACKAGE + "etag.ETagMiddleware"
_HTTPS_REDIRECT: Final = _PACKAGE + "httpsredirect.HTTPSRedirectMiddleware"
_SECURITY_HEADERS: Final = _PACKAGE + "security_headers.SecurityHeadersMiddleware"
_SESSION: Final = _PACKAGE + "sessions.SessionMiddleware"
_TRUSTED_HOST: Final = _PACKAGE + "trustedhost.TrustedHostMiddleware"
_WSGI: Final = _PACKAGE + "wsgi.WSGIMiddleware"


class Order(NamedTuple):
    """`outer` (a class or a trait) must stand outside of `inner`; otherwise what `reason` says is so."""

    outer: str
    inner: str
    reason: str


ORDERS: Final = (
    Order(_SESSION, READS_SESSION, "it reads the session before there is one"),
    Order(_AUTHENTICATION, READS_USER, "it reads the user before there is one"),
    Order(_COMPRESS, CHANGES_BODY, "it is given compressed bytes"),
    Order(_COMPRESS, _ETAG, "it tags compressed bytes, other ones for each coding"),
)

# What there can be one of, and what a second one does.
ONCE: Final = {
    _AUTHENTICATION: "the inner one replaces the user that the outer one has found",
    _COMPRESS: "what the inner one has compressed the outer one leaves alone",
    _CORS: "the outer one answers for both, and replaces what the inner one says",
    _CROSS_ORIGIN: "an exception made in one of them is none in the other",
    _ETAG: "the outer one finds a tag everywhere",
    _HTTPS_REDIRECT: "the inner one never sees plain HTTP",
    _SECURITY_HEADERS: "both write the same fields",
    _SESSION: "the session of the inner one hides that of the outer one",
    _TRUSTED_HOST: "a host that only one of them knows is refused",
}

# What is no layer at all, and where it belongs.
NO_LAYERS: Final = {
    _WSGI: "takes a WSGI application; mount it: Mount('/path', WSGIMiddleware(application))"
}


def check_stack(middleware: Sequence[Middleware]) -> None:
    """Refuse a list of middleware, the first outermost, that cannot work.

    What is merely unusual passes, and so does whatever the tables do not know.

    Raises:
        TypeError: a class stands where `Middleware` of it should.
        ValueError: an order that cannot work, the same class twice, something that is no layer, or an
            unknown trait. Names both layers and the remedy.
    """
    layers = [
        (get_name(unwrap_partial(cls)), _find_kinds(cls, options))
        for cls, options in map(_unpack, middleware)
    ]
    for name, kinds in layers:
        for kind in kinds & NO_LAYERS.keys():
            raise ValueError(f"{name} is no layer of a stack: it {NO_LAYERS[kind]}")
    for (outer, outer_kinds), (inner, inner_kinds) in combinations(layers, 2):
        for kind in outer_kinds & inner_kinds & ONCE.keys():
            twice = outer if outer == inner else f"{outer} and {inner}"
            raise ValueError(f"{twice}: there can be one in a stack. {ONCE[kind]}. Remove one")
        for order in ORDERS:
            if order.outer in inner_kinds and order.inner in outer_kinds:
                raise ValueError(
                    f"{outer} stands outside of {inner}: {order.reason}. Put {inner} before {outer} in "
                    "the list of middleware (with add_middleware: add it after, the last is outermost)"
                )


def _unpack(layer: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the class and the values of its options."""
    try:
        cls, args, kwargs = layer
    except TypeError:
        name = get_name(layer)
        raise TypeError(f"{name} is no layer as it stands: write Middleware({name}, ...)") from None
    return cls, (*args, *kwargs.values())


def _find_kinds(cls: Any, options: tuple[Any, ...]) -> set[str]:
    """Return the names of the class and its bases, and the traits of the class and its options."""
    cls = unwrap_partial(cls)
    bases = cls.__mro__ if isinstance(cls, type) else ()
    kinds = {f"{base.__module__}.{base.__qualname__}" for base in bases}
    # Several of a kind are handed over as a list, such as rate limits.
    nested = chain.from_iterable(each for each in options if isinstance(each, list | tuple))
    return kinds.union(_find_traits((cls, *options, *nested)))


def _find_traits(bearers: Iterable[Any]) -> Iterator[str]:
    for bearer in bearers:
        traits = getattr(bearer, "stack_traits", ())
        if not isinstance(traits, tuple):
            continue  # of somebody else's meaning
        for trait in traits:
            if trait not in TRAITS:
                known = ", ".join(map(repr, TRAITS))
                raise ValueError(f"stack_traits of {bearer!r}: {trait!r} is none of {known}")
            yield trait
