"""Ends the process when a slot has not come round for too long: a supervisor starts another, which opens from the log.

Some waits of a Kafka client never end (a coordinator that was removed, a sender that died). A thread looks, so that an
event loop that stands still is seen too.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

STUCK_S = 120.0
"""Far above every time-out that a slot is meant to meet: a request to Kafka gives up after 12 seconds."""
LOOK_EVERY_S = 5.0
LEAVE_STATUS = 70
"""EX_SOFTWARE: nothing in this process is to be believed."""
log = structlog.get_logger()


def stuck(beats: Mapping[str, float], now: float, after_s: float) -> list[str]:
    """Who has not come round for `after_s` seconds, of (name, when it last did)."""
    return sorted(name for name, beat in beats.items() if now - beat > after_s)


def waits_at(task: asyncio.Task[Any]) -> str:
    """Where a task stands: every await from its outermost function to the innermost, "" = it is over."""
    found: list[str] = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        code = frame.f_code
        found.append(f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})")
        awaited = getattr(awaited, "cr_await", None)
    return " > ".join(found)


def watch(
    beats: Callable[[], Mapping[str, float]], tasks: Callable[[], Mapping[str, asyncio.Task[Any]]]
) -> threading.Thread:
    """Start looking. `beats`: who must come round, and when each last did, in `time.monotonic()`; `tasks`: theirs."""
    thread = threading.Thread(target=_look, args=(beats, tasks), name="watchdog", daemon=True)
    thread.start()
    return thread


def _look(
    beats: Callable[[], Mapping[str, float]], tasks: Callable[[], Mapping[str, asyncio.Task[Any]]]
) -> None:
    while True:
        time.sleep(LOOK_EVERY_S)
        if late := stuck(beats(), time.monotonic(), STUCK_S):
            waits = {name: waits_at(task) for name, task in tasks().items() if name in late}
            log.error("lane.stuck", who=late, seconds=STUCK_S, waits_at=waits)
            os._exit(LEAVE_STATUS)
