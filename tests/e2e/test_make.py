"""The commands, as far as they can be tried without installing anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.service import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def add_python(clone: Path, name: str, *, version: str = "3.12.1", venv: bool = True) -> None:
    """Make an interpreter that notes what it was asked to do."""
    script = clone / "bin" / name
    minor = int(version.split(".")[1])
    script.write_text(f"""#!/bin/sh
case "$*" in
    *version_info\\ \\<*) exit {int(minor < 11)} ;;
    *ensurepip*) exit {int(not venv)} ;;
    *-venv*) echo python3.{minor}-venv ;;
    --version) echo Python {version} ;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *) echo "$*" >> calls ;;
esac
""")
    script.chmod(0o755)


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("make", *arguments),
        cwd=clone,
        env={"PATH": f"{clone / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def use(clone: Path, *names: str) -> str:
    return f"PYTHON={' '.join(str(clone / 'bin' / name) for name in names)}"


def test_make_alone_lists_every_command_in_one_line_each() -> None:
    result = make(ROOT)
    assert result.returncode == 0
    listed = re.findall(r"^make ([a-z]+) +\S.*$", result.stdout, re.MULTILINE)
    declared = re.findall(r"^\.PHONY: ([a-z]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == declared
    assert len(result.stdout.splitlines()) == len(listed)
    assert {"run", "dev", "test", "check", "bench", "load", "image", "up", "down"} <= set(listed)


def test_the_first_run_installs_the_lock_and_the_second_does_not(clone: Path) -> None:
    add_python(clone, "good")
    first = make(clone, "run", use(clone, "good"))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "Making .venv with Python 3.12.1\nInstalling requirements.lock\n"
    install, serve = (clone / "calls").read_text().splitlines()
    assert "--require-hashes --requirement requirements.lock" in install
    assert serve == "-m deploy.serve"
    second = make(clone, "run", use(clone, "good"))
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert (clone / "calls").read_text().splitlines()[2:] == ["-m deploy.serve"]


def test_a_changed_lock_is_installed_again(clone: Path) -> None:
    add_python(clone, "good")
    make(clone, "run", use(clone, "good"))
    stamp = (clone / ".venv" / "installed").stat().st_mtime_ns
    lock = clone / "requirements.lock"
    shutil.copy(ROOT / "requirements.lock", lock)
    times = lock.stat()
    subprocess.run(("touch", "-d", "+1 minute", str(lock)), check=True, timeout=5)
    assert lock.stat().st_mtime_ns > max(stamp, times.st_mtime_ns)
    assert "Installing requirements.lock" in make(clone, "run").stdout


def test_a_failed_installation_is_tried_again(clone: Path) -> None:
    add_python(clone, "good")
    make(clone, ".venv/bin/python", use(clone, "good"))
    (clone / ".venv" / "bin" / "python").write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    for _ in range(2):
        result = make(clone, "run")
        assert result.returncode != 0
        assert result.stderr.startswith("no network\n")


def test_tests_need_one_installation_and_cover_the_one_for_run(clone: Path) -> None:
    add_python(clone, "good")
    assert make(clone, "test", use(clone, "good")).stdout.endswith(
        "Installing requirements-dev.lock\n"
    )
    assert make(clone, "run").stdout == ""


def test_an_old_python_is_passed_over(clone: Path) -> None:
    add_python(clone, "old", version="3.10.13")
    add_python(clone, "good")
    result = make(clone, "run", use(clone, "missing", "old", "good"))
    assert "Making .venv with Python 3.12.1" in result.stdout


def test_without_a_new_python_one_line_says_what_to_do(clone: Path) -> None:
    add_python(clone, "old", version="3.10.13")
    result = make(clone, "run", use(clone, "old", "missing"))
    assert result.returncode != 0
    line, *rest = result.stderr.splitlines()
    assert line.startswith("Python 3.11 or newer is needed")
    assert all(text.startswith("make: ") for text in rest)


def test_without_the_venv_module_one_line_names_the_package(clone: Path) -> None:
    add_python(clone, "bare", venv=False)
    result = make(clone, "run", use(clone, "bare"))
    assert result.returncode != 0
    line, *rest = result.stderr.splitlines()
    assert line.endswith("(Debian, Ubuntu: apt install python3.12-venv)")
    assert all(text.startswith("make: ") for text in rest)


def test_another_python_is_taken_when_the_first_cannot_make_environments(clone: Path) -> None:
    add_python(clone, "bare", version="3.13.0", venv=False)
    add_python(clone, "good")
    assert "Python 3.12.1" in make(clone, "run", use(clone, "bare", "good")).stdout


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_hashes_and_name_no_place(name: str) -> None:
    text = (ROOT / name).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert len(lines) > 10
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ]* ", block)
        assert "--hash=sha256:" in block
    for place in ("://", "file:", "--index", "--find-links", " @ "):
        assert place not in text


def test_the_second_lock_holds_the_first() -> None:
    runtime, development = (
        set(re.findall(r"^([a-z0-9-]+==[^ ]+) ", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime <= development
