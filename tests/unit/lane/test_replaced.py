"""Replaced values on disk: apart from the states, written once, found again when somebody looks so far back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from broker.gate.state import RECENT_MAX, RECENT_MS, lately
from broker.lane import disk
from broker.lane.disk import StatesOnDisk, StatesUnusable
from broker.lane.replaced import TRIM_MS, Older
from broker.lane.states import Room
from tests.gate_parts import T0, Bench
from tests.on_disk import judged, killed, known, opened
from tests.reopened import reopened

Scenario = Callable[[Bench, StatesOnDisk], Awaitable[None]]


def run(folder: Path, scenario: Scenario) -> None:
    async def opened_once() -> None:
        bench, states = Bench(), StatesOnDisk(folder, 0, Room(1000))
        bench.memory, _ = await opened(states, bench)
        await scenario(bench, states)

    asyncio.run(opened_once())


async def changed(bench: Bench, states: StatesOnDisk, number: int, at_ms: int | None = None) -> None:
    """The n-th value of a record; everything is on disk afterwards."""
    states._due_s = 0.0
    await judged(
        bench, states, bench.upsert("crm", f"seq:0:{number:03}", {"name": f"{number:03}"}, at_ms=at_ms)
    )


def entries(states: StatesOnDisk) -> int:
    return len([*states._replaced._family.keys()])


def test_a_replaced_value_is_written_once_and_found_again(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(5):
            await changed(bench, states, number)
            assert entries(states) == number
            state = bench.state()
            assert state.recent == (), "it is on disk"
            assert isinstance(state.older, Older) == (number > 0)
        assert known(bench.memory) == known(reopened(bench))
        late = bench.see(bench.upsert("erp", "seq:0:01", {"name": "001"}))
        assert (late.outcome, late.reason) == ("echo", "late_echo")
        await states.close()

    run(tmp_path, scenario)


def test_the_newest_are_remembered_however_they_were_written(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(RECENT_MAX + 9):
            if number % 3:
                await changed(bench, states, number)
            else:
                bench.judge(bench.upsert("crm", f"seq:0:{number:03}", {"name": f"{number:03}"}))
        state, replaced = known(bench.memory)
        assert state is not None and len(replaced) == RECENT_MAX
        assert (state, replaced) == known(reopened(bench))
        await states.close()

    run(tmp_path, scenario)


def test_what_nobody_may_look_at_any_more_is_let_go_of(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(4):
            await changed(bench, states, number, T0 + number)
        assert entries(states) == 3
        await changed(bench, states, 4, T0 + RECENT_MS + TRIM_MS)
        assert entries(states) == 1, "the one that was replaced just now"
        assert list(lately(bench.state(), T0 + RECENT_MS)) == known(bench.memory)[1]
        assert known(bench.memory) == known(reopened(bench)) and len(known(bench.memory)[1]) == 1
        await states.close()

    run(tmp_path, scenario)


def test_values_that_are_too_old_when_they_are_written_are_not_written(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(3):
            bench.judge(bench.upsert("crm", f"seq:0:{number:03}", {"name": str(number)}, at_ms=T0))
        states._due_s = 0.0
        other = bench.upsert("crm", "seq:0:01", {"name": "b"}, key="C-2", at_ms=T0 + RECENT_MS)
        await judged(bench, states, other)
        assert entries(states) == 0 and bench.state().recent == () and bench.state().older == ()
        assert known(bench.memory) == known(reopened(bench))
        await states.close()

    run(tmp_path, scenario)


def test_a_deleted_record_forgets_them(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(3):
            await changed(bench, states, number)
        await judged(bench, states, bench.delete("crm", "seq:0:100"))
        await changed(bench, states, 101)
        assert known(bench.memory)[1] == [] and known(bench.memory) == known(reopened(bench))
        await states.close()

    run(tmp_path, scenario)


def test_an_entry_that_cannot_be_read_is_gone_at_the_next_opening(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        for number in range(3):
            await changed(bench, states, number)
        (first, *_) = states._replaced._family.keys()
        states._replaced._family[first] = b"?"
        with pytest.raises(StatesUnusable):
            known(bench.memory)
        await states.close()
        states = StatesOnDisk(tmp_path, 0, Room(1000))
        found, read = await opened(states, bench)
        assert read == 3 and known(found) == known(reopened(bench))
        await states.close()

    run(tmp_path, scenario)


def test_a_record_that_changes_while_it_is_written_brings_its_values_along_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        monkeypatch.setattr(disk, "SLICE", 1)
        for number in range(3):
            await changed(bench, states, number)
        bench.judge(bench.upsert("crm", "seq:0:01", {"name": "other"}, key="C-2"))
        states._due_s = 0.0
        await judged(bench, states, bench.upsert("crm", "seq:0:010", {"name": "ten"}))
        assert states._writing is not None
        bench.judge(bench.upsert("crm", "seq:0:011", {"name": "eleven"}))
        await states._ended()
        assert len(bench.state().recent) == 2, "what is written names the entry before, this one too"
        assert known(bench.memory) == known(reopened(bench))
        await changed(bench, states, 12)
        assert bench.state().recent == () and known(bench.memory) == known(reopened(bench))
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, Room(1000))
        found, _ = await opened(states, bench)
        assert known(found) == known(reopened(bench)) and known(found, b"C-2")[1] == []
        await states.close()

    run(tmp_path, scenario)


def test_numbers_go_on_after_an_opening_also_where_the_slot_was_behind(tmp_path: Path) -> None:
    async def scenario(bench: Bench, states: StatesOnDisk) -> None:
        await changed(bench, states, 0)
        await changed(bench, states, 1, T0 + 5000)
        await states.close()
        states = StatesOnDisk(tmp_path, 0, Room(1000))
        bench.memory, _ = await opened(states, bench)
        bench.memory.gate_time_ms = 0  # of another slot, which had judged nothing yet
        await changed(bench, states, 2, T0)
        numbers = [*states._replaced._family.keys()]
        assert numbers == sorted(numbers) and len(numbers) == 2
        await states.close()

    run(tmp_path, scenario)
