"""What can be known to be wrong before a server is started, in words that say what to do."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import shlex
import socket
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

__all__ = [
    "find_bind_problem",
    "find_missing_packages",
    "find_socket_problem",
    "is_socket_activated",
]

_LAST_PORT: Final = 65535

# How many ports above a taken one are tried before no other is proposed.
_TRIED_PORTS: Final = 100


def find_bind_problem(
    host: str,
    port: int,
    *,
    host_setting: str,
    port_setting: str,
    reserved: Collection[int] = (),
) -> str | None:
    """Try to listen on an address; return None when it works, else one line with the remedy.

    Args:
        host: the address or name of an interface.
        port: the port; 0 is any and always works.
        host_setting: the name of the setting that `host` comes from.
        port_setting: the name of the setting that `port` comes from.
        reserved: ports that are not to be proposed, as other settings have them.
    """
    try:
        _listen(host, port)
    except socket.gaierror as exc:
        return f"{host_setting}={host!r} cannot be resolved ({exc.strerror}): use an address"
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            other = _find_free_port(host, port, reserved)
            return (
                f"port {port} on {host} is taken: stop the process that listens there, "
                f"or choose another port with {port_setting}{other}"
            )
        return _explain(exc, host, port, host_setting, port_setting)
    return None


def find_socket_problem(path: str, *, setting: str) -> str | None:
    """Return why a Unix socket cannot be made at `path`, as one line with the remedy, else None.

    gunicorn removes a socket that is there, whoever listens on it.
    """
    place = Path(path)
    if not os.access(place.parent, os.W_OK | os.X_OK):
        return f"{setting}={path!r} cannot be made: make the folder, writable for this user"
    if not place.exists():
        return None
    if not place.is_socket():
        return f"{setting}={path!r} is there and no socket: remove it, or choose another path"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return None  # left over from a process that was killed
    return f"{setting}={path!r} is taken: stop the process that listens there, or choose another"


def find_missing_packages(setting: str, modules: Mapping[str, str], *, load: bool) -> str | None:
    """Return one line with the remedy when packages that a setting needs are not there, else None.

    Args:
        setting: what needs them, such as `HTTP=zttp`.
        modules: what is imported of each package, and what pip is asked for, such as `zttp==0.0.35`.
        load: import them, which finds one that is broken, too; else they are only looked for.
    """
    is_there = _can_import if load else _can_find
    missing = [package for module, package in modules.items() if not is_there(module)]
    if not missing:
        return None
    what = "a package that is" if len(missing) == 1 else "packages that are"
    # The interpreter by its path: `pip` alone may be that of another environment.
    command = shlex.join([sys.executable, "-m", "pip", "install", *missing])
    return f"{setting} needs {what} not installed: run {command}"


def is_socket_activated(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether systemd, or who does as it does, hands over sockets: then nothing is to be bound."""
    pid, number = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    return pid == str(os.getpid()) and number.isdigit() and int(number) > 0


def _listen(host: str, port: int) -> None:
    # The server chooses the family by the look of the address, too.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server does: connections that are closing do not keep a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)


def _find_free_port(host: str, port: int, reserved: Collection[int]) -> str:
    """Return `=PORT` with a port above that is free now, nothing where all those tried are taken."""
    for other in range(port + 1, min(port + _TRIED_PORTS, _LAST_PORT) + 1):
        if other not in reserved:
            try:
                _listen(host, other)
            except OSError:
                continue
            return f"={other}"
    return ""


def _can_import(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _can_find(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # one of the packages above it is not there either
        return False


def _explain(exc: OSError, host: str, port: int, host_setting: str, port_setting: str) -> str:
    if exc.errno == errno.EACCES:
        return f"{port_setting}={port} needs special rights: choose a port from 1024 on"
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{host_setting}={host!r} is no address of this machine: use 127.0.0.1 or 0.0.0.0"
    return f"cannot listen on {host} port {port} ({exc.strerror}): change {host_setting}"
