"""How long to wait: back-off, and pauses that end early on stop. No work is done here."""

from __future__ import annotations

import asyncio

BACKOFF_FIRST_MS = 200
BACKOFF_LONGEST_MS = 10_000


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
