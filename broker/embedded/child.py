"""Child processes: the one place that starts and ends them.

Each runs in its own session (a Ctrl-C at the terminal reaches us, and we end our children in order), is
recorded with pid and creation time, and is ended by that identity only: a pid that now belongs to
somebody else is left alone. What a child means, and whether it is ready, is not known here.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from broker.embedded.errors import StartError, StopError
from broker.embedded.files import read_document, write_document
from broker.embedded.guard import GUARD

LOG_TAIL_LINES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How to start one child, and how to recognise it later."""

    name: str
    argv: Sequence[str]
    # A text that its command line contains and no other process's does: the path of its data.
    marker: str
    log_file: Path
    state_file: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    # uid and gid to run as; None = ours.
    run_as: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # Tied: it never outlives us, not even a SIGKILL of ours. Untied: it stays after the command that
    # started it.
    tied: bool = True
    facts: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildState:
    """A running child as its state file and the process table agree on it."""

    pid: int
    created_s: float
    facts: Mapping[str, int | str]


class Child:
    """One child process, possibly started by an earlier command."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._started: subprocess.Popen[bytes] | None = None

    def start(self) -> ChildState:
        """Start it, record it. Raises StartError if the program cannot be run at all."""
        spec = self.spec
        spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        uid, gid = spec.run_as or (None, None)
        with spec.log_file.open("ab") as log:
            try:
                process = subprocess.Popen(
                    list(spec.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=None if spec.env is None else dict(spec.env),
                    cwd=spec.cwd,
                    start_new_session=True,
                    user=uid,
                    group=gid,
                    extra_groups=None if uid is None else [],
                )
            except OSError as error:
                raise StartError(f"{spec.name}: cannot run {spec.argv[0]}: {error}") from error
        self._started = process
        if spec.tied:
            GUARD.add(process.pid, spec.stop_signal)
        created_s = psutil.Process(process.pid).create_time()
        write_document(
            spec.state_file,
            {"pid": process.pid, "created_s": created_s, "marker": spec.marker, "facts": dict(spec.facts)},
        )
        return ChildState(pid=process.pid, created_s=created_s, facts=dict(spec.facts))

    def state(self) -> ChildState | None:
        """What runs now, or None. A recycled pid is not taken for the child."""
        if self._started is not None:
            # Ours: the kernel says whether it runs, and poll() reaps it. Its command line cannot be asked yet in
            # the moment in which it replaces itself by the program.
            document = read_document(self.spec.state_file) if self._started.poll() is None else None
            if document is None or document["pid"] != self._started.pid:
                return None
            return ChildState(
                pid=int(document["pid"]),
                created_s=float(document["created_s"]),
                facts=dict(document["facts"]),
            )
        return find(self.spec.state_file, self.spec.marker)

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, hint: str) -> None:
        """Wait for `ready`. Raises StartError with the end of the log if it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            ended = self.state() is None
            if ended or time.monotonic() > deadline:
                why = "ended while starting" if ended else f"did not answer within {timeout_s:g} s"
                tail = self.log_tail()
                self.stop()
                raise StartError(f"{self.spec.name} {why}. {hint}\nEnd of {self.spec.log_file}:\n{tail}")
            time.sleep(0.05)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End it: its stop signal, then SIGKILL after `timeout_s`. False if it was not running."""
        state = self.state()
        if state is not None:
            end(state.pid, state.created_s, self.spec.stop_signal, timeout_s, self.spec.name)
        if self._started is not None:
            # Bounded: it is dead or was killed just now; wait() only collects it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._started.wait(timeout=timeout_s)
            GUARD.drop(self._started.pid)
            self._started = None
        self.spec.state_file.unlink(missing_ok=True)
        return state is not None

    def log_tail(self) -> str:
        try:
            lines = self.spec.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-LOG_TAIL_LINES:]) or "(empty log)"


def find(state_file: Path, marker: str) -> ChildState | None:
    """The process that a state file names, if it is still that very process."""
    document = read_document(state_file)
    if document is None:
        return None
    pid, created_s = int(document["pid"]), float(document["created_s"])
    process = _same(pid, created_s)
    if process is None:
        return None
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return None
    if marker not in command:
        return None
    return ChildState(pid=pid, created_s=created_s, facts=document.get("facts", {}))


def end(pid: int, created_s: float, stop_signal: signal.Signals, timeout_s: float, name: str) -> None:
    """End exactly that process. Raises StopError if even SIGKILL does not end it."""
    process = _same(pid, created_s)
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(stop_signal)
        if _gone(process, timeout_s):
            return
        process.kill()
        if not _gone(process, timeout_s):
            raise StopError(f"{name}: process {pid} is still there after SIGKILL; look at it with ps")


def _same(pid: int, created_s: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        # Pid and creation time together are unique; the kernel's clock ticks limit the precision.
        if abs(process.create_time() - created_s) > 1.0 or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def _gone(process: psutil.Process, timeout_s: float) -> bool:
    try:
        process.wait(timeout=timeout_s)
    except psutil.TimeoutExpired:
        return False
    return True
