"""States on disk: opened from a checkpoint of any batch, a slot knows what a full rebuild knows, and the judge knew."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.lane import disk
from broker.lane.disk import StatesOnDisk
from broker.lane.memory import SlotMemory
from broker.lane.states import Room
from tests.gate_parts import Bench
from tests.histories import histories, laws, record_of, rules_of_law
from tests.on_disk import judged, killed, known, opened
from tests.oracle_words import Law, Step
from tests.reopened import SHELF, reopened


def same(found: SlotMemory, expected: SlotMemory, keys: set[bytes]) -> None:
    for key in keys:
        assert known(found, key) == known(expected, key), key
    assert found.waiting.get(SHELF, set()) == expected.waiting.get(SHELF, set())
    assert found.connections.get(SHELF, {}) == expected.connections.get(SHELF, {})


@pytest.mark.timeout(900)
@settings(max_examples=max(min(25, settings().max_examples), settings().max_examples // 8))
@given(
    law=laws(),
    history=histories(),
    written=st.sets(st.integers(0, 24), max_size=4),
    crashes=st.sets(st.integers(0, 24), min_size=1, max_size=3),
    midway=st.integers(0, 6),
    room=st.sampled_from([1, 2, 1000]),
    spare=st.booleans(),
    slice_=st.sampled_from([1, 200]),
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
    slice_: int,
) -> None:
    # I3: checkpoints after any batch, crashes after any later one and while opening; the judge goes on with it, also
    # while states are being written, a slice with every batch
    with tempfile.TemporaryDirectory(prefix="states-") as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "WRITE_S", 1e9)
        patch.setattr(disk, "SLICE", slice_)
        on_disk = partial(StatesOnDisk, Path(home), 0, Room(room))
        asyncio.run(_lives(law, history, on_disk, written, crashes, (midway, spare)))


async def _lives(
    law: Law,
    history: list[Step],
    on_disk: Callable[[], StatesOnDisk],
    written: set[int],
    crashes: set[int],
    opening: tuple[int, bool],
) -> None:
    midway, spare = opening
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
        await asyncio.sleep(0)
        same(bench.memory, never_stopped.memory, keys)
        if number in crashes:
            await killed(states)
            states = on_disk()
            await opened(states, bench, until=midway, spare=spare)
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
