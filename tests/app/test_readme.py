"""The README says what is true: tables, commands, links.

`hello/test_readme_steps.py` has what it tells about the example slice.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings, render_settings_table
from framework.routing.listing import list_routes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP_README = (ROOT / "app" / "README.md").read_text(encoding="utf-8")
SETTINGS_BEGIN = "<!-- settings: made by `python -m app.settings` -->\n"
SETTINGS_END = "<!-- end of settings -->\n"


def read_section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def read_first_column(title: str) -> list[str]:
    rows = [line for line in read_section(title).splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


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
    # Links to other sites are not followed.
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in titles}, target


def test_pictures_are_small() -> None:
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert 0 < (ROOT / picture).stat().st_size < 150_000, picture


def test_the_table_of_the_app_has_every_route() -> None:
    lines = list_routes(create_app(Settings()).routes)
    answered = {(method, line.path) for line in lines for method in line.methods.split(",")}
    rows = re.findall(r"^\| `([A-Z]+|\*) (\S+)` \|", APP_README, re.MULTILINE)

    assert sorted(rows) == sorted(row for row in answered if row[0] != "HEAD")
