"""Processes that listen and publish, each with channels of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import os, signal, sys, time
import anyio
from framework.channels import Channels
from framework.channels._log import EventLog
from framework.channels.unix import UnixBackend

folder, role, name, log_bytes = sys.argv[1:5]

def say(*words):
    print(*words, flush=True)

async def listen(channels):
    async with channels.subscribe("*", buffer=100_000) as events:
        say("ready")
        async for event in events:
            if event.data == "end":
                break
            say(event.topic, event.data)
        say("missed", channels.statistics().missed, events.overflowed)

async def publish(channels):
    say("ready")
    sys.stdin.readline()
    for number in range(int(sys.argv[5])):
        await channels.publish(name, number)
    say("done", time.monotonic())

async def stop_inside(channels):
    paste = EventLog._paste
    def stop(*args):
        EventLog._paste = paste
        paste(*args)
        os.kill(os.getpid(), signal.SIGSTOP)
    EventLog._paste = stop
    await publish(channels)

async def main():
    async with Channels(UnixBackend(folder, log_bytes=int(log_bytes))) as channels:
        await globals()[role](channels)

anyio.run(main)
"""
_LOG_BYTES = 16 * 1024 * 1024


class Process:
    """A process with channels."""

    def __init__(
        self, folder: Path, role: str, name: str, count: int = 0, log_bytes: int = _LOG_BYTES
    ) -> None:
        self.name = name
        self.count = count
        arguments = [str(folder), role, name, str(log_bytes), str(count)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def go(self) -> None:
        """Let a publisher begin."""
        if self.process.stdin is None:
            raise RuntimeError("the process has no input")
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def read_line(self) -> str:
        """Return its next word."""
        if self.process.stdout is None:
            raise RuntimeError("the process has no output")
        return self.process.stdout.readline().strip()

    def finish(self) -> list[str]:
        """Wait for its end and return what it has said."""
        text, _ = self.process.communicate(timeout=15)
        if self.process.returncode != 0:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {text[-500:]}")
        return text.split("\n")[:-1]

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal."""
        self.process.send_signal(number)


class Crowd:
    """Makes processes that meet in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[Process] = []

    def listen(self, log_bytes: int = _LOG_BYTES) -> Process:
        """Return a process that listens already."""
        return self._add(Process(self.folder, "listen", "listener", log_bytes=log_bytes))

    def publish(self, name: str, count: int, role: str = "publish") -> Process:
        """Return a process that is ready to publish 0, 1, 2 ... to the topic `name`."""
        return self._add(Process(self.folder, role, name, count))

    def _add(self, process: Process) -> Process:
        self.processes.append(process)
        line = process.read_line()
        if line != "ready":
            raise RuntimeError(f"{process.name} says {line!r}")
        return process


@contextmanager
def open_crowd(folder: Path) -> Iterator[Crowd]:
    """Let processes meet, and end those that are left."""
    crowd = Crowd(folder)
    try:
        yield crowd
    finally:
        for process in crowd.processes:
            if process.process.poll() is None:
                process.kill(signal.SIGKILL)
            process.process.wait()
            for stream in (process.process.stdin, process.process.stdout):
                if stream is not None:
                    stream.close()
