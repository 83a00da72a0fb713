"""WebSockets through a real server: echoes beside the peers, idle connections, and a reader that stalls.

All systems run on the same server, so the difference is the framework. The echoes are judged by the CPU
time of the server for each, which a busy machine does not change; the rate stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from load.bench.figures import pair
from load.bench.peers import ROOT, install
from load.bench.report import (
    describe_machine,
    format_conditions,
    format_table,
    publish,
    write_document,
)
from load.bench.sockets_client import (
    abort,
    count_echoes,
    measure_late,
    open_clients,
    open_echoing,
)

BARE, OWN, STARLETTE = "bare", "slipway", "starlette"
SYSTEMS: Final = (BARE, OWN, STARLETTE, "fastapi", "litestar")
PEERS: Final = (STARLETTE, "fastapi", "litestar")
CLIENTS: Final = 50
ECHO_BAR: Final = 0.95
# Of each system in a turn.
ROUNDS: Final = 100
READERS: Final = 199
STALLED_RATE: Final = 20
STALLED_BAR_MS: Final = 50.0
IDLE_WORKERS: Final = 2
# Of each connection, in the kernel, where one reader stalls: else it takes megabytes before it does.
STALLED_BUFFER_BYTES: Final = 64 * 1024


def add_sockets_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m load.bench sockets`."""
    parser.add_argument("--turns", type=int, default=5, help="turns of each system (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn (3)")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections, 0 for none")


def run_sockets_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether the bars are met."""
    turns, seconds, idle = options.turns, options.seconds, options.idle
    if options.quick:
        turns, seconds, idle = 1, 0.5, min(idle, 200)
    peers = find_packages(install())
    echoes = measure_echoes(peers, turns, seconds)
    late = [measure_stalled(peers, round(4 * seconds * STALLED_RATE)) for _ in range(turns)]
    memory = {}
    if idle:
        raise_file_limit(idle + 200)
        memory = {system: measure_idle(peers, system, idle) for system in (OWN, STARLETTE)}
    bars = build_bars(echoes, statistics.median(late), memory)
    lines = [
        f"{CLIENTS} clients with one text of 32 bytes each on its way, {turns} turns of {seconds:g} s:",
        "",
        *format_table(build_rows(echoes)),
        "",
        *(
            f"{system}: {kib:.1f} KiB for each of {idle:,} idle connections on {IDLE_WORKERS} workers"
            for system, kib in memory.items()
        ),
        "",
        *(f"{'PASS' if met else 'FAIL'}  {text}" for met, text in bars),
    ]
    machine = describe_machine()
    document = {"machine": machine, "echoes": echoes, "stalled_p99_ms": late, "idle_kib": memory}
    write_document(document, options.output / "sockets.json")
    report = "\n".join(lines)
    print(f"{report}\n\nwritten: {options.output / 'sockets.json'}")
    if options.publish:
        publish("sockets", f"{format_conditions(machine, [])}.\n\n{report}")
    return all(met for met, _ in bars)


def find_packages(python: Path) -> Path:
    """Return the folder of the packages that an interpreter of a virtual environment has."""
    return next(python.parent.parent.glob("lib/python*/site-packages"))


@contextmanager
def start_workers(
    peers: Path, system: str, number: int, buffer: int | None = None
) -> Iterator[tuple[int, list[int]]]:
    """Start server processes on one port; yields the port and their process ids."""
    with socket.socket() as listener:
        if buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "load.bench.sockets_worker", system, str(descriptor)]
        workers = [
            subprocess.Popen(
                [*command, str(peers)],
                cwd=ROOT,
                pass_fds=[descriptor],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(number)
        ]
        try:
            for worker in workers:
                if worker.stdout is None or worker.stdout.readline() != "ready\n":
                    raise RuntimeError(f"the server of {system} does not start")
            yield listener.getsockname()[1], [worker.pid for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()


def measure_echoes(peers: Path, turns: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU time (µs) that each server takes for an echo, and echoes a second, round by round.

    A turn has processes of its own, as some are faster than others of the same program. All run, one
    has work: each in a round, for a moment, so that a time in which the machine is slow is nobody's own.
    """
    found: dict[str, list[tuple[float, float]]] = {system: [] for system in SYSTEMS}
    for _ in range(turns):
        with ExitStack() as stack:
            servers = {
                system: stack.enter_context(start_workers(peers, system, 1)) for system in SYSTEMS
            }
            asyncio.run(_measure_turn(servers, seconds, found))
    return found


