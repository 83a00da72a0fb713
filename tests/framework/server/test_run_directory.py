from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from framework import folders
from framework.server.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "_MEMORY", tmp_path)
    return tmp_path


def test_it_is_private_and_named_after_the_service() -> None:
    directory = RunDirectory("my service-::1-8000")
    assert not directory.path.exists()
    directory.claim()
    assert directory.path.name == f"my_service-_1-8000-{os.getuid()}"
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700


def test_a_folder_that_others_can_read_is_refused(memory: Path) -> None:
    (memory / f"service-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(RuntimeError, match="remove it"):
        RunDirectory("service").claim()


def test_a_file_of_that_name_is_refused(memory: Path) -> None:
    (memory / f"service-{os.getuid()}").touch(mode=0o600)
    with pytest.raises(RuntimeError, match="remove it"):
        RunDirectory("service").claim()


def test_a_link_to_somewhere_else_is_refused(memory: Path) -> None:
    (memory / "elsewhere").mkdir(mode=0o700)
    (memory / f"service-{os.getuid()}").symlink_to(memory / "elsewhere")
    with pytest.raises(RuntimeError, match="remove it"):
        RunDirectory("service").claim()


def test_without_memory_it_is_in_the_temporary_folder(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MEMORY", memory / "missing")
    monkeypatch.setattr("tempfile.tempdir", str(memory / "tmp"))
    (memory / "tmp").mkdir()
    assert RunDirectory("service").path.parent == memory / "tmp"


def test_the_first_master_finds_it_empty() -> None:
    directory = RunDirectory("service")
    directory.path.mkdir(mode=0o700)
    (directory.path / "counter_0.db").touch()
    assert directory.claim() == 0
    assert list(directory.path.glob("*.db")) == []
    directory.release()


def test_a_second_master_has_another_number_and_removes_nothing() -> None:
    first, second, third = (RunDirectory("service") for _ in range(3))
    assert first.claim() == 0
    (first.path / "counter_0.db").touch()
    assert second.claim() == 1
    first.release()
    assert (second.path / "counter_0.db").exists()
    assert third.claim() == 0
    second.release()
    assert (third.path / "counter_0.db").exists()
    third.release()
    assert not third.path.exists()


def test_after_the_last_release_nothing_is_left_and_a_new_claim_works() -> None:
    directory = RunDirectory("service")
    directory.claim()
    directory.release()
    assert not directory.path.exists()
    assert RunDirectory("service").claim() == 0


def test_too_many_masters_are_refused() -> None:
    directories = [RunDirectory("service") for _ in range(9)]
    assert [directory.claim() for directory in directories[:8]] == list(range(8))
    with pytest.raises(RuntimeError, match="8 other masters"):
        directories[8].claim()
    for directory in directories[:8]:
        directory.release()
