from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework.server import cpus
from framework.server.cpus import default_workers, usable_cpus


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def count(tmp_path: Path, membership: str, files: dict[str, str]) -> int:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return usable_cpus(cgroups=tmp_path / "cgroup", membership=tmp_path / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, 64, id="v2, no quota"),
        pytest.param("0::/\n", {"cpu.max": "200000 100000\n"}, 2, id="v2, in a container"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 2, id="v2, part of a CPU"),
        pytest.param("0::/\n", {"cpu.max": "10000 100000\n"}, 1, id="v2, less than one"),
        pytest.param(
            "0::/a/b\n",
            {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"},
            3,
            id="v2, the group around has the quota",
        ),
        pytest.param(
            "0::/a/b\n",
            {"a/b/cpu.max": "400000 100000", "a/cpu.max": "800000 100000"},
            4,
            id="v2, the smallest quota counts",
        ),
        pytest.param(
            "0::/host/path\n", {"cpu.max": "500000 100000"}, 5, id="v2, the path is the host's"
        ),
        pytest.param(
            "4:cpu,cpuacct:/a\n3:memory:/b\n",
            {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            3,
            id="v1",
        ),
        pytest.param(
            "4:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            64,
            id="v1, no quota",
        ),
        pytest.param("0::/\n", {"cpu.max": "nonsense"}, 64, id="unreadable"),
        pytest.param("0::/\n", {}, 64, id="no files"),
    ],
)
def test_quotas_limit_the_cpus(
    tmp_path: Path, membership: str, files: dict[str, str], expected: int
) -> None:
    assert count(tmp_path, membership, files) == expected


def test_affinity_limits_the_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert count(tmp_path, "0::/\n", {"cpu.max": "800000 100000"}) == 3


def test_without_affinity_and_groups_all_cpus_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert usable_cpus(cgroups=tmp_path, membership=tmp_path / "missing") == 12


@pytest.mark.parametrize(("usable", "expected"), [(1, 2), (2, 2), (5, 5), (8, 8), (64, 8)])
def test_workers_are_2_to_8(monkeypatch: pytest.MonkeyPatch, usable: int, expected: int) -> None:
    monkeypatch.setattr(cpus, "usable_cpus", lambda: usable)
    assert default_workers() == expected
