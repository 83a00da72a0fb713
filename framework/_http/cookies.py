"""Cookies: reading `Cookie` fields, writing `Set-Cookie` fields (RFC 6265, CHIPS for `Partitioned`)."""

from __future__ import annotations

import re
import time
from datetime import datetime

from framework._http.dates import format_date

_SAME_SITE = {"lax": "Lax", "none": "None", "strict": "Strict"}
# A token and the colon, which `http.cookies` and browsers take as well.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z:]+")
_UNSAFE_ATTRIBUTE = re.compile(r"[\x00-\x1f\x7f;]")
_ESCAPE = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)
# What may stand in a value without quotes; anything else is quoted, and escaped as `http.cookies` does:
# controls and delimiters in octal, so nothing can end the field early.
_PLAIN_VALUE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z:]*")
_ESCAPED = re.compile(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z: ()/<=>?@\[\]{}]")


def parse_cookies(cookie_string: str) -> dict[str, str]:
    """Return the cookies of one `Cookie` field value the way browsers read it; never raises.

    What has no name is dropped: `=__Host-session=x` must not be readable as another cookie
    (CVE-2023-23934). Of two cookies of one name the last one counts.
    """
    cookies: dict[str, str] = {}
    for pair in cookie_string.split(";"):
        name, equals, value = pair.partition("=")
        if equals and (name := name.strip()):
            value = value.strip()
            cookies[name] = _unquote_value(value) if value[:1] == '"' else value
    return cookies


def _unquote_value(value: str) -> str:
    if len(value) < 2 or value[-1] != '"':
        return value
    return _ESCAPE.sub(_unescape, value[1:-1])


def _unescape(match: re.Match[str]) -> str:
    octal, character = match.groups()
    return chr(int(octal, 8)) if octal else str(character)


def build_set_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None,
    expires: datetime | str | int | None,
    path: str | None,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> str:
    """Return the value of a `Set-Cookie` field. Empty attributes are left out.

    Raises:
        ValueError: the name has other characters than a token or `:`, an attribute holds a control character or `;`, or
            `samesite` is none of lax, strict and none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"cookie name {name!r} is not a token (RFC 6265 section 4.1.1)")
    parts = [f"{name}={_quote_value(str(value))}"]
    if domain:
        parts.append(f"Domain={_check_attribute('domain', domain)}")
    if expires is not None and expires != "":
        parts.append(f"expires={_format_expires(expires)}")
    if httponly:
        parts.append("HttpOnly")
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if partitioned:
        parts.append("Partitioned")
    if path:
        parts.append(f"Path={_check_attribute('path', path)}")
    if samesite is not None:
        if samesite.lower() not in _SAME_SITE:
            raise ValueError(f"samesite={samesite!r}; use 'lax', 'strict', 'none' or None")
        parts.append(f"SameSite={samesite}")
    if secure:
        parts.append("Secure")
    return "; ".join(parts)


def _quote_value(value: str) -> str:
    if _PLAIN_VALUE.fullmatch(value):
        return value
    return f'"{_ESCAPED.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return "\\" + character
    # What is not latin-1 cannot be sent at all: encoding the field says so.
    return f"\\{ord(character):03o}" if character <= "\xff" else character


def _check_attribute(attribute: str, value: str) -> str:
    if _UNSAFE_ATTRIBUTE.search(value):
        raise ValueError(f"cookie {attribute} {value!r} holds a control character or ';'")
    return value


def _format_expires(expires: datetime | str | int) -> str:
    if isinstance(expires, datetime):
        return format_date(expires.timestamp())
    if isinstance(expires, int):
        return format_date(time.time() + expires)
    return _check_attribute("expires", expires)
