"""Every `# PERF:` comment of the framework has a row that gets slower without it."""

from __future__ import annotations

from pathlib import Path

from load.bench.cases import list_cases
from load.bench.channels import SYSTEMS
from load.bench.core.cases import list_cases as list_core_cases
from load.bench.coverage import ROWS
from load.bench.server import SETUPS

FRAMEWORK = Path(__file__).resolve().parents[2] / "framework"


def find_modules() -> set[str]:
    """Return the modules with such a comment, named below `framework`."""
    return {
        ".".join(path.relative_to(FRAMEWORK).with_suffix("").parts).removesuffix(".__init__")
        for path in FRAMEWORK.rglob("*.py")
        if "# PERF: " in path.read_text(encoding="utf-8")
    }


def test_every_optimisation_has_a_row() -> None:
    missing = sorted(find_modules() - set(ROWS))
    assert not missing, f"name a row that measures them in load/bench/coverage.py: {missing}"


def test_no_row_is_named_for_an_optimisation_that_is_gone() -> None:
    gone = sorted(set(ROWS) - find_modules())
    assert not gone, f"take them out of load/bench/coverage.py: {gone}"


def test_every_named_row_is_there() -> None:
    rows = {case.name for case in list_cases(own=True)} | {case.name for case in list_core_cases()}
    rows |= {setup.name for setup in SETUPS} | {system.name for system in SYSTEMS}
    assert not sorted(set(ROWS.values()) - rows)
