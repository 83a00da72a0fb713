"""No secret reaches a line, whatever carries it there."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import Any

import pytest

from framework.observability import _redaction
from framework.observability._redaction import REDACTED, add_secret_names, is_secret, redact_text
from framework.observability.logging import configure_logging, get_logger
from tests.framework.observability.harness import LogStream

SECRET = "hunter2-correct-horse"

SECRET_NAMES = [
    "authorization",
    "Authorization",
    "proxy-authorization",
    "Proxy_Authorization",
    "cookie",
    "Cookie",
    "set-cookie",
    "Set-Cookie",
    "cookies",
    "password",
    "PASSWORD",
    "db_password",
    "passwordHash",
    "user.password",
    "newPassword",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "client_secret",
    "SECRET_KEY",
    "secrets",
    "token",
    "access_token",
    "refreshToken",
    "csrf_token",
    "X-CSRF-Token",
    "id_token",
    "api_key",
    "apiKey",
    "X-API-Key",
    "APIKey",
    "apikey",
    "x-goog-api-key",
    "private_key",
    "privateKey",
    "access_key",
    "AccessKeyId",
    "signing_key",
    "session",
    "sessionid",
    "session_id",
    "PHPSESSID-session",
    "sid",
    "jwt",
    "JWT",
    "credentials",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "sig",
    "X-Amz-Security-Token",
    "auth",
    "otp",
    "csrftoken",
    "user[password]",
    "user%5Bpassword%5D",
    "access%5Ftoken",
    "p%61ssword",
]

OPEN_NAMES = [
    "event",
    "path",
    "method",
    "route",
    "status",
    "client",
    "user",
    "user_id",
    "token_count",
    "max_tokens",
    "tokens",
    "token_type",
    "key",
    "primary_key",
    "session_count",
    "author",
    "authority",
    "side",
    "signal",
    "design",
    "secretary",
    "worker_slot",
    "code",
    "host",
    "accept",
    "content-type",
    "cookieless",
    "passport",
    "bytes",
    "request_id",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_of_a_secret_is_known_in_every_spelling(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", OPEN_NAMES)
def test_other_names_are_shown(name: str) -> None:
    assert not is_secret(name)


@dataclasses.dataclass
class Login:
    user: str
    password: str


VALUES: list[Any] = [
    {"password": SECRET},
    {"headers": {"Authorization": f"Bearer {SECRET}", "accept": "*/*"}},
    {"headers": [(b"cookie", f"session={SECRET}".encode()), (b"accept", b"*/*")]},
    {"headers": [["X-API-Key", SECRET]]},
    {"body": {"deep": [{"deeper": {"client_secret": [SECRET]}}]}},
    {"body": {b"password": SECRET}},
    {"pin": {"password": 20_202_020}},
    {"url": f"https://x.example/reset?token={SECRET}&page=2"},
    {"url": f"postgresql://ann:{SECRET}@db:5432/shop"},
    {"url": f"redis://:{SECRET}@cache/0"},
    {"url": f"postgresql://ann@shop:p@{SECRET}@db:5432/shop"},
    {"query": f"a=1&api_key={SECRET}".encode()},
    {"query": f"user[name]=ann&user[password]={SECRET}"},
    {"query": f"user%5Bname%5D=ann&user%5Bpassword%5D={SECRET}"},
    {"query": f"p%61ssword={SECRET}"},
    {"text": f"{{'user[password]': '{SECRET}'}}"},
    {"header": f"Basic {SECRET}"},
    {"text": f"sent with bearer {SECRET} to them"},
    {"text": f'{{"password": "{SECRET}"}}'},
    {"text": f"{{'access_token': '{SECRET}', 'n': 1}}"},
    {"text": f'password="{SECRET} and more"'},
    {"login": Login("ann", SECRET)},
    {"event": f"GET /x?access_token={SECRET} HTTP/1.1"},
]


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("fields", VALUES, ids=str)
def test_no_secret_is_in_a_line(
    restored_logging: None, fields: dict[str, Any], format: Any
) -> None:
    stream = LogStream()
    configure_logging(format=format, stream=stream)
    fields = dict(fields)
    text = fields.pop("event", "x")

    get_logger("app").info(text, **fields)
    logging.getLogger("lib").info(text, extra=fields)
    logging.getLogger("lib").info("%s", {**fields, "event": text})

    written = stream.getvalue()
    assert SECRET not in written
    assert "20202020" not in written
    assert written.count("redacted") == 3


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_is_in_a_traceback(restored_logging: None, format: Any) -> None:
    stream = LogStream()
    configure_logging(format=format, stream=stream)
    try:
        raise ConnectionError("postgresql://ann:" + SECRET + "@db is away")
    except ConnectionError as exc:
        exc.add_note("asked with token=" + SECRET)
        get_logger("app").exception("no database")
    assert SECRET not in stream.getvalue()
    assert "postgresql://ann:[redacted]@db is away" in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = b",
        "x=1&page=2",
        "token: expected digits",
        "https://x.example:8000/a?b=c#d",
        "basic authentication is used here",
        "{'user': 'ann'}",
        "ratio=1.5, n=2",
        "http://x/a:b@c",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_only_the_value_is_hidden() -> None:
    text = "/a?page=2&token=abc&sort=up#part"
    assert redact_text(text) == f"/a?page=2&token={REDACTED}&sort=up#part"


def test_nothing_is_not_hidden(log: LogStream) -> None:
    get_logger("app").info("x", token=None)
    assert log.lines()[0]["token"] is None


def test_more_names_can_be_added(restored_logging: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redaction, "_added", set())
    monkeypatch.setattr(_redaction, "_known", {})
    stream = LogStream()
    assert not is_secret("iban")
    configure_logging(format="json", stream=stream, secret_names=["iban", "taxNumber"])
    get_logger("app").info("x", iban="DE02", customer_tax_number=7, url="/?iban=DE02&a=1")
    assert "DE02" not in stream.getvalue()
    assert stream.lines()[0]["customer_tax_number"] == REDACTED
    add_secret_names(())
    assert is_secret("iban")


@pytest.mark.parametrize(
    "text",
    ["a=" * 50_000, "'a': " * 20_000, "x" * 100_000 + "=", "://" * 30_000, "://a:" * 20_000,
     "bearer " * 20_000, "a='" * 30_000, '"a":"' * 20_000, "a=\"'" * 20_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_the_cost_is_bounded(text: str) -> None:
    begin = time.thread_time()
    redact_text(text)
    assert time.thread_time() - begin < 1


def test_names_that_clients_choose_are_not_kept_for_ever() -> None:
    for number in range(10_000):
        is_secret(f"name-{number}")
    assert len(_redaction._known) <= 2048
