"""What the lane leaves behind when slots change hands."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any, cast

import pytest

from broker.lane import service
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


class Failing(Slot):
    """Breaks while it holds a client, and after that works."""

    def __init__(self) -> None:
        super().__init__()
        self.beat = 0.0
        self.clients: list[weakref.ref[Client]] = []
        self.left: list[bool] = []

    async def run(self) -> None:
        self.left = [client() is not None for client in self.clients]
        client = Client()
        self.clients.append(weakref.ref(client))
        if len(self.clients) == 1:
            gc.collect()  # it is old: a look at the youngest objects would not find it
            raise RuntimeError(client)


def test_nothing_stays_in_memory_of_a_slot_that_broke() -> None:
    slot = Failing()
    gc.disable()
    try:
        asyncio.run(Lane._keep_open(cast("Any", Lane.__new__(Lane)), cast("Any", slot)))
    finally:
        gc.enable()
    assert len(slot.clients) == 2 and slot.left == [False]


def test_who_has_no_slot_to_close_looks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at every start: nothing was assigned before."""
    lane = cast("Any", Lane.__new__(Lane))
    lane.slots, lane._projectors = {}, {}
    monkeypatch.setattr(service, "look_for_all_cycles", None)  # whoever calls it fails
    asyncio.run(Lane.close(lane, set()))


async def test_a_worker_that_is_stopped_before_it_has_a_map_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sleep of a service that stops ends at once: waiting for a map by such sleeps would never end, at full load."""
    # The watchdog would end this process, two minutes after the lane came round for the last time.
    monkeypatch.setattr(service, "watch", lambda *_: None)
    nothing = cast("Any", None)
    lane = Lane(nothing, 1, nothing, nothing, nothing, tmp_path, replicas=1, states_in_memory=1000)
    own = asyncio.ensure_future(cast("Any", Lane._own_slots).fun(lane))
    await asyncio.sleep(0.05)
    lane._stopped.set()
    await asyncio.wait_for(own, 5)
