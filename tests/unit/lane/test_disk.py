"""States on disk: when a checkpoint is believed, what is kept in memory, and what a full or damaged disk does."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker import topics
from broker.gate.outgoing import Destination
from broker.gate.state import NO_MEMORY, NO_RECORD, Memory, RecordState
from broker.lane import disk, rocks
from broker.lane.checkpoint import Changelogs, Checkpoint, checkpoint_of, doubt
from broker.lane.disk import StatesOnDisk, StatesUnusable
from broker.lane.memory import SlotMemory
from broker.lane.states import CachedStates, Room
from broker.lane.stored import entry_bytes, entry_of, state_bytes, state_of
from tests.gate_parts import Bench
from tests.on_disk import IDS, PLACES, changelogs, judged, killed, known, opened
from tests.reopened import SHELF, reopened
from tests.unit.lane.test_fold import FULL

ROOM = Room(1000)
AUTHORITATIVE, STATE = PLACES[Destination.AUTHORITATIVE], PLACES[Destination.STATE]
CHECKPOINT = Checkpoint(3, b"c", 1000, 0, IDS, dict.fromkeys(PLACES.values(), 5))
LOG = Changelogs(IDS, dict.fromkeys(PLACES.values(), 0), dict.fromkeys(PLACES.values(), 9))


def test_a_state_comes_back_as_it_was_written() -> None:
    owners = (("crm", "a;b=%", None), ("erp", "x", frozenset({"name", "email"})))
    whole = RecordState(b"v" * 300, 7, owners, ((1, b""), (2, b"old")), FULL)
    for state in (NO_RECORD, whole, whole._replace(value=b""), whole._replace(value=None)):
        found = state_of(state_bytes(state, 3), lambda number: ((number, b"older"),))
        assert found == state._replace(recent=(), older=((3, b"older"),))
    assert entry_of(entry_bytes(2, whole.recent)) == (2, [*whole.recent])


def test_a_checkpoint_comes_back_as_it_was_written() -> None:
    assert checkpoint_of(CHECKPOINT.encode()) == CHECKPOINT
    assert checkpoint_of(CHECKPOINT.encode().replace(b'"format": 2', b'"format": 0')) is None


@pytest.mark.parametrize(
    ("said", "checkpoint", "now_ms"),
    [
        ("", {}, 1000 + topics.WHOLE_MS),
        ("ahead of the ledger", {"sequence": 5}, 2000),
        ("another one", {"sequence": 4}, 2000),
        ("too old", {}, 1001 + topics.WHOLE_MS),
        ("", {"sequence": 4, "chain": b"d"}, 1001 + topics.WHOLE_MS),  # nothing came after it
        ("ahead of authoritative.customer/0", {"offsets": {AUTHORITATIVE: 10}}, 2000),
        ("", {"offsets": {("state.gone", 0): 10}}, 2000),
        ("made anew", {"ids": {**IDS, "state.customer": "former"}}, 2000),
        ("the beginning of state.customer/0 is gone", {"offsets": {STATE: -1}}, 2000),
    ],
)
def test_a_checkpoint_is_believed_or_not(said: str, checkpoint: Any, now_ms: int) -> None:
    slot = SlotMemory(slot=0, sequence=4, chain=b"d")
    found = doubt(replace(CHECKPOINT, **checkpoint), slot, LOG, now_ms)
    assert said in found and bool(said) == bool(found)


def test_what_was_used_lately_stays_in_memory() -> None:
    reads: list[bytes] = []

    def read(key: bytes) -> RecordState | None:
        reads.append(key)
        return RecordState(b"v", 1) if key != b"none" else None

    states = CachedStates(read, Room(8))
    states.update({b"dirty": RecordState(b"v", 2)})
    for number in range(20):
        states.get(b"hot")
        states.get(b"cold-%d" % number)
    assert reads.count(b"hot") == 1
    assert len(states._young) + len(states._old) <= 10
    assert states.get(b"dirty") == RecordState(b"v", 2) and b"dirty" not in reads
    states.written()
    assert states.get(b"none") is None


def test_a_slot_waits_for_who_is_just_leaving_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a soak: whoever came a moment too early read all of the log instead."""

    async def scenario(wait_s: float) -> bool:
        bench, leaving = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        await opened(leaving, bench)
        coming = StatesOnDisk(tmp_path, 0, ROOM)
        monkeypatch.setattr(rocks, "LEAVING_S", wait_s)
        opening = asyncio.create_task(opened(coming, bench))
        await asyncio.sleep(0.4)
        await leaving.close()
        await opening
        own = coming._path == coming._own
        await coming.close()
        return own

    assert asyncio.run(scenario(10.0))
    assert not asyncio.run(scenario(0.0)), "it would work in a folder of its own"


