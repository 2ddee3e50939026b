"""Keeps the processes of one machine running: starts them, starts them again when they end, ends them in order.

What a process does is not known here. Used by `solesource up` and by the demo; a cluster has its own supervisor.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.embedded.child import Child, ChildSpec

PAUSE_S = 0.25
PAUSE_S_MAX = 10.0
CALM_S = 30.0
"""A process that ran this long is believed to be healthy: its next restart is quick again."""


@dataclass(slots=True)
class _Kept:
    child: Child
    started_s: float = 0.0
    pause_s: float = PAUSE_S
    restarts: int = 0


@dataclass(slots=True)
class Supervisor:
    """The processes of one machine. `logs`: one file each, named like the process."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start `python -m ARGUMENTS` under a name, and keep it running."""
        spec = ChildSpec(
            name=name,
            argv=[sys.executable, "-m", *arguments],
            marker=arguments[0],
            log_file=self.home / "logs" / f"{name}.log",
            state_file=self.home / "run" / f"{name}.json",
            env={**os.environ, **self.environment, **(environment or {})},
        )
        spec.state_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            kept = self._kept[name] = _Kept(Child(spec))
            kept.child.start()
            kept.started_s = time.monotonic()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._watcher.start()

    def pid(self, name: str) -> int | None:
        """The process id now, None while it is down."""
        state = self._kept[name].child.state()
        return state.pid if state else None

    def restarts(self, name: str) -> int:
        """How often it was started again."""
        return self._kept[name].restarts

    def log_tail(self, name: str) -> str:
        """The end of its log."""
        return self._kept[name].child.log_tail()

    def names(self) -> list[str]:
        """The processes, in the order of their start."""
        return list(self._kept)

    def stop(self, name: str, timeout_s: float = 10.0) -> None:
        """End one process for good."""
        with self._lock:
            kept = self._kept.pop(name)
        kept.child.stop(timeout_s)

    def stop_all(self) -> None:
        """End all, last started first; those that end slowly wait side by side."""
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5.0)
        with self._lock:
            leaving, self._kept = list(reversed(self._kept.values())), {}
        threads = [threading.Thread(target=kept.child.stop) for kept in leaving]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(PAUSE_S):
            with self._lock:
                for kept in self._kept.values():
                    self._revive(kept)

    def _revive(self, kept: _Kept) -> None:
        if kept.child.state() is not None or self._ending.is_set():
            return
        ran_s = time.monotonic() - kept.started_s
        if ran_s < kept.pause_s:
            return
        kept.pause_s = PAUSE_S if ran_s > CALM_S else min(kept.pause_s * 2, PAUSE_S_MAX)
        kept.child.start()
        kept.started_s = time.monotonic()
        kept.restarts += 1
