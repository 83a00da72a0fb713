"""The rules about who imports whom. Each yields the violations it finds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from tests.architecture import listing
from tests.architecture.sources import OWN_PACKAGES, Import, Source, Violation, edges

# Of the web workers, and of the job workers.
COMPOSITION_ROOTS = ("app.main", "app.work")


def find_upward_imports(source: Source, modules: frozenset[str]) -> Iterator[Violation]:
    """A module imports only modules listed above it."""
    rank = listing.find_rank(source.module)
    if rank is None:
        yield source.violation(1, f"{source.module} is not in the listing; give it its place there")
        return
    for item, target in edges(source, modules):
        target_rank = listing.find_rank(target)
        if target_rank is None or target_rank > rank:
            yield source.violation(
                item.line, f"imports {target}, which is not listed above {source.module}"
            )


def find_framework_to_app(source: Source) -> Iterator[Violation]:
    """The framework never imports the app."""
    if source.package == "framework":
        for item in source.imports:
            if item.top == "app":
                yield source.violation(item.line, f"the framework imports {item.module}")


def find_slice_crossings(source: Source, modules: frozenset[str]) -> Iterator[Violation]:
    """A slice imports no other slice, durable jobs apart; only the composition roots see them."""
    if source.package != "app" or source.module in COMPOSITION_ROOTS:
        return
    own = find_slice(source.module, modules)
    for item, target in edges(source, modules):
        other = None if target in listing.JOBS else find_slice(target, modules)
        if other is not None and other != own:
            yield source.violation(
                item.line,
                f"imports slice app.{other}; only {' and '.join(COMPOSITION_ROOTS)} may see it",
            )


def find_slice(module: str, modules: frozenset[str]) -> str | None:
    """Return the name of the slice (a package below `app`) that a module belongs to."""
    parts = module.split(".")
    if parts[0] != "app" or len(parts) < 2:
        return None
    package = ".".join(parts[:2])
    is_package = any(other.startswith(package + ".") for other in modules)
    return parts[1] if is_package else None


def find_routing_in_middleware(source: Source) -> Iterator[Violation]:
    """Middleware reads `scope["route"]` and never imports routing."""
    if source.module.startswith("framework.middleware"):
        for item in source.imports:
            if f"{item.module}.{item.name}.".startswith("framework.routing."):
                yield source.violation(item.line, "middleware imports framework.routing")


def find_testclient_imports(source: Source, modules: frozenset[str]) -> Iterator[Violation]:
    """The test client imports L0 of the framework and nothing above it."""
    if not source.module.startswith("framework.testclient"):
        return
    for item, target in edges(source, modules):
        if not any(listing.is_covered(target, entry) for entry in listing.TESTCLIENT_MAY_IMPORT):
            yield source.violation(item.line, f"the test client imports {target}; it may use L0")


def find_foreign_imports(source: Source) -> Iterator[Violation]:
    """Third-party packages only where the listing allows them, other frameworks nowhere."""
    allowed = listing.find_requirements(source.module)
    for item in source.imports:
        if item.top in OWN_PACKAGES or item.top in sys.stdlib_module_names:
            continue
        if item.top in listing.OTHER_FRAMEWORKS:
            yield source.violation(item.line, f"imports another framework: {item.module}")
        elif item.top not in allowed:
            names = ", ".join(sorted(allowed)) or "none"
            yield source.violation(
                item.line, f"imports {item.module}; third-party modules allowed here: {names}"
            )


def find_cycles(sources: Iterable[Source]) -> Iterator[Violation]:
    """No module is reached from itself through imports."""
    by_module = {source.module: source for source in sources}
    names = frozenset(by_module)
    graph = {
        module: [(item, target) for item, target in edges(source, names) if target != module]
        for module, source in by_module.items()
    }
    for module, source in by_module.items():
        for item, target in graph[module]:
            path = _find_path(graph, target, module)
            if path is not None:
                chain = " -> ".join((module, *path))
                yield source.violation(item.line, f"import cycle: {chain}")


def _find_path(
    graph: Mapping[str, list[tuple[Import, str]]], start: str, goal: str
) -> tuple[str, ...] | None:
    """Return the shortest chain of imports from `start` to `goal`."""
    paths: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    for path in paths:
        if path[-1] == goal:
            return path
        for _, target in graph.get(path[-1], ()):
            if target not in seen:
                seen.add(target)
                paths.append((*path, target))
    return None
