"""`import starlette` gives the framework: code written for Starlette runs on it as it is.

The finder stands in front of the import path, so the real Starlette, which the packages of
`packages.in` bring along, is never found.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

ALIAS: Final = "starlette"
FRAMEWORK: Final = "framework"
VERSION: Final = "1.10.0"

_PACKAGES_OF_ONE_MODULE: Final = frozenset(
    f"{FRAMEWORK}.{name}" for name in ("datastructures", "formparsers", "responses", "routing")
)


def is_built(name: str) -> bool:
    """Say whether the framework has the module `name`, such as `middleware.cors`."""
    try:
        return importlib.util.find_spec(f"{FRAMEWORK}.{name}") is not None
    except ModuleNotFoundError:
        return False


class AliasFinder(MetaPathFinder):
    """Finds `starlette` and everything below it, or says that it is not there."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        package, _, name = fullname.partition(".")
        if package != ALIAS:
            return None
        if name and not is_built(name):
            raise ModuleNotFoundError(
                f"No module named {FRAMEWORK}.{name} (imported as {fullname})", name=fullname
            )
        return ModuleSpec(fullname, AliasLoader(name), is_package=not name)


class AliasLoader(Loader):
    """Hands out a module of the framework, the same object that it has under its own name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if not self.name:
            return _build_module(spec.name, {"__version__": VERSION})
        module = importlib.import_module(f"{FRAMEWORK}.{self.name}")
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if self.own_spec is not None:
            module.__spec__ = self.own_spec
        if self.name == "applications":
            vars(module)["Starlette"] = vars(module)["App"]
        elif module.__name__ in _PACKAGES_OF_ONE_MODULE:
            module.__class__ = _Patchable


class _Patchable(ModuleType):
    """A package that is one module in Starlette: a name that is patched is patched where it is used."""

    def __setattr__(self, name: str, value: object) -> None:
        for module_name, module in list(sys.modules.items()):
            if module_name.startswith(f"{self.__name__}.") and name in vars(module):
                setattr(module, name, value)
        super().__setattr__(name, value)


def _build_module(name: str, names: Mapping[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    return module


def find_real_modules() -> list[str]:
    """Return the loaded modules whose file is one of the real Starlette."""
    names = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if f"/site-packages/{ALIAS}/" in file.replace("\\", "/"):
            names.append(name)
    return names


def install() -> None:
    """Put the finder first; from now on `starlette` is the framework."""
    if find_real_modules():
        raise RuntimeError(f"the real Starlette is imported already: {find_real_modules()!r}")
    sys.meta_path.insert(0, AliasFinder())
