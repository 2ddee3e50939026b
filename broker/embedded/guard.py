"""No child outlives us: a tiny process that ends the tied children when this process is gone.

It reads a pipe whose other end only this process holds. The kernel closes that end however we die, SIGKILL
included, on Linux and macOS alike (PR_SET_PDEATHSIG is Linux only, and fires when the starting *thread*
ends).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
import time

CLOSE_TIMEOUT_S = 15.0

# Runs in the guard process. Standard library only, and nothing of this package: it must start fast and
# never fail.
_WATCH = r"""
import os, signal, sys, time
children = {}
for line in sys.stdin:
    word, pid, stop = line.split()
    if word == "add":
        children[int(pid)] = int(stop)
    else:
        children.pop(int(pid), None)
def alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
def tell(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass
for pid, stop in reversed(list(children.items())):
    tell(pid, stop)
deadline = time.monotonic() + 10
while time.monotonic() < deadline and any(alive(pid) for pid in children):
    time.sleep(0.1)
for pid in children:
    tell(pid, signal.SIGKILL)
"""


class Guard:
    """Starts the guard process with the first child, and tells it of each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner_pid = 0
        self._pids: set[int] = set()

    def add(self, pid: int, stop_signal: int) -> None:
        with self._lock:
            if self._process is None or self._owner_pid != os.getpid():
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _WATCH],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                )
                self._owner_pid = os.getpid()
                atexit.register(self.close)
            self._pids.add(pid)
            self._tell(f"add {pid} {int(stop_signal)}\n")

    def drop(self, pid: int) -> None:
        """The child has ended in order; its pid may be somebody else's from now on."""
        with self._lock:
            self._pids.discard(pid)
            self._tell(f"drop {pid} 0\n")

    def close(self) -> None:
        """End the guard, and with it whatever is still tied."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or process.stdin is None or self._owner_pid != os.getpid():
                return
            with contextlib.suppress(OSError):
                process.stdin.close()
            deadline = time.monotonic() + CLOSE_TIMEOUT_S
            while process.poll() is None and time.monotonic() < deadline:
                # We are their parent: an ended child counts as alive until it is collected.
                for pid in self._pids:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
                time.sleep(0.02)

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.stdin is None or self._owner_pid != os.getpid():
            return
        # A broken pipe means that somebody ended the guard: children still end in order, only not after
        # a SIGKILL.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


GUARD = Guard()