def test_what_is_remembered_of_a_record_takes_room_too() -> None:
    """Found by a soak: the more records had met a foreign write, the more memory the same number of states took."""
    held = Memory(held={"crm": "seq:0:01", "erp": "seq:0:02"})
    for memory, least, most in ((NO_MEMORY, 30, 44), (held, 9, 20)):
        states = CachedStates(lambda _, memory=memory: RecordState(b"v", 1, memory=memory), Room(80))
        for number in range(100):
            states.get(b"%d" % number)
        assert least <= len(states._young) + len(states._old) <= most, memory
        grown = CachedStates(lambda _: None, Room(80))
        for number in range(100):
            grown.update({b"%d" % number: RecordState(b"v", 1)})
            grown.update({b"%d" % number: RecordState(b"v", 2, memory=memory)})
        assert least <= len(grown._young) + len(grown._old) <= most, memory


def test_an_opening_that_was_broken_off_is_not_believed(tmp_path: Path) -> None:
    """States of the middle of the log were written, to spare memory: read again over them, values would come twice."""

    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        for number, name in enumerate("abcd"):
            states._due_s = 0.0 if number == 0 else 1e12
            await judged(bench, states, bench.upsert("crm", f"seq:0:0{number}", {"name": name}))
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, ROOM)
        await opened(states, bench, until=2, spare=True)
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, ROOM)
        with capture_logs() as logs:
            found, read = await opened(states, bench)
        assert [line["reason"] for line in logs] == ["there is none"] and read == 4
        assert known(found) == known(reopened(bench))
        await states.close()

    asyncio.run(scenario())


def test_another_topic_of_the_same_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "a"}))
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        said = replace(changelogs(bench), ids=dict.fromkeys(IDS, "another"))
        with capture_logs() as logs:
            found, read = await opened(states, bench, said)
        assert read == 1 and "made anew" in logs[0]["reason"]
        assert known(found) == known(reopened(bench))
        await states.close()

    asyncio.run(scenario())


def test_states_of_an_older_generation_are_let_go_of(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "a"}))
        await judged(bench, states, bench.upsert("erp", "seq:0:01", {"credit_limit": None}, key="C-2"))
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        memory, place = SlotMemory(slot=0), ("authoritative.customer.2", 0)
        memory.follow(bench.ledger[-1])
        after = Changelogs({place[0]: "2"}, {place: 0}, {place: 0})
        assert await states.take(memory, {("customer.2", 0)}, after) == {}
        assert not [*states._under(b"s"), *states._under(b"w")]
        await states.loaded(after)
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        with capture_logs() as logs:
            assert await states.take(memory, {("customer.2", 0)}, after) == {}
        assert logs == [], "its checkpoint knows the new place alone"
        await states.close()

    asyncio.run(scenario())


def test_a_state_that_cannot_be_read_is_gone_at_the_next_opening(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, Room(1))
        bench.memory, _ = await opened(states, bench)
        await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "a"}))
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        found, _ = await opened(states, bench)
        states._database[b"scustomer/0\0C-1"] = b"?"
        with pytest.raises(StatesUnusable):
            found.states[SHELF].get(b"C-1")
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        found, _ = await opened(states, bench)
        assert known(found) == known(reopened(bench))
        await states.close()

    asyncio.run(scenario())


