"""Python files of this repository, parsed once: what the rules look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN_PACKAGES = ("framework", "app")


@dataclass(frozen=True)
class Violation:
    """A broken rule, with the place to look at."""

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


@dataclass(frozen=True)
class Import:
    """One imported module name; `name` is set for `from module import name`."""

    line: int
    module: str
    name: str | None = None

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """One Python file: its dotted module name, its path and its text."""

    module: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @cached_property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import of the file, at the top or not; not the ones for type checkers only."""
        return tuple(_find_imports(self.tree))

    def violation(self, node: ast.AST | int, rule: str) -> Violation:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Violation(self.path, line, rule)


def _find_imports(parent: ast.AST) -> Iterator[Import]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield Import(node.lineno, node.module, alias.name)
        elif not _is_type_checking(node):
            yield from _find_imports(node)


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def read_sources(*folders: str) -> tuple[Source, ...]:
    """Parse the Python files below the given top level folders, sorted by path."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(
        Source(_module_name(path), path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
        for path in paths
    )


def _module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def edges(source: Source, modules: frozenset[str]) -> Iterator[tuple[Import, str]]:
    """Yield the imports of `source` that name own modules, with the module each one names."""
    for item in source.imports:
        qualified = f"{item.module}.{item.name}"
        if item.name is not None and qualified in modules:
            yield item, qualified
        elif item.module in modules or item.top in OWN_PACKAGES:
            yield item, item.module
