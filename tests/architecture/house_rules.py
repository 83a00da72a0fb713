"""The rules about the inside of a file. Each yields the violations it finds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.architecture.sources import Source, Violation

MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 50
TYPING_MODULE: Final = "framework.types"
NAMELESS_FILES: Final = frozenset({"common", "helpers", "misc", "util", "utils"})
# Starlette's name for it, which other packages import.
NAMED_BY_OTHERS: Final = frozenset({"framework._utils"})

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def find_long_files(source: Source) -> Iterator[Violation]:
    """A file has at most 400 lines."""
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield source.violation(
            MAX_FILE_LINES + 1, f"{lines} lines; a file has at most {MAX_FILE_LINES}: split it"
        )


def find_long_functions(source: Source) -> Iterator[Violation]:
    """A function has at most 50 lines, its docstring included."""
    for node in ast.walk(source.tree):
        if isinstance(node, FunctionNode) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield source.violation(
                    node,
                    f"{node.name} has {lines} lines; a function has at most {MAX_FUNCTION_LINES}",
                )


def find_nested_closures(source: Source) -> Iterator[Violation]:
    """A function inside a function has no function inside it."""
    yield from _find_nested(source, source.tree, 0)


def _find_nested(source: Source, parent: ast.AST, depth: int) -> Iterator[Violation]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, FunctionNode):
            if depth > 1:
                yield source.violation(
                    node, f"{node.name} is a closure inside a closure: make a class of it"
                )
            yield from _find_nested(source, node, depth + 1)
        else:
            yield from _find_nested(source, node, depth)


def find_late_imports(source: Source) -> Iterator[Violation]:
    """Imports stand at the top of the file, not in a function."""
    for function in ast.walk(source.tree):
        if isinstance(function, FunctionNode):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield source.violation(
                        node, f"import inside {function.name}: move what is shared further down"
                    )


def find_relative_imports(source: Source) -> Iterator[Violation]:
    """Imports are absolute."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield source.violation(node, "relative import: name the whole module")


def find_missing_future(source: Source) -> Iterator[Violation]:
    """Annotations are never evaluated: every file says so that holds more than assignments."""
    has_code = any(not isinstance(node, ast.Expr | ast.Assign) for node in source.tree.body)
    declared = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in source.tree.body
    )
    if has_code and not declared:
        yield source.violation(1, "from __future__ import annotations is missing")


def find_type_checking(source: Source) -> Iterator[Violation]:
    """`TYPE_CHECKING` bends the layers, so one module may use it."""
    if source.module == TYPING_MODULE:
        return
    for node in ast.walk(source.tree):
        is_name = isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
        is_attribute = isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING"
        if is_name or is_attribute:
            yield source.violation(node, f"TYPE_CHECKING outside {TYPING_MODULE}")


def find_asserts(source: Source) -> Iterator[Violation]:
    """`assert` disappears under -O, so it never checks a caller."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield source.violation(
                node, "assert: raise ValueError, TypeError or RuntimeError with value and remedy"
            )


def find_nameless_files(source: Source) -> Iterator[Violation]:
    """A file is named after its subject."""
    name = source.module.rpartition(".")[2]
    if name.strip("_") in NAMELESS_FILES and source.module not in NAMED_BY_OTHERS:
        yield source.violation(1, f"{name} names no subject: call the file after what it holds")


def find_export_faults(source: Source) -> Iterator[Violation]:
    """A public module of the framework has a sorted `__all__`."""
    if not is_public(source):
        return
    exported = _find_exports(source.tree)
    if exported is None:
        if any(not _is_docstring(node) for node in source.tree.body):
            yield source.violation(1, f"{source.module} is public and has no __all__")
        return
    node, names = exported
    if names != sorted(names, key=export_order):
        expected = sorted(names, key=export_order)
        yield source.violation(node, f"__all__ is not sorted; expected {expected!r}")


def is_public(source: Source) -> bool:
    """Say whether a module belongs to the public surface of the framework."""
    parts = source.module.split(".")
    return parts[0] == "framework" and len(parts) > 1 and not any(p[0] == "_" for p in parts)


def export_order(name: str) -> tuple[int, str]:
    """Order constants, then classes, then functions, as the linter's `__all__` rule does."""
    if name.isupper():
        return 0, name
    return (1 if name[:1].isupper() else 2), name


def find_package_contents(source: Source) -> Iterator[Violation]:
    """`framework/__init__.py` holds `__version__` and nothing else."""
    if source.module != "framework":
        return
    for node in source.tree.body:
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (_is_docstring(node) or is_future or _assigns(node, "__version__")):
            yield source.violation(node, "framework/__init__.py holds __version__ and nothing else")


def _find_exports(tree: ast.Module) -> tuple[ast.stmt, list[str]] | None:
    for node in tree.body:
        if _assigns(node, "__all__") and isinstance(node, ast.Assign | ast.AnnAssign):
            return node, list(ast.literal_eval(node.value)) if node.value is not None else []
    return None


def _assigns(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        return False
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
