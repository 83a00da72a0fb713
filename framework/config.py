"""`Config`: settings from the environment and from a file, converted and checked."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from framework._callables import get_name
from framework.datastructures import Secret

__all__ = [
    "Config",
    "Environ",
    "EnvironError",
    "environ",
    "undefined",
]

T = TypeVar("T")

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


class undefined:  # noqa: N801 - Starlette's name for it
    """Stands for a default that was not given; None is a default like any other."""


class EnvironError(Exception):
    """A variable was changed after it had been read, when the change comes too late for somebody."""


class Environ(MutableMapping[str, str]):
    """The environment; a variable that was read, or asked for, can no longer be changed.

    Tests set their variables here before the application is imported: one that comes too late is an
    `EnvironError`, not a setting that is silently ignored.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._has_been_read: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self._has_been_read.add(key)
        return self._environ[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._check_unread(key, "set")
        self._environ[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_unread(key, "delete")
        del self._environ[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def _check_unread(self, key: str, deed: str) -> None:
        if key in self._has_been_read:
            raise EnvironError(
                f"Attempting to {deed} environ[{key!r}], but the value has already been read. "
                "Do it before the module that reads it is imported"
            )


environ: Final = Environ()


class Config:
    """Settings by name: from the environment, else from a file, else a default.

    Args:
        env_file: lines of `NAME=value`; quotation marks around a value are dropped, lines that begin
            with `#` are comments. A file that is not there is a warning.
        environ: the environment; that of the process unless given.
        env_prefix: put before each name that is asked for.
        encoding: of the file.
    """

    def __init__(
        self,
        env_file: str | Path | None = None,
        environ: Mapping[str, str] = environ,
        env_prefix: str = "",
        encoding: str = "utf-8",
    ) -> None:
        self.environ = environ
        self.env_prefix = env_prefix
        self.file_values: dict[str, str] = {}
        if env_file is None:
            return
        if Path(env_file).is_file():
            self.file_values = _parse_lines(Path(env_file).read_text(encoding))
        else:
            warnings.warn(f"Config file '{env_file}' not found.", stacklevel=2)

    @overload
    def __call__(self, key: str, *, default: None) -> str | None: ...

    @overload
    def __call__(self, key: str, cast: type[T], default: T = ...) -> T: ...

    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: str = ...) -> str: ...

    @overload
    def __call__(self, key: str, cast: Callable[[Any], T] = ..., default: Any = ...) -> T: ...

    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: T = ...) -> T | str: ...

    def __call__(
        self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined
    ) -> Any:
        """Return a setting; see `get`."""
        return self.get(key, cast, default)

    def get(
        self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined
    ) -> Any:
        """Return the setting `key`, prefix not included.

        Args:
            cast: turns the text, or the default, into the value: a type, or any function of it. `bool`
                takes `true`, `false`, `1` and `0` in any case.
            default: the setting when there is none; None is returned as it is.

        Raises:
            KeyError: there is no such setting and no default.
            ValueError: `cast` refuses it. The error says why, but for a `Secret`.
        """
        name = self.env_prefix + key
        for values in (self.environ, self.file_values):
            if name in values:
                return _convert(name, values[name], cast)
        if default is undefined:
            raise KeyError(
                f"Config '{name}' is missing, and has no default. Set it in the environment or the file"
            )
        return _convert(name, default, cast)


def _parse_lines(text: str) -> dict[str, str]:
    """Return the values of a file by name; of two with one name the last."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[key.strip()] = value
    return values


def _convert(name: str, value: Any, cast: Callable[[Any], Any] | None) -> Any:
    if cast is None or value is None:
        return value
    if cast is bool and isinstance(value, str):
        if value.lower() not in _BOOLEANS:
            raise ValueError(
                f"Config '{name}' has value '{value}'. Not a valid bool: true, false, 1 or 0 is one"
            )
        return _BOOLEANS[value.lower()]
    try:
        return cast(value)
    except (TypeError, ValueError, ArithmeticError, LookupError) as exc:
        problem = f"Not a valid {get_name(cast)}"
        if isinstance(cast, type) and issubclass(cast, Secret):
            problem = f"Config '{name}' has a value that is not shown. {problem}"
        else:
            problem = f"Config '{name}' has value '{value}'. {problem}: {exc}"
        # From nothing: the error of `cast` may quote a secret.
        raise ValueError(problem) from None