async def _measure_turn(
    servers: dict[str, tuple[int, list[int]]],
    seconds: float,
    found: dict[str, list[tuple[float, float]]],
) -> None:
    clients = {system: await open_echoing(port, CLIENTS) for system, (port, _) in servers.items()}
    for number in range(ROUNDS + 1):
        first = number % len(SYSTEMS)
        for system in (*SYSTEMS[first:], *SYSTEMS[:first]):
            pid = servers[system][1][0]
            before = read_cpu_seconds(pid)
            count, taken = await count_echoes(clients[system], seconds / ROUNDS)
            cpu = (read_cpu_seconds(pid) - before) / count * 1e6
            if number:  # the first is to be warm
                found[system].append((cpu, count / taken))
    for opened in clients.values():
        abort(opened)


def measure_stalled(peers: Path, messages: int) -> float:
    """Return the p99 (ms) of readers beside one that reads nothing."""
    with start_workers(peers, OWN, 1, STALLED_BUFFER_BYTES) as (port, _):
        late = asyncio.run(measure_late(port, READERS, messages, STALLED_RATE))
        return late[len(late) * 99 // 100]


def measure_idle(peers: Path, system: str, number: int) -> float:
    """Return the memory (KiB) that an idle connection takes in the server."""
    with start_workers(peers, system, IDLE_WORKERS) as (port, pids):
        return asyncio.run(_measure_idle(port, pids, number))


async def _measure_idle(port: int, pids: list[int], number: int) -> float:
    await open_clients(port, 20)  # what is made with the first connection is not counted
    before = await read_memory_kib(pids)
    clients = await open_clients(port, number)
    after = await read_memory_kib(pids)
    abort(clients)
    return (after - before) / number


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU time that the thread of a server has taken."""
    nanoseconds = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]
    return int(nanoseconds) / 1e9


async def read_memory_kib(pids: list[int]) -> int:
    """Return the memory that processes have for themselves, after a collection."""
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    await asyncio.sleep(1)
    return sum(map(find_memory_kib, pids))


def find_memory_kib(pid: int) -> int:
    """Return the memory that a process has for itself."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))


def raise_file_limit(number: int) -> None:
    """Allow that many open files, here and in the servers.

    Raises:
        RuntimeError: The machine does not allow them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        raise RuntimeError(
            f"{number} open files are needed, {hard} allowed: pass --idle {hard // 2}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))


def build_rows(echoes: dict[str, list[tuple[float, float]]]) -> list[list[str]]:
    """Return the table of a run: medians over the rounds."""
    rows = [["system", "µs CPU an echo", "echoes/s"]]
    for system, turns in echoes.items():
        cpu, rate = (statistics.median(turn[index] for turn in turns) for index in (0, 1))
        rows.append([system, f"{cpu:.1f}", f"{rate:,.0f}"])
    return rows


def build_bars(
    echoes: dict[str, list[tuple[float, float]]], late: float, memory: dict[str, float]
) -> list[tuple[bool, str]]:
    """Judge echoes beside bare ASGI and the peers, the neighbours of a stalled reader, and memory."""
    cpu = {name: [turn[0] for turn in turns] for name, turns in echoes.items()}
    ratio = pair(cpu[BARE], cpu[OWN])
    bars = [(ratio >= ECHO_BAR, f"echo {ratio:.2f}x (at least {ECHO_BAR}x) of bare ASGI")]
    for peer in PEERS:
        ratio = pair(cpu[peer], cpu[OWN])
        bars.append((ratio > 1, f"echo {ratio:.2f}x (over 1x) of {peer}"))
    text = f"1 stalled of {READERS + 1}: p99 of the others {late:.1f} ms (under {STALLED_BAR_MS:g})"
    bars.append((late < STALLED_BAR_MS, text))
    if memory:
        ratio = memory[OWN] / memory[STARLETTE]
        bars.append(
            (ratio <= 1, f"an idle connection takes {ratio:.2f}x (at most 1x) of Starlette's")
        )
    return bars
