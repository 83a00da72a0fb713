"""The cookie that a session travels in: signed JSON, in the very form that Starlette gives it."""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Final

try:
    import itsdangerous
except ModuleNotFoundError as exc:
    raise ImportError(
        "Sessions need itsdangerous, which is not installed: run `pip install itsdangerous`"
    ) from exc

from framework._defaults import MAX_SESSION_COOKIE_READ_BYTES, MIN_SECRET_KEY_BYTES
from framework._http.cookies import build_set_cookie, parse_cookies
from framework._http.fields import encode_field_value
from framework.datastructures import Secret

Keys = str | Secret | Sequence[str | Secret]

_logger = logging.getLogger("framework.middleware.sessions")

_DELETED: Final = "expires=Thu, 01 Jan 1970 00:00:00 GMT; "
# Browsers take cookies with these names only as the prefix says (RFC 6265bis section 4.1.3).
_SECURE_PREFIXES: Final = ("__Secure-", "__Host-")


class SessionCookie:
    """Reads and writes the cookie. Of the keys the first one signs and all of them verify."""

    __slots__ = ("_age", "_flags", "max_age", "must_be_secure", "name", "path", "signer")

    def __init__(
        self,
        keys: Keys,
        name: str,
        *,
        max_age: int | None,
        path: str,
        same_site: str,
        domain: str | None,
        partitioned: bool,
    ) -> None:
        same_site = str(same_site)  # None is written "None", and means what "none" does
        _check_attributes(name, max_age, path, same_site, domain)
        # It takes keys from the oldest to the newest, and signs with the newest.
        # PERF: what it makes of a key, always the same, is not made again for each cookie.
        derived = [itsdangerous.TimestampSigner(key).derive_key() for key in _read_keys(keys)]
        self.signer = itsdangerous.TimestampSigner(derived[::-1], key_derivation="none")
        self.name = name
        self.path = path
        self.max_age = max_age
        self.must_be_secure = (
            partitioned or same_site.lower() == "none" or name.startswith(_SECURE_PREFIXES)
        )
        self._age = "" if max_age is None else f"Max-Age={max_age}; "
        self._flags = (
            f"httponly; samesite={same_site}",
            (
                ("" if domain is None else f"; domain={domain}")
                + ("; partitioned" if partitioned else "")
            ),
        )
        encode_field_value(self.build_deletion(secure=True))

    def read(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, Any], bytes] | None:
        """Return the session of a request and the JSON it was read from; None for anything unsound.

        A cookie that is missing, forged, expired, too large or no session is all the same to the caller:
        it is the client's, and no reason for an error.
        """
        value = None
        for field, text in headers:
            if field == b"cookie":
                value = parse_cookies(text.decode("latin-1")).get(self.name, value)
        if value is None or len(value) > MAX_SESSION_COOKIE_READ_BYTES:
            return None
        try:
            encoded = b64decode(self.signer.unsign(value.encode(), max_age=self.max_age))
            session = json.loads(encoded)
        except (itsdangerous.BadSignature, ValueError, RecursionError):
            return None
        return (session, encoded) if isinstance(session, dict) else None

    def encode(self, session: dict[str, Any]) -> bytes:
        """Return a session as JSON. Raises `TypeError` for what JSON has no form for."""
        return json.dumps(dict(session)).encode()

    def build(self, encoded: bytes, *, secure: bool) -> str:
        """Return the `Set-Cookie` value for a session that `encode` has encoded."""
        value = self.signer.sign(b64encode(encoded)).decode()
        return self._build(value, self._age, secure=secure)

    def build_deletion(self, *, secure: bool) -> str:
        """Return the `Set-Cookie` value that makes the browser drop the cookie."""
        return self._build("null", _DELETED, secure=secure)

    def _build(self, value: str, age: str, *, secure: bool) -> str:
        return f"{self.name}={value}; path={self.path}; {age}{self.join_flags(secure=secure)}"

    def join_flags(self, *, secure: bool) -> str:
        """Return the attributes that are the same for every cookie."""
        flags, rest = self._flags
        return f"{flags}{'; secure' * secure}{rest}"


def _check_attributes(
    name: str, max_age: int | None, path: str, same_site: str, domain: str | None
) -> None:
    build_set_cookie(
        name,
        "",
        max_age=None,
        expires=None,
        path=path,
        domain=domain,
        secure=True,
        httponly=True,
        samesite=same_site,
        partitioned=False,
    )
    if max_age is not None and max_age < 0:
        _logger.warning(
            "max_age=%r ends each session at once; pass seconds, None is as long as the browser is open",
            max_age,
        )
    if name.startswith("__Host-") and (path != "/" or domain is not None):
        _logger.warning(
            "session_cookie=%r: browsers refuse this prefix with path=%r and domain=%r; leave both out",
            *(name, path, domain),
        )


def _read_keys(keys: Keys) -> list[str]:
    """Return the keys as text. What is wrong with one is said in the log, without showing it."""
    is_list = isinstance(keys, Sequence) and not isinstance(keys, str | bytes)
    found: Sequence[Any] = keys if is_list else [keys]  # type: ignore[assignment]
    if not found:
        raise ValueError("secret_key is an empty list; the first key signs, all of them verify")
    for place, key in enumerate(found):
        if not isinstance(key, str | Secret):
            _logger.warning(
                "secret_key number %d is of type %s, and its printed form is the key: pass text or a "
                "Secret",
                *(place, type(key).__name__),
            )
        size = len(str(key).encode())
        if size < MIN_SECRET_KEY_BYTES:
            _logger.warning(
                "secret_key number %d has %d bytes, and who guesses it can forge any session: use at "
                "least %d, such as secrets.token_urlsafe(32) gives",
                *(place, size, MIN_SECRET_KEY_BYTES),
            )
    return [str(key) for key in found]
