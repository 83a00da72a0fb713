"""Back ends by their URLs; what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.channels import Channels
from framework.channels.backends import build_backend
from framework.channels.memory import MemoryBackend
from framework.channels.redis import RedisBackend
from framework.channels.unix import UnixBackend


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryBackend),
        ("unix:///run/service/channels", UnixBackend),
        ("redis://localhost:6379/0", RedisBackend),
        ("rediss://user:secret@localhost", RedisBackend),
        ("redis+unix:///run/redis.sock", RedisBackend),
    ],
)
def test_a_url_names_a_back_end(url: str, kind: type[object]) -> None:
    assert type(build_backend(url)) is kind


def test_the_folder_is_the_path_of_the_url() -> None:
    backend = build_backend("unix:///run/a%20b/channels")
    assert isinstance(backend, UnixBackend)
    assert backend.folder == Path("/run/a b/channels")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "called ''; known are memory://, unix://, redis://"),
        ("kafka://user:geheim@host", "called 'kafka'"),
        ("memory://x", "must be memory://"),
        ("unix://", "an absolute path"),
        ("unix://relative/path", "an absolute path"),
        ("unix:///" + "x" * 100, "at most 81 bytes"),
        ("redis://", "needs a host or a path"),
    ],
)
def test_a_wrong_url_says_what_to_write(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        build_backend(url)
    assert "geheim" not in str(raised.value)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="history=-1"):
        Channels("memory://", history=-1)
    with pytest.raises(ValueError, match="log_bytes=1"):
        UnixBackend("/run/x", log_bytes=1)
    with pytest.raises(ValueError, match="stream_events=0"):
        RedisBackend("redis://localhost", stream_events=0)
