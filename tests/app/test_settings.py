"""Settings: read once, checked whole, refused in one line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from app.settings import Settings, SettingsError, load_settings, render_settings_table

ROOT = Path(__file__).parents[2]
FIELDS = dataclasses.fields(Settings)

# For every variable: a text that is allowed, and the value it stands for.
ALLOWED: dict[str, tuple[str, Any]] = {
    "SERVICE_NAME": ("Harbour 2", "Harbour 2"),
    "HOST": ("::1", "::1"),
    "PORT": ("8080", 8080),
    "UDS": ("/run/slipway/web.sock", "/run/slipway/web.sock"),
    "HTTP": ("ZTTP", "zttp"),
    "WEB_CONCURRENCY": ("3", 3),
    "METRICS_HOST": ("my-host.example", "my-host.example"),
    "METRICS_PORT": ("0", 0),
    "LOG_LEVEL": ("warning", "WARNING"),
    "LOG_FORMAT": ("JSON", "json"),
    "LOG_PROBES": ("no", False),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://otel:4318/v1", "http://otel:4318/v1"),
    "GRAFANA_URL": ("https://grafana.example.com/d/x?a=b", "https://grafana.example.com/d/x?a=b"),
    "PROMETHEUS_URL": ("http://[::1]:9090", "http://[::1]:9090"),
    "DEBUG": ("yes", True),
    "MAX_BODY_BYTES": ("10", 10),
    "ALLOWED_HOSTS": ("example.com, *.example.org", ("example.com", "*.example.org")),
    "CORS_ORIGINS": ("https://example.com,http://a:1", ("https://example.com", "http://a:1")),
    "HTTPS_ONLY": ("1", True),
    "RATE_LIMIT": ("60", 60),
    "MAX_IN_FLIGHT": ("5", 5),
    "REQUEST_TIMEOUT": ("5", 5),
    "READINESS_TIMEOUT": ("0.5", 0.5),
    "WORKER_TIMEOUT": ("60", 60),
    "GRACEFUL_TIMEOUT": ("5", 5),
    "STOP_GRACE_PERIOD": ("60", 60),
    "DRAIN_SECONDS": ("0", 0.0),
    "KEEPALIVE": ("20", 20),
    "FIRST_BYTE_TIMEOUT": ("5", 5),
    "HEADER_TIMEOUT": ("5", 5),
    "BODY_TIMEOUT": ("5", 5),
    "STALL_TIMEOUT": ("5", 5),
    "MAX_REQUESTS": ("0", 0),
    "MAX_REQUESTS_JITTER": ("0", 0),
    "MAX_RSS": ("0", 0),
    "CHANNELS_URL": ("redis://cache:6379/1", "redis://cache:6379/1"),
    "DEMO": ("on", True),
    "JOBS_URL": ("postgresql://u:p@db/jobs", "postgresql://u:p@db/jobs"),
    "JOBS_METRICS_PORT": ("0", 0),
    "JOBS_CONCURRENCY": ("1", 1),
    "FORWARDED_ALLOW_IPS": ("10.0.0.0/8, ::1", "10.0.0.0/8,::1"),
    "GIT_REVISION": ("3f9c1ab", "3f9c1ab"),
}
REFUSED: dict[str, tuple[str, ...]] = {
    "SERVICE_NAME": ("<b>", "a" * 64, "$name"),
    "HOST": ("127.0.0.1:80", "a b", "999.1.1.1", "12", "http://x", "-x", "[::1]", "::g"),
    "PORT": ("0", "65536", "-1", "+1", "1_0", "1.0", "abc", "٣", "9" * 5000),
    "UDS": ("web.sock", "unix:/web.sock", "/", "/a b", "/" + "a" * 100, "/ä"),
    "HTTP": ("h11", "auto"),
    "WEB_CONCURRENCY": ("0", "257", "auto"),
    "METRICS_HOST": ("*", "127.0.0.1/8"),
    "METRICS_PORT": ("65536", "off"),
    "LOG_LEVEL": ("loud", "10"),
    "LOG_FORMAT": ("xml",),
    "LOG_PROBES": ("some",),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("otel:4318", "grpc://otel:4317", "http://u:p@otel", "http://"),
    "GRAFANA_URL": ("grafana:3000", "javascript:alert(1)", "http://u:p@grafana", 'http://a/"b'),
    "PROMETHEUS_URL": ("prometheus:9090", "http://", "http://a b"),
    "DEBUG": ("maybe", "2"),
    "MAX_BODY_BYTES": ("0", "1MB", str(2**31)),
    "ALLOWED_HOSTS": ("a b", "example.com:80", "http://a", "a,,b", "*.*.a"),
    "CORS_ORIGINS": ("example.com", "*", "https://a/", "https://a,", "null"),
    "HTTPS_ONLY": ("maybe",),
    "RATE_LIMIT": ("-1", "5/s"),
    "MAX_IN_FLIGHT": ("0", "x"),
    "REQUEST_TIMEOUT": ("0", "x"),
    "READINESS_TIMEOUT": ("0", "nan", "inf", "1e1", "60.1", "-1"),
    "WORKER_TIMEOUT": ("0", "2", "3601", "30s"),
    "GRACEFUL_TIMEOUT": ("0", "x"),
    "STOP_GRACE_PERIOD": ("0", "35s"),
    "DRAIN_SECONDS": ("-1", "60.1", "x"),
    "KEEPALIVE": ("0", "x"),
    "FIRST_BYTE_TIMEOUT": ("0", "x"),
    "HEADER_TIMEOUT": ("0", "3601"),
    "BODY_TIMEOUT": ("0", "1.5"),
    "STALL_TIMEOUT": ("0", "-1"),
    "MAX_REQUESTS": ("-1", "x"),
    "MAX_REQUESTS_JITTER": ("-1", "x"),
    "MAX_RSS": ("-1", "1GB"),
    "CHANNELS_URL": ("http://cache", "unix://relative", "redis"),
    "DEMO": ("maybe",),
    "JOBS_URL": (
        "jobs.sqlite",
        "sqlite://",
        "sqlite:///",
        "mysql://u:p@db/jobs",
        "postgresql://db",
    ),
    "JOBS_METRICS_PORT": ("65536", "off"),
    "JOBS_CONCURRENCY": ("0", "1001", "many"),
    "FORWARDED_ALLOW_IPS": ("localhost", "10.0.0.0/33", "*,::1", "10.0.0.1,"),
    "GIT_REVISION": ("$HOME", "a b", "a" * 65),
}

# These may hold a password.
SECRET = {item.metadata["env"] for item in FIELDS if item.metadata["secret"]}


def test_a_password_is_neither_in_an_error_nor_in_the_repr() -> None:
    assert "JOBS_URL" in SECRET
    assert "hidden" not in repr(load_settings({"JOBS_URL": "postgresql://u:hidden@db/jobs"}))
    with pytest.raises(SettingsError) as caught:
        load_settings({"JOBS_URL": "postgres://u:hidden@db/jobs"})
    assert "hidden" not in str(caught.value)


def test_every_variable_is_in_the_tables_of_this_test() -> None:
    names = [item.metadata["env"] for item in FIELDS]

    assert list(ALLOWED) == names
    assert list(REFUSED) == names


def test_without_variables_every_setting_has_its_default() -> None:
    assert load_settings({}) == Settings()
    assert Settings().host == "127.0.0.1"
    assert Settings().web_concurrency is None


@pytest.mark.parametrize("item", FIELDS, ids=lambda item: item.name)
def test_a_variable_sets_its_field(item: dataclasses.Field[Any]) -> None:
    env = item.metadata["env"]
    text, expected = ALLOWED[env]

    assert getattr(load_settings({env: text}), item.name) == expected


@pytest.mark.parametrize("item", FIELDS, ids=lambda item: item.name)
@pytest.mark.parametrize("text", ["", "  "], ids=["empty", "blank"])
def test_an_empty_variable_is_one_that_is_not_set(item: dataclasses.Field[Any], text: str) -> None:
    assert load_settings({item.metadata["env"]: text}) == Settings()


@pytest.mark.parametrize("item", FIELDS, ids=lambda item: item.name)
def test_a_default_is_allowed_where_it_is_written_out(item: dataclasses.Field[Any]) -> None:
    if item.metadata["shown"]:
        assert item.default in {None, "", ()}
    else:
        assert load_settings({item.metadata["env"]: str(item.default)}) == Settings()


@pytest.mark.parametrize(
    ("env", "text"), [(env, text) for env, texts in REFUSED.items() for text in texts]
)
def test_a_wrong_value_is_refused_in_one_line_with_variable_value_and_remedy(
    env: str, text: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({env: text})

    message = str(caught.value)
    given = env if env in SECRET else f"{env}={text!r}"
    assert message.startswith(f"{given} is not allowed: use ")
    assert len(message.splitlines()) == 1
    assert caught.value.__suppress_context__


@given(st.dictionaries(st.sampled_from(list(ALLOWED)), st.text(max_size=20)))
def test_whatever_is_set_gives_settings_or_a_settings_error_of_one_line(
    environ: dict[str, str],
) -> None:
    message = ""
    try:
        load_settings(environ)
    except SettingsError as exc:
        message = str(exc)

    assert len(message.splitlines()) <= 1


SAME_PORT = (
    "METRICS_PORT=9000 is not allowed with PORT=9000: use another METRICS_PORT, or 0 to turn "
    "metrics off"
)
SAME_METRICS_PORT = (
    "JOBS_METRICS_PORT=9000 is not allowed with METRICS_PORT=9000: use another JOBS_METRICS_PORT, or "
    "0 to turn the metrics of job workers off"
)
LONG_GRACE = (
    "GRACEFUL_TIMEOUT=30 is not allowed with WORKER_TIMEOUT=30: use a smaller GRACEFUL_TIMEOUT "
    "or a larger WORKER_TIMEOUT"
)
LONG_DRAIN = (
    "DRAIN_SECONDS=5.0 is not allowed with GRACEFUL_TIMEOUT=5: use a smaller DRAIN_SECONDS "
    "or a larger GRACEFUL_TIMEOUT"
)
KILLED_EARLY = (
    "GRACEFUL_TIMEOUT=40 is not allowed with STOP_GRACE_PERIOD=35: use a smaller GRACEFUL_TIMEOUT "
    "or a larger STOP_GRACE_PERIOD"
)
SLOW_HEADER = (
    "HEADER_TIMEOUT=76 is not allowed with KEEPALIVE=75: use a smaller HEADER_TIMEOUT "
    "or a larger KEEPALIVE"
)
SHORT_KEEPALIVE = (
    "FIRST_BYTE_TIMEOUT=15 is not allowed with KEEPALIVE=14: use a smaller FIRST_BYTE_TIMEOUT "
    "or a larger KEEPALIVE"
)
WIDE_JITTER = (
    "MAX_REQUESTS_JITTER=4000 is not allowed with MAX_REQUESTS=100: set "
    "MAX_REQUESTS_JITTER to at most 100, or MAX_REQUESTS to at least 4000"
)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GRACEFUL_TIMEOUT": "30"}, LONG_GRACE),
        ({"GRACEFUL_TIMEOUT": "40", "WORKER_TIMEOUT": "60"}, KILLED_EARLY),
        ({"DRAIN_SECONDS": "5", "GRACEFUL_TIMEOUT": "5"}, LONG_DRAIN),
        ({"HEADER_TIMEOUT": "76"}, SLOW_HEADER),
        ({"KEEPALIVE": "14"}, SHORT_KEEPALIVE),
        ({"MAX_REQUESTS": "100"}, WIDE_JITTER),
        ({"PORT": "9000"}, SAME_PORT),
        ({"PORT": "9000", "HOST": "0.0.0.0"}, SAME_PORT),
        ({"PORT": "9000", "METRICS_HOST": "::"}, SAME_PORT),
        ({"JOBS_METRICS_PORT": "9000"}, SAME_METRICS_PORT),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "environ",
    [
        {"GRACEFUL_TIMEOUT": "30", "WORKER_TIMEOUT": "31"},
        {"DRAIN_SECONDS": "4.9", "GRACEFUL_TIMEOUT": "5"},
        {"GRACEFUL_TIMEOUT": "30", "WORKER_TIMEOUT": "60", "STOP_GRACE_PERIOD": "31"},
        {"KEEPALIVE": "15"},
        {"PORT": "9000", "UDS": "/run/web.sock"},
        {"MAX_REQUESTS": "100", "MAX_REQUESTS_JITTER": "100"},
        {"MAX_REQUESTS": "0"},
        {"PORT": "9000", "HOST": "127.0.0.2"},
        {"PORT": "9000", "METRICS_PORT": "0"},
        {"JOBS_METRICS_PORT": "0", "METRICS_PORT": "0"},
    ],
)
def test_settings_at_the_edge_of_a_contradiction_are_allowed(environ: dict[str, str]) -> None:
    load_settings(environ)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_reading_settings_loads_no_third_party_package() -> None:
    """The gunicorn master reads them before the metrics library may be imported."""
    code = (
        "import sys; import app.settings; "
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "{'prometheus_client', 'structlog', 'msgspec', 'anyio', 'uvicorn', 'gunicorn'}])"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_the_module_prints_its_table() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.settings"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == render_settings_table()
    assert done.stdout.count("\n") == len(FIELDS) + 2
