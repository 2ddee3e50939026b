"""The gate's workers of a campaign: started, killed, paused, and started again when they are gone."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.embedded.files import free_port
from tests.chaos.surroundings import Disk
from tests.estate import ROOT, Estate

Tell = Callable[..., None]
ORDER_S = 20.0
"""A worker that has not come past its named point by then is killed where it is."""


@dataclass(slots=True)
class Worker:
    """One process."""

    process: subprocess.Popen[bytes]
    port: int
    """Where it gives out its metrics."""
    began_s: float
    wake_s: float = 0.0
    """Paused until then; 0 = it is not."""
    kill_s: float = 0.0
    """Ordered to die; killed by then."""
    leaving: bool = False


class Workers:
    """As many as wanted, whatever happens to them; `tend` is called again and again."""

    def __init__(
        self,
        estate: Estate,
        folder: Path,
        tell: Tell,
        environment: Mapping[str, str],
        program: Sequence[str] = ("tests.chaos.gate",),
    ) -> None:
        self._estate, self._folder, self._tell = estate, folder, tell
        self._program = program
        self._orders = folder / "orders"
        self._orders.mkdir(parents=True, exist_ok=True)
        self._environment = {"CHAOS_ORDERS": str(self._orders), **environment}
        self.disk = Disk(self._orders)
        self._all: list[Worker] = []
        self._started = 0
        self.wanted = 0
        self.kills: dict[str, int] = {}
        """By named point, or `anywhere`."""
        self.zombies = 0
        self.left = 0
        """Workers that gave up by themselves."""

    @property
    def awake(self) -> list[Worker]:
        return [w for w in self._all if not w.wake_s and not w.kill_s and not w.leaving]

    def tend(self) -> None:
        """Take note of those that are gone, wake and kill whose time has come, start what is missing."""
        now = time.monotonic()
        for worker in list(self._all):
            status = worker.process.poll()
            if status is not None:
                self._all.remove(worker)
                self._gone(worker, status)
            elif worker.wake_s and now >= worker.wake_s:
                worker.wake_s = 0.0
                worker.process.send_signal(signal.SIGCONT)
                self._tell("woken", worker=worker.process.pid)
            elif worker.kill_s and now >= worker.kill_s:
                worker.process.kill()
        while len([w for w in self._all if not w.leaving]) < self.wanted:
            self._start()

    def kill(self, point: str, number: int, *, lose_state: bool = False) -> bool:
        """Kill one: at once, or where it next comes past a named point. False = there is none at the moment."""
        if not self.awake:
            return False
        worker = self.awake[number % len(self.awake)]
        if point != "anywhere":
            worker = self.awake[0]  # the one that has been there longest: it has slots to pass the point with
            (self._orders / f"order-{worker.process.pid}").write_text(point)
            worker.kill_s = time.monotonic() + ORDER_S
            return True
        worker.process.kill()
        worker.process.wait()
        if lose_state:
            shutil.rmtree(self._estate.home / "gate", ignore_errors=True)
            self._tell("state_lost")
        return True

    def pause(self, seconds: float) -> bool:
        """SIGSTOP the one that has been there longest, for longer than its session; another is there to take over."""
        self.wanted = max(self.wanted, 2)
        self.tend()
        if len(self.awake) < 2:
            return False
        worker = self.awake[0]
        worker.process.send_signal(signal.SIGSTOP)
        worker.wake_s = time.monotonic() + seconds
        self.zombies += 1
        self._tell("paused", worker=worker.process.pid, seconds=seconds)
        return True

    def scale(self, wanted: int) -> bool:
        """More or fewer workers; those too many leave by themselves. Whether that makes any difference."""
        before, self.wanted = self.wanted, wanted
        for worker in self.awake[wanted:]:
            worker.leaving = True
            worker.process.send_signal(signal.SIGTERM)
        self.tend()
        return before != wanted

    def kill_all(self) -> None:
        """Every one of them, and none is started until `wanted` says so."""
        self.wanted = 0
        for worker in self._all:
            worker.process.kill()
            worker.process.wait()
        self.tend()

    def end(self) -> None:
        """Let them leave; whoever does not is killed."""
        self.wanted = 0
        for worker in self._all:
            worker.process.send_signal(signal.SIGCONT)
            worker.process.send_signal(signal.SIGTERM)
        for worker in self._all:
            try:
                worker.process.wait(15)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._all.clear()

    def _start(self) -> None:
        self._started += 1
        port = free_port()
        with (self._folder / f"gate-{self._started}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *self._program],
                env=self._estate.environment(**{**self._environment, "SOLESOURCE_GATE_PORT": str(port)}),
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        self._all.append(Worker(process, port, time.monotonic()))
        self._tell("started", worker=process.pid, log=f"gate-{self._started}.log")

    def _gone(self, worker: Worker, status: int) -> None:
        pid = worker.process.pid
        done = self._orders / f"done-{pid}"
        about: dict[str, Any] = {"worker": pid}
        if status == -signal.SIGKILL:
            point = done.read_text() if done.exists() else "anywhere"
            self.kills[point] = self.kills.get(point, 0) + 1
            self._tell("killed", point=point, **about)
        elif worker.leaving or status in (0, -signal.SIGTERM):
            self._tell("left", status=status, **about)
        else:
            self.left += 1
            self._tell("gave_up", status=status, **about)
        (self._orders / f"order-{pid}").unlink(missing_ok=True)
