"""A slot whose states are on disk, over the log that a bench wrote: opened, at work, and gone in the middle of it."""

from __future__ import annotations

import asyncio
from typing import Any

from broker import topics
from broker.gate.outgoing import Destination
from broker.gate.state import RecordState, Replaced, lately
from broker.lane.checkpoint import Changelogs
from broker.lane.disk import StatesOnDisk
from broker.lane.memory import SlotMemory
from tests.gate_parts import Bench
from tests.reopened import SHELF, taken_in

PLACES = {
    Destination.STATE: (topics.state(SHELF[0]), SHELF[1]),
    Destination.AUTHORITATIVE: (topics.authoritative(SHELF[0]), SHELF[1]),
}
IDS = {topic: "id" for topic, _ in PLACES.values()}


def log_of(bench: Bench, destination: Destination) -> list[Any]:
    return [outgoing for _, outgoing in bench.written if outgoing.destination is destination]


def changelogs(bench: Bench) -> Changelogs:
    """The bench's log: an offset per record, without holes."""
    end = {place: len(log_of(bench, destination)) for destination, place in PLACES.items()}
    return Changelogs(IDS, dict.fromkeys(end, 0), end)


async def opened(
    states: StatesOnDisk,
    bench: Bench,
    said: Changelogs | None = None,
    *,
    until: int | None = None,
    spare: bool = False,
) -> tuple[SlotMemory, int]:
    """(what a slot knows once it is open, records read), in the steps of broker.lane.rebuilding; it may end midway.

    `spare`: memory is so short that every record read is written at once.
    """
    said, read = said or changelogs(bench), 0
    memory = SlotMemory(slot=0, partitions=dict(bench.memory.partitions))
    if bench.ledger:
        memory.follow(bench.ledger[-1])
    since = await states.take(memory, {SHELF}, said)
    for destination, place in PLACES.items():
        for outgoing in log_of(bench, destination)[since.get(place, 0) :]:
            if read == until:
                return memory, read
            taken_in(memory, outgoing)
            read += 1
            if spare:
                await states._write(states._taken(whole=False))
    await states.loaded(said)
    return memory, read


def known(memory: SlotMemory, key: bytes = b"C-1") -> tuple[RecordState | None, list[Replaced]]:
    """What a slot knows of a record: its state, and the replaced values it remembers, wherever they are kept."""
    state = memory.states.get(SHELF, {}).get(key)
    if state is None:
        return None, []
    return state._replace(recent=(), older=()), list(lately(state, memory.gate_time_ms))


async def judged(bench: Bench, states: StatesOnDisk, record: Any) -> None:
    bench.judge(record)
    await states.committed(changelogs(bench).end)


async def killed(states: StatesOnDisk) -> None:
    """Its process is gone: what was not written by then is lost, and the lock is free."""
    states._whole = False
    if states._writing is not None:
        states._writing.cancel()
        await asyncio.wait([states._writing])
        states._writing = None
    await states.close()
