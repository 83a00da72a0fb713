"""Broadcast: 1,000 subscribers in four processes, a publisher in a fifth; beside Litestar's channels.

Each turn starts every system once, with processes of its own, and measures two things: how many
messages a second reach all subscribers when they are published as fast as possible (from the first one
published to the last one delivered), and how late they are at a rate that all systems can keep.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from load.bench.peers import ROOT, install
from load.bench.report import (
    describe_machine,
    format_conditions,
    format_table,
    publish,
    write_document,
)

PROCESSES: Final = 4
SUBSCRIBERS: Final = 1000
NEIGHBOURS: Final = 199
RATE: Final = 20
STALLED_RATE: Final = 100
STALLED_BAR_MS: Final = 50.0
START_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class System:
    """Something that broadcasts: the module of its processes, and where they meet."""

    name: str
    module: str
    place: str


UNIX: Final = System("unix://", "channels_slipway", "unix://{folder}/{turn}")
REDIS: Final = System("redis://", "channels_slipway", "redis+{redis}?db=0")
PUBSUB: Final = System("Litestar, Redis pub/sub", "channels_litestar", "pubsub|{redis}?db=1")
STREAM: Final = System("Litestar, Redis streams", "channels_litestar", "stream|{redis}?db=2")
SYSTEMS: Final = (UNIX, REDIS, PUBSUB, STREAM)
OWN: Final = (UNIX, REDIS)


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages a second to all subscribers, and how late they were at the fixed rate (ms)."""

    rate: float
    median: float
    p99: float


