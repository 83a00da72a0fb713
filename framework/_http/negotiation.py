"""The coding of a response by `Accept-Encoding` (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from framework._defaults import MAX_ACCEPT_ENCODING_CHARACTERS

_MAX_CACHED_CHOICES: Final = 256

# RFC 9110 section 12.4.2 wants at most three digits; more of them mean what they say.
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]*)?|1(?:\.0*)?)", re.IGNORECASE | re.ASCII)


class Choice(NamedTuple):
    """The coding that suits the client best, None for the body as it is.

    `allows_identity` is False when the client refuses the body as it is.
    """

    coding: str | None
    allows_identity: bool


_AS_IT_IS: Final = Choice(None, allows_identity=True)


def choose_coding(field: str, offered: tuple[str, ...]) -> Choice:
    """Choose a content coding for a response.

    The highest weight wins, among equals the first that is offered. `identity` wins over the others
    only when the client gives it a higher weight; a client that sends no field, or one of more than
    `MAX_ACCEPT_ENCODING_CHARACTERS`, gets the body as it is.

    Args:
        field: the value of `Accept-Encoding`; several fields joined by commas.
        offered: names of codings in lower case, best first.
    """
    if not field or len(field) > MAX_ACCEPT_ENCODING_CHARACTERS:
        return _AS_IT_IS
    return _choose(field, offered)


# PERF: browsers send few different fields, and reading one costs thirty times the look-up. The result
# depends on the arguments alone; their number and length are capped.
@lru_cache(maxsize=_MAX_CACHED_CHOICES)
def _choose(field: str, offered: tuple[str, ...]) -> Choice:
    weights = _read_weights(field)
    other = weights.get("*", 0.0)
    best, best_weight = None, 0.0
    for coding in offered:
        weight = weights.get(coding, other)
        if weight > best_weight:
            best, best_weight = coding, weight
    if weights.get("identity", 0.0) > best_weight:
        best = None
    return Choice(best, weights.get("identity", weights.get("*", 1.0)) > 0)


def _read_weights(field: str) -> dict[str, float]:
    """Return the weight of each coding that is named; of contradicting ones the lowest.

    A coding whose weight cannot be read is one that the client does not want; without a readable
    weight, `identity` and `*` say nothing.
    """
    weights: dict[str, float] = {}
    for member in field.lower().split(","):
        name, has_parameters, parameters = member.partition(";")
        name = name.strip()
        weight = 1.0
        if has_parameters:
            match = _WEIGHT.fullmatch(parameters.strip())
            if match is not None:
                weight = float(match[1])
            elif name in ("identity", "*"):
                continue
            else:
                weight = 0.0
        if name == "x-gzip":  # RFC 9110 section 8.4.1.3: the same
            name = "gzip"
        if name:
            weights[name] = min(weight, weights.get(name, weight))
    return weights
