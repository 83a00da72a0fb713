"""What the README tells about the example slice: its answer, and the first endpoint beside it.

It goes with the slice.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from framework.testclient import TestClient

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def read_section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def read_steps() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the new files of the first endpoint by path, and the hunks of the changed ones."""
    section = read_section("Add your first endpoint")
    files: dict[str, str] = {}
    changes: dict[str, list[str]] = {}
    for before, language, code in re.findall(r"([^\n]*)\n```(\w+)\n(.*?)```", section, re.DOTALL):
        [path] = re.findall(r"`([\w/]+\.(?:py|md))`", before)
        if language == "diff":
            changes[path] = code.split("@@\n")
        else:
            files[path] = code
    return files, changes


def apply_hunk(text: str, hunk: str) -> str:
    """Return `text` with the change made; as it is where somebody has made it already."""
    lines = hunk.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    if new in text:
        return text
    assert text.count(old) == 1, (
        f"the README shows a change to these lines, which are not there:\n{old}"
    )
    return text.replace(old, new)


def test_the_shown_problem_is_what_the_service_answers(client: TestClient) -> None:
    [sent] = re.findall(r"--json '(.*5.*)'", read_section("Try it"))
    [shown] = re.findall(r"```json\n(.*?)```", read_section("Try it"), re.DOTALL)
    headers = {"Content-Type": "application/json"}

    answered = client.post("/hello", content=sent, headers=headers).json()

    assert {**answered, "request_id": ""} == {**json.loads(shown), "request_id": ""}


def test_the_first_endpoint_works_as_it_is_told(tmp_path: Path) -> None:
    """Follow the steps in a copy of the service, then run the shown test and the linter."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("tests/conftest.py", "tests/clients.py", "tests/app/conftest.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for path in ("framework", "pyproject.toml", "README.md"):
        (tmp_path / path).symlink_to(ROOT / path)
    files, changes = read_steps()
    assert list(files) == [
        "app/dice/__init__.py",
        "app/dice/routes.py",
        "tests/app/dice/test_dice.py",
    ]
    for path, code in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code, encoding="utf-8")
    assert list(changes) == ["app/main.py", "app/README.md"]
    for path, hunks in changes.items():
        text = functools.reduce(apply_hunk, hunks, (tmp_path / path).read_text(encoding="utf-8"))
        (tmp_path / path).write_text(text, encoding="utf-8")

    # A fork may have imports that belong between the two lines; `make format` sorts them.
    run(tmp_path, "ruff", "check", "--no-cache", "--select=I", "--fix", "app/main.py")

    tested = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "tests/app/dice")
    linted = run(tmp_path, "ruff", "check", "--no-cache", "app", "tests/app/dice")
    formatted = run(tmp_path, "ruff", "format", "--no-cache", "--check", "app", "tests/app/dice")

    [route] = re.findall(r'Route\("([^"]+)"', files["app/dice/routes.py"])
    assert f"\n| `GET {route}` |" in (tmp_path / "app/README.md").read_text(encoding="utf-8")
    assert "4 passed" in tested.stdout, tested.stdout
    assert linted.returncode == 0, linted.stdout
    assert formatted.returncode == 0, formatted.stdout


def run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
