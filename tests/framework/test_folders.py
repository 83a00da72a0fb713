"""Folders that only one user can use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework import folders
from framework.folders import build_private_path, make_private


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(RuntimeError, match="only this user"):
        make_private(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(RuntimeError, match="only this user"):
        make_private(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="only this user"):
        make_private(tmp_path / "file")


def test_they_are_in_memory_where_that_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MEMORY", tmp_path)
    assert build_private_path("a") == tmp_path / f"a-{os.getuid()}"
    monkeypatch.setattr(folders, "_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    assert build_private_path("a") == tmp_path / "t" / f"a-{os.getuid()}"