def test_what_waits_is_complete_or_not_believed(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        await judged(bench, states, bench.upsert("erp", "seq:0:01", {"credit_limit": None}))
        assert bench.memory.waiting[SHELF] == {b"C-1"}
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        found, read = await opened(states, bench)
        assert read == 0 and found.waiting[SHELF] == {b"C-1"}
        del states._database[b"wcustomer/0\0C-1"]
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, ROOM)
        with capture_logs() as logs:
            found, read = await opened(states, bench)
        assert [line["reason"] for line in logs] == ["what waits is damaged"]
        assert read == 1 and found.waiting[SHELF] == {b"C-1"}
        await states.close()

    asyncio.run(scenario())


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_written_to_when_it_has_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        with capture_logs() as logs, full_disk():
            for number in range(3):
                states._due_s = 0.0
                await judged(bench, states, bench.upsert("crm", f"seq:0:0{number}", {"name": str(number)}))
        assert [line["event"] for line in logs] == ["slot.state_not_written"]
        states._due_s = 0.0
        await judged(bench, states, bench.upsert("crm", "seq:0:09", {"name": "room"}))
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, ROOM)
        found, read = await opened(states, bench)
        assert read == 0 and known(found) == known(reopened(bench))
        await states.close()

    asyncio.run(scenario())


def test_a_slot_goes_on_while_its_states_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes meanwhile is not in this write, and not forgotten; a crash finds the batch at which it began."""

    async def scenario() -> None:
        monkeypatch.setattr(disk, "SLICE", 1)
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, Room(1))
        bench.memory, _ = await opened(states, bench)
        for number in range(4):
            states._due_s = 0.0 if number == 3 else 1e12
            await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "old"}, key=f"C-{number}"))
        assert states._writing is not None, "the slot does not wait for it"
        while not states._writing.done():
            await judged(bench, states, bench.upsert("crm", "seq:0:02", {"name": "new"}, key="C-0"))
            assert bench.state(b"C-0").revision == 2 and bench.state(b"C-3").revision == 1
            await asyncio.sleep(0)
        await killed(states)
        states = StatesOnDisk(tmp_path, 0, ROOM)
        found, read = await opened(states, bench)
        assert read == 1, "the change that came meanwhile"
        assert [found.states[SHELF].get(b"C-%d" % n).revision for n in range(4)] == [2, 1, 1, 1]
        await states.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("changes", "late_s", "written"), [(2, 1, True), (3, 1, False), (3, 6, True)])
def test_where_much_changes_it_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, late_s: int, written: bool
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(disk, "MUCH", 2)
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        for number in range(1, changes + 1):
            states._due_s = asyncio.get_running_loop().time() - late_s if number == changes else 1e12
            await judged(bench, states, bench.upsert("crm", f"seq:0:{number:02}", {"name": str(number)}))
        assert (states._unwritten == 0) is written
        await states.close()

    asyncio.run(scenario())


def test_a_slot_fails_when_more_is_dirty_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        monkeypatch.setattr(disk, "DIRTY_STATES_MAX", 1)
        with capture_logs(), full_disk():
            states._due_s = 0.0
            await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "a"}, key="C-1"))
            with pytest.raises(StatesUnusable, match="cannot be written"):
                await judged(bench, states, bench.upsert("crm", "seq:0:01", {"name": "a"}, key="C-2"))
            await states.close()

    asyncio.run(scenario())


def test_without_the_place_of_a_record_there_is_no_checkpoint(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench, states = Bench(), StatesOnDisk(tmp_path, 0, ROOM)
        bench.memory, _ = await opened(states, bench)
        bench.judge(bench.upsert("crm", "seq:0:01", {"name": "a"}))
        await states.committed({("ledger", 0): -1})
        with pytest.raises(StatesUnusable, match="did not say"):
            await states.committed({AUTHORITATIVE: -1})
        await states.close()
        states = StatesOnDisk(tmp_path, 0, ROOM)
        _, read = await opened(states, bench)
        assert read == 1
        await states.close()

    asyncio.run(scenario())
