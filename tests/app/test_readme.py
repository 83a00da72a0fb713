"""The README says what is true: tables, commands, links, and the first endpoint step by step."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings, render_settings_table
from framework.routing import Route
from framework.testclient import TestClient

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP_README = (ROOT / "app" / "README.md").read_text(encoding="utf-8")
SETTINGS_BEGIN = "<!-- settings: made by `python -m app.settings` -->\n"
SETTINGS_END = "<!-- end of settings -->\n"
# What a slice adds to `app/main.py`.
ADDED_SLICES = re.compile(
    r"from app\.(?!hello\.)\w+\.routes import routes as \w+\n|,\s*\*(?!hello_)\w+_routes"
)


def read_section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def read_first_column(title: str) -> list[str]:
    rows = [line for line in read_section(title).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


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
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_shown_problem_is_what_the_service_answers(client: TestClient) -> None:
    [sent] = re.findall(r"--json '(.*5.*)'", read_section("Try it"))
    [shown] = re.findall(r"```json\n(.*?)```", read_section("Try it"), re.DOTALL)
    headers = {"Content-Type": "application/json"}

    answered = client.post("/hello", content=sent, headers=headers).json()

    assert {**answered, "request_id": ""} == {**json.loads(shown), "request_id": ""}


def test_the_settings_table_is_the_one_that_the_settings_make() -> None:
    table = README.split(SETTINGS_BEGIN)[1].split(SETTINGS_END)[0]

    assert table == render_settings_table(), "put in what `python -m app.settings` prints"


def test_every_dependency_has_one_row_with_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    packages = [re.split(r"[<>=;\[ ]", requirement)[0] for requirement in named]

    assert read_first_column("Dependencies") == packages


def test_every_command_of_the_makefile_has_a_row_and_every_row_a_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    rows = [name.removeprefix("make").strip() for name in read_first_column("Commands")]

    assert sorted(rows) == sorted("" if target == "help" else target for target in targets)


def test_everything_in_the_layout_is_there() -> None:
    for path in read_first_column("Layout"):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["README.md", "app/README.md"])
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve()
        assert linked.is_file(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in titles}, target


def test_pictures_are_small() -> None:
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert 0 < (ROOT / picture).stat().st_size < 150_000, picture


def test_the_table_of_the_app_has_every_route() -> None:
    routes = [route for route in create_app(Settings()).routes if isinstance(route, Route)]
    methods = {(method, route.path) for route in routes for method in route.methods or ()}
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", APP_README, re.MULTILINE)

    assert sorted(rows) == sorted(row for row in methods if row[0] != "HEAD")


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
    # As it was before anybody added a slice to `hello`.
    main = tmp_path / "app/main.py"
    text = main.read_text(encoding="utf-8")
    main.write_text(ADDED_SLICES.sub("", text), encoding="utf-8")
    assert list(changes) == ["app/main.py", "app/README.md"]
    for path, hunks in changes.items():
        text = functools.reduce(apply_hunk, hunks, (tmp_path / path).read_text(encoding="utf-8"))
        (tmp_path / path).write_text(text, encoding="utf-8")

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
