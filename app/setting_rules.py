"""What a setting may hold: how its text is read, and how that is told to a person."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

# A last label of digits only is an address, so `999.1.1.1` is no name.
_HOST_NAME: Final = r"(?!(.*\.)?[0-9]+$)[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?"
_ORIGIN: Final = r"https?://[a-z0-9.\-\[\]:]+"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_MAX_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """What a variable may hold: `parse` returns its value or raises ValueError."""

    allowed: str
    parse: Callable[[str], Any]


def number(low: float, high: int, unit: str = "", *, whole: bool = True) -> Rule:
    """Allow numbers from `low` to `high`."""
    pattern = r"[0-9]+" if whole else r"[0-9]+(\.[0-9]+)?"

    def parse(text: str) -> int | float:
        if len(text) > _MAX_DIGITS or not re.fullmatch(pattern, text):
            raise ValueError(text)
        value = int(text) if whole else float(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    kind = "a whole number" if whole else "a number"
    return Rule(f"{kind} from {low} to {high}" + (f" ({unit})" if unit else ""), parse)


def choice(*words: str) -> Rule:
    """Allow these words, in any case."""
    spelling = {word.lower(): word for word in words}

    def parse(text: str) -> str:
        if text.lower() not in spelling:
            raise ValueError(text)
        return spelling[text.lower()]

    return Rule(f"{', '.join(words[:-1])} or {words[-1]}", parse)


def text(pattern: str, allowed: str) -> Rule:
    """Allow texts that match `pattern` as a whole; `allowed` says so in words."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Rule(allowed, parse)


def _parse_flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _parse_host(text: str) -> str:
    if not re.fullmatch(_HOST_NAME, text):
        ipaddress.ip_address(text)
    return text


def _parse_proxies(text: str) -> str:
    parts = [part.strip() for part in text.split(",")]
    if parts != ["*"]:
        for part in parts:
            ipaddress.ip_network(part)
    return ",".join(parts)


def _parse_hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip() for part in text.split(","))
    for host in hosts:
        if host != "*" and not re.fullmatch(_HOST_NAME, host.removeprefix("*.")):
            ipaddress.ip_address(host.strip("[]"))
    return hosts


def _parse_origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(","))
    if not all(re.fullmatch(_ORIGIN, origin) for origin in origins):
        raise ValueError(text)
    return origins


FLAG: Final = Rule("true or false", _parse_flag)
HOST: Final = Rule("an IP address or a host name, without a port", _parse_host)
PROXIES: Final = Rule(
    "IP addresses or networks separated by commas, or * for every client", _parse_proxies
)
HOSTS: Final = Rule(
    "host names without port, separated by commas; *.example.com for all below it, * for any",
    _parse_hosts,
)
ORIGINS: Final = Rule("origins such as https://example.com separated by commas", _parse_origins)
ENDPOINT: Final = text(
    r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?",
    "the URL of a collector such as http://localhost:4318",
)
LINK: Final = text(
    r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/?=&%-]*)?",
    "a URL such as https://grafana.example.com",
)
SECONDS: Final = number(1, 3600, "seconds")
SOCKET: Final = text(r"/[!-~]{1,99}", "an absolute path of at most 100 bytes, without spaces")
CHANNELS_URL: Final = text(
    r"(memory://|unix:///[^ ]+|redis(s|\+unix)?://[^ ]+)",
    "unix:///FOLDER, redis://HOST or memory://",
)
JOBS_URL: Final = text(
    r"sqlite:///[^\s?#]+|postgresql://[^\s/]*/\S+",
    "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
)
