"""What the deployed service puts on its answers: real workers, raw requests."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from tests.e2e.service import GUNICORN, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    env = {"ALLOWED_HOSTS": "api.example.com", "CORS_ORIGINS": "https://shop.example"}
    with Service(folder, (*GUNICORN, "app.main:app"), env) as running:
        yield running.wait_until_up()


def ask(
    service: Service, path: str, method: str = "GET", **fields: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    connection.request(method, path, headers={"Connection": "close", **headers})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.mark.parametrize("path", ["/", "/version", "/livez", "/nothing"])
def test_security_fields_are_on_every_answer(service: Service, path: str) -> None:
    response = ask(service, path)
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("X-Frame-Options") == "DENY"
    assert response.getheader("Referrer-Policy")
    assert response.getheader("Content-Security-Policy")
    assert response.getheader("X-Request-ID")
    assert response.getheader("Server") is None
    assert response.getheader("Strict-Transport-Security") is None


def test_behind_a_proxy_with_tls_browsers_are_told_to_stay_there(service: Service) -> None:
    response = ask(service, "/livez", X_Forwarded_Proto="https", Host="api.example.com")
    assert response.status == 200
    assert response.getheader("Strict-Transport-Security") == "max-age=31536000"


@pytest.mark.parametrize(("host", "status"), [("api.example.com", 200), ("evil.example", 400)])
def test_only_the_hosts_of_the_service_are_served(service: Service, host: str, status: int) -> None:
    response = ask(service, "/version", Host=host)
    assert response.status == status
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("X-Request-ID")


def test_a_preflight_of_a_listed_site_is_answered(service: Service) -> None:
    fields = {"Origin": "https://shop.example", "Access_Control_Request_Method": "POST"}
    response = ask(service, "/version", "OPTIONS", **fields)
    assert response.status == 200
    assert response.getheader("Access-Control-Allow-Origin") == "https://shop.example"
    assert (
        ask(service, "/version", "OPTIONS", **{**fields, "Origin": "https://x.example"}).status
        == 400
    )