class Process:
    """A process that takes commands."""

    def __init__(self, python: Path, system: System, place: str, count: int, stalled: int) -> None:
        module = f"load.bench.{system.module}"
        self.popen = subprocess.Popen(
            [str(python), "-m", module, place, str(count), str(stalled)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **command: int) -> Any:
        """Send a command and return the answer."""
        self.send(**command)
        return self.read()

    def send(self, **command: int) -> None:
        """Send a command."""
        if self.popen.stdin is not None:
            self.popen.stdin.write(json.dumps(command) + "\n")
            self.popen.stdin.flush()

    def read(self) -> Any:
        """Return the next answer.

        Raises:
            RuntimeError: The process has ended.
        """
        line = self.popen.stdout.readline() if self.popen.stdout is not None else ""
        if not line:
            raise RuntimeError(f"a process of the benchmark has ended: {self.popen.args!r}")
        return json.loads(line)

    def stop(self) -> None:
        """End it."""
        self.popen.kill()
        self.popen.communicate()


def add_channels_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m load.bench channels`."""
    parser.add_argument("--turns", type=int, default=5, help="turns of each system (5)")
    parser.add_argument("--messages", type=int, default=500, help="messages of a turn (500)")


def run_channels_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether the bars are met."""
    turns, messages = (1, 50) if options.quick else (options.turns, options.messages)
    python = install()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = start_redis(folder, stack)
        found: dict[str, list[Turn]] = {system.name: [] for system in SYSTEMS}
        late = []
        for turn in range(turns):
            first = turn % len(SYSTEMS)
            for system in (*SYSTEMS[first:], *SYSTEMS[:first]):
                place = system.place.format(folder=folder, redis=redis, turn=turn)
                found[system.name].append(measure_turn(python, system, place, messages))
            late.append(measure_stalled(python, f"unix://{folder}/stalled{turn}", messages))
    bars = build_bars(found, statistics.median(late))
    conditions = (
        f"{SUBSCRIBERS} subscribers in {PROCESSES} processes, {turns} turns of {messages} "
        f"messages as fast as possible and {messages // 5} at {RATE} a second:"
    )
    report = "\n".join(
        [
            f"{conditions}\n",
            *format_table(build_rows(found)),
            "",
            *(f"{'PASS' if met else 'FAIL'}  {text}" for met, text in bars),
        ]
    )
    machine = describe_machine()
    write_document(
        {
            "machine": machine,
            "turns": {
                name: [[turn.rate, turn.median, turn.p99] for turn in values]
                for name, values in found.items()
            },
            "stalled_p99_ms": late,
        },
        options.output / "channels.json",
    )
    print(f"{report}\n\nwritten: {options.output / 'channels.json'}")
    if options.publish:
        publish("channels", f"{format_conditions(machine, [])}.\n\n{report}")
    return all(met for met, _ in bars)


def start_redis(folder: Path, stack: ExitStack) -> str:
    """Start a Redis server of our own and return its URL.

    Raises:
        RuntimeError: It is not installed, or does not start.
    """
    command = shutil.which("redis-server")
    if command is None:
        raise RuntimeError("redis-server is not installed: run `apt-get install redis-server`")
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([command, *options], stdout=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.kill)
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("redis-server does not start")
        time.sleep(0.02)
    return f"unix://{path}"


def measure_turn(python: Path, system: System, place: str, messages: int) -> Turn:
    """Start the processes of a system, measure and end them."""
    with ExitStack() as stack:
        counts = [0, *[SUBSCRIBERS // PROCESSES] * PROCESSES]
        publisher, *listeners = start_processes(stack, python, system, place, counts, 0)
        send_all(publisher, listeners, messages // 5, 0)  # to be warm
        first, last, _ = send_all(publisher, listeners, messages, 0)
        _, _, late = send_all(publisher, listeners, messages // 5, RATE)
        return Turn(messages / (last - first), late[len(late) // 2], late[len(late) * 99 // 100])


def measure_stalled(python: Path, place: str, messages: int) -> float:
    """Return the p99 (ms) of subscribers who share their process with one that takes nothing."""
    with ExitStack() as stack:
        counts = [0, NEIGHBOURS]
        publisher, listener = start_processes(stack, python, UNIX, place, counts, 1)
        _, _, late = send_all(publisher, [listener], messages, STALLED_RATE)
        return late[len(late) * 99 // 100]


def start_processes(
    stack: ExitStack, python: Path, system: System, place: str, counts: list[int], stalled: int
) -> list[Process]:
    """Start a process for each number of subscribers, and wait until all are ready."""
    processes = []
    for count in counts:
        processes.append(Process(python, system, place, count, stalled if count else 0))
        stack.callback(processes[-1].stop)
    for process in processes:
        process.read()
    return processes


def send_all(
    publisher: Process, listeners: list[Process], messages: int, rate: int
) -> tuple[float, float, list[float]]:
    """Publish; return when the first was published, the last delivered, and how late all were (ms)."""
    for listener in listeners:
        listener.ask(messages=messages)
    first = publisher.ask(messages=messages, rate=rate)["first"]
    answers = [listener.read() for listener in listeners]
    late = sorted(number / 1000 for answer in answers for number in answer["microseconds"])
    return first, max(answer["last"] for answer in answers), late


def build_rows(found: dict[str, list[Turn]]) -> list[list[str]]:
    """Return the table of a run: medians over the turns."""
    rows = [["channels", "messages/s", "deliveries/s", f"ms at {RATE}/s, median", "p99"]]
    for name, turns in found.items():
        rate = statistics.median(turn.rate for turn in turns)
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{rate * SUBSCRIBERS:,.0f}",
                f"{statistics.median(turn.median for turn in turns):.1f}",
                f"{statistics.median(turn.p99 for turn in turns):.1f}",
            ]
        )
    return rows


def build_bars(found: dict[str, list[Turn]], late: float) -> list[tuple[bool, str]]:
    """Judge: our rates beside the better one of Litestar, and the neighbours of a stalled subscriber."""
    rates = {name: statistics.median(turn.rate for turn in found[name]) for name in found}
    peer = max((PUBSUB, STREAM), key=lambda system: rates[system.name])
    bars = []
    for system in OWN:
        ratio = rates[system.name] / rates[peer.name]
        bars.append((ratio >= 1, f"{system.name} {ratio:.2f}x (at least 1x) of {peer.name}"))
    text = (
        f"1 stalled of {NEIGHBOURS + 1}: p99 of the others {late:.1f} ms (under {STALLED_BAR_MS:g})"
    )
    bars.append((late < STALLED_BAR_MS, text))
    return bars
