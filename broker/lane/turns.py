"""What slots of a worker do one after the other: commit small batches, and read a long log when they open.

A transaction costs Kafka about the same however little is in it, and every slot has its own. Where all commit at once
as soon as they can, a broker that is busy gets the more of them, and each takes the longer. In turns there is one at a
time: what comes meanwhile shares the next, and the slower Kafka is, the more goes into one. Whoever is alone never
waits. A broker still ends a transaction (markers) while the next slot is at work, so a slot rarely finds its own last
one unfinished, which would cost it 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

FULL_RECORDS = 500
"""A batch of so many does not wait for those: there is enough in it, and while one is committed another is decided."""
MANY_AT_ONCE = 2
"""Slots that take in more than that at the same time. With a backlog every slot would, and what a worker holds in
memory would go with the number of its slots, and stay: a soak saw it rise whenever a slot came over from another."""
WAIT_S_MAX = 0.25
"""Then whoever waits goes on beside the one at work: a slot whose partition or coordinator does not answer must not
hold up its neighbours."""
LONG_RECORDS = 20_000
"""Half a second of processor. All slots that read so much at once would be at work when the last of them is; one after
the other, the first is in its part of the time, and the last no later."""
BEAT_S = 5.0


class Turns:
    """The turns of one worker's slots, in the order in which they asked."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._many = asyncio.Semaphore(MANY_AT_ONCE)
        self._reading = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def mine(self) -> AsyncIterator[bool]:
        """Wait for the turn, at most WAIT_S_MAX, and keep it; whether it is one's turn."""
        async with _within(self._lock) as got:
            yield got

    @contextlib.asynccontextmanager
    async def many(self) -> AsyncIterator[bool]:
        """The same for whoever has much to do; without the turn it goes on with what it has in hand."""
        async with _within(self._many) as got:
            yield got

    @contextlib.asynccontextmanager
    async def reading(self, records: int, beat: Callable[[], None]) -> AsyncIterator[None]:
        """Wait for the turn to read so many records of the log, however long; a few are read at once.

        `beat` is called while it waits.
        """
        if records < LONG_RECORDS:
            yield
            return
        while not await self._may_read():
            beat()
        try:
            yield
        finally:
            self._reading.release()

    async def _may_read(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S):
                return await self._reading.acquire()
        return False


@contextlib.asynccontextmanager
async def _within(turns: asyncio.Lock | asyncio.Semaphore) -> AsyncIterator[bool]:
    got = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WAIT_S_MAX):
            got = await turns.acquire()
    try:
        yield got
    finally:
        if got:
            turns.release()
