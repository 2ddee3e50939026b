"""What the lane leaves behind when slots change hands."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any, cast

from broker.lane.cycles import look_for_cycles
from broker.lane.service import Lane


class Client:
    """As Kafka's clients are: parts that hold each other."""

    def __init__(self) -> None:
        self.part = self


class Slot:
    """Holds a client until it is stopped."""

    number = 0

    def __init__(self) -> None:
        self.client = Client()
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        await self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()


def test_nothing_stays_in_memory_of_slots_that_were_closed() -> None:
    async def scenario() -> weakref.ref[Client]:
        lane = cast("Any", Lane.__new__(Lane))  # no client of Kafka
        slot = Slot()
        lane.slots, lane._projectors = {0: (slot, asyncio.create_task(slot.run()))}, {}
        client = weakref.ref(slot.client)
        gc.collect()  # it is old: a look at the youngest objects would not find it
        del slot
        await Lane.close(lane, {0})
        return client

    gc.disable()
    try:
        client = asyncio.run(scenario())
        look_for_cycles()
        assert client() is None
    finally:
        gc.enable()
