"""The layers of the service, as a client meets them."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from app.main import create_app
from app.problems import read_json
from app.settings import Settings
from framework.requests import Request
from framework.responses import JSONResponse
from framework.testclient import TestClient
from tests.clients import ClientFactory

SITE = "https://shop.example"
SECURITY_FIELDS = (
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
)


@pytest.mark.parametrize("path", ["/", "/livez", "/nothing", "/version", "/version/"])
def test_every_answer_makes_browsers_careful(client: TestClient, path: str) -> None:
    response = client.get(path, follow_redirects=False)
    for field in SECURITY_FIELDS:
        assert len(response.headers.get_list(field)) == 1, field
    assert "strict-transport-security" not in response.headers


def test_over_tls_browsers_are_told_to_stay_there(
    client_factory: ClientFactory, settings: Settings
) -> None:
    client = client_factory(create_app(settings), base_url="https://testserver")
    assert client.get("/livez").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("localhost", 200),
        ("app", 200),
        ("tabs.localhost", 200),
        ("api.example.com", 200),
        ("API.example.com:443", 200),
        ("evil.example", 400),
        ("example.com", 400),
        ("127.0.0.1.evil.example", 400),
        ("a/b", 400),
    ],
)
def test_hosts_of_others_are_refused(
    client_factory: ClientFactory, settings: Settings, host: str, status: int
) -> None:
    app = create_app(replace(settings, allowed_hosts=("api.example.com",)))
    assert client_factory(app).get("/version", headers={"Host": host}).status_code == status


def test_a_form_of_another_site_is_refused_with_a_problem(client: TestClient) -> None:
    response = client.post("/version", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


def test_a_site_that_is_listed_may_call_the_service_and_read_its_errors(
    client_factory: ClientFactory, settings: Settings
) -> None:
    app = create_app(replace(settings, cors_origins=(SITE,)))
    app.add_route("/sums", add, methods=["POST"])
    client = client_factory(app)
    fields = {"Origin": SITE, "Sec-Fetch-Site": "cross-site"}
    for body, status in (([1, 2], 200), (["x"], 422)):
        response = client.post("/sums", json=body, headers=fields)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == SITE
    assert (
        "access-control-allow-origin"
        not in client.get("/livez", headers={"Origin": "https://x"}).headers
    )


async def add(request: Request[Any]) -> JSONResponse:
    return JSONResponse(sum(await read_json(request, list[int])))


def test_long_answers_are_compressed_and_unchanged_ones_not_sent_again(client: TestClient) -> None:
    plain = client.get("/readme", headers={"Accept-Encoding": "identity"})
    packed = client.get("/readme", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(gzip.compress(plain.content)) * 1.1
    again = client.get("/readme", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_client_that_asks_too_often_waits_and_probes_never_do(
    client_factory: ClientFactory, settings: Settings
) -> None:
    app = create_app(replace(settings, rate_limit=3))
    # All processes of the machine count together, those of tests that have just run, too.
    stranger = (str(IPv4Address(random.getrandbits(32))), 50000)
    with client_factory(app, client=stranger) as client:
        answers = [client.get("/version") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["content-type"] == "application/problem+json"
        assert int(answers[-1].headers["retry-after"]) > 0
        assert client.get("/livez").status_code == 200


def test_plain_http_is_sent_to_tls_when_that_is_asked_for(
    client_factory: ClientFactory, settings: Settings
) -> None:
    client = client_factory(create_app(replace(settings, https_only=True)))
    response = client.get("/version?x=1", follow_redirects=False)
    assert response.status_code == 307
    assert response.headers["location"] == "https://testserver/version?x=1"
