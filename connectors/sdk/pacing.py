"""How long to wait: back-off, pauses that end early on stop, and tasks that are to end. No work is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

BACKOFF_FIRST_MS = 200
BACKOFF_LONGEST_MS = 10_000
AGAIN_S = 2.0
"""More than closing takes where Kafka answers: what cleans up is not disturbed in it."""


def backoff_ms(attempt: int) -> int:
    """Pause after the given failed attempt (1, 2, ...): doubles from 200 ms up to 10 s."""
    return int(min(BACKOFF_LONGEST_MS, BACKOFF_FIRST_MS * 2 ** min(max(attempt, 1) - 1, 16)))


async def pause(ms: int, stop: asyncio.Event, nudge: asyncio.Event | None = None) -> None:
    """Wait `ms`, less when `stop` or `nudge` is set; a nudge is used up."""
    waits = [asyncio.ensure_future(event.wait()) for event in (stop, nudge) if event is not None]
    try:
        await asyncio.wait(waits, timeout=ms / 1000, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if nudge is not None:
        nudge.clear()


async def ended(tasks: Iterable[asyncio.Task[Any]], *, again_s: float = AGAIN_S) -> None:
    """Cancel tasks, again every `again_s`, until each has ended. What they raise stays theirs.

    Again, because aiokafka's `close` swallows whatever cancels it: a loop that closed in the middle of its work would
    go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=again_s)
        for task in done:
            task.cancelled() or task.exception()  # or asyncio complains that nobody asked
