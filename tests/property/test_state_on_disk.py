"""States on disk: opened from a checkpoint of any batch, a slot knows what a full rebuild knows, and what was judged."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import topics
from broker.gate.outgoing import Destination
from broker.lane import disk
from broker.lane.checkpoint import Changelogs
from broker.lane.disk import StatesOnDisk
from broker.lane.memory import SlotMemory
from broker.lane.states import Room
from tests.gate_parts import Bench
from tests.histories import FEWER, histories, laws, record_of, rules_of_law
from tests.oracle_words import Law, Step
from tests.reopened import SHELF, reopened, taken_in

PLACES = {
    Destination.STATE: (topics.state(SHELF[0]), SHELF[1]),
    Destination.AUTHORITATIVE: (topics.authoritative(SHELF[0]), SHELF[1]),
}
IDS = {topic: "id" for topic, _ in PLACES.values()}


@contextmanager
def folder() -> Iterator[Path]:
    made = tempfile.mkdtemp(prefix="states-")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made)


def log_of(bench: Bench, destination: Destination) -> list[Any]:
    return [outgoing for _, outgoing in bench.written if outgoing.destination is destination]


def changelogs(bench: Bench) -> Changelogs:
    """The bench's log: an offset per record, without holes."""
    end = {place: len(log_of(bench, destination)) for destination, place in PLACES.items()}
    return Changelogs(IDS, dict.fromkeys(end, 0), end)


async def opened(states: StatesOnDisk, bench: Bench, *, until: int | None = None) -> tuple[SlotMemory, int]:
    """(what a slot knows once it is open, records read), in the steps of broker.lane.replay; it may end midway."""
    said, read = changelogs(bench), 0
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
            await states.spare()
    await states.loaded(said)
    return memory, read


async def judged(bench: Bench, states: StatesOnDisk, record: Any) -> None:
    bench.judge(record)
    await states.committed(changelogs(bench).end)


async def killed(states: StatesOnDisk) -> None:
    """Its process is gone: what was not written is lost, and the lock is free."""
    states._whole = False
    await states.close()


def same(found: SlotMemory, known: SlotMemory, keys: set[bytes]) -> None:
    for key in keys:
        mine = found.states[SHELF].get(key)
        assert mine == known.states.get(SHELF, {}).get(key), key
    assert found.waiting.get(SHELF, set()) == known.waiting.get(SHELF, set())
    assert found.connections.get(SHELF, {}) == known.connections.get(SHELF, {})


@pytest.mark.timeout(900)
@FEWER
@given(
    law=laws(),
    history=histories(),
    written=st.sets(st.integers(0, 24), max_size=4),
    crashes=st.sets(st.integers(0, 24), min_size=1, max_size=3),
    midway=st.integers(0, 6),
    room=st.sampled_from([1, 2, 1000]),
    spare=st.booleans(),
)
def test_from_any_checkpoint_a_slot_knows_the_same(
    law: Law,
    history: list[Step],
    written: set[int],
    crashes: set[int],
    midway: int,
    room: int,
    *,
    spare: bool,
) -> None:
    # I3: checkpoints after any batch, crashes after any later one and while opening; the judge goes on with it
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "DIRTY_STATES", 0 if spare else 1000)
        patch.setattr(disk, "WRITE_S", 1e9)
        asyncio.run(_lives(law, history, lambda: StatesOnDisk(home, 0, Room(room)), written, crashes, midway))


async def _lives(
    law: Law,
    history: list[Step],
    on_disk: Callable[[], StatesOnDisk],
    written: set[int],
    crashes: set[int],
    midway: int,
) -> None:
    bench = Bench(rules=rules_of_law(law))
    never_stopped = Bench(rules=bench.rules)
    states = on_disk()
    bench.memory, _ = await opened(states, bench)
    keys: set[bytes] = set()
    for number, step in enumerate(history):
        record = record_of(bench, step)
        keys.add(record.key or b"")
        never_stopped.judge(record_of(never_stopped, step))
        states._due_s = 0.0 if number in written else 1e12
        await judged(bench, states, record)
        same(bench.memory, never_stopped.memory, keys)
        if number in crashes:
            await killed(states)
            states = on_disk()
            await opened(states, bench, until=midway)
            await killed(states)
            states = on_disk()
            bench.memory, _ = await opened(states, bench)
            same(bench.memory, never_stopped.memory, keys)
            same(bench.memory, reopened(bench), keys)
    await states.close()
    last = on_disk()
    found, read = await opened(last, bench)
    assert read == 0, "closed in good order, nothing has to be read"
    same(found, never_stopped.memory, keys)
    await last.close()
