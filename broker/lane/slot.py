"""A slot: opens from the log, takes batches from its inputs, commits what they bring about, in one endless round.

Opening order: fence, map, state and ledger to the last stable offset, seek, run. On any error everything since the
last commit is dropped and the slot opens again from the log; three times in a row, and the process leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from broker import topics
from broker.access import KafkaAccess
from broker.lane.cycles import look_for_cycles
from broker.lane.disk import StatesOnDisk
from broker.lane.halts import Halts
from broker.lane.judge import Judge, Judged
from broker.lane.maps import MapFollower
from broker.lane.order import batches, in_order
from broker.lane.replay import load_shelves, reader_of, rebuild
from broker.lane.transaction import SlotWriter
from broker.rules import Rules

POLL_MS = 200
FETCH_RECORDS_MAX = 3000
log = structlog.get_logger()


@dataclass(slots=True)
class Batch:
    """Work for the gate's agent: records of one slot in order, and a place for what became of them."""

    judge: Judge
    rules: Rules
    records: Any
    judged: asyncio.Future[Judged]


class Slot:
    """One slot while this worker owns it."""

    def __init__(
        self,
        number: int,
        access: KafkaAccess,
        maps: MapFollower,
        submit: Callable[[Batch], Awaitable[None]],
        worker: str,
        committed: Callable[[int, Judged], None],
        states: Callable[[], StatesOnDisk],
    ) -> None:
        self.number = number
        self._access = access
        self._maps = maps
        self._submit = submit
        self._worker = worker
        self._committed = committed
        self._states = states
        self._inputs: dict[TopicPartition, tuple[str, int]] = {}
        self._partitions: dict[str, int] = {}
        self._changed_inputs = asyncio.Event()
        self._stop = asyncio.Event()
        self.parked: set[TopicPartition] = set()
        """Inputs that cannot go on without a person: changes were lost before they were judged (I10)."""

    def set_inputs(self, inputs: Collection[TopicPartition], partitions: dict[str, int]) -> None:
        """Tell which input partitions belong to this slot now; takes force between two batches."""
        wanted = {place: (_object_of(place.topic), place.partition) for place in inputs}
        if wanted != self._inputs:
            self._inputs, self._partitions = wanted, dict(partitions)
            self._changed_inputs.set()

    def stop(self) -> None:
        """Ask the slot to end after the batch in hand."""
        self._stop.set()
        self._changed_inputs.set()

    async def run(self) -> None:
        """Open and work until stopped. Raises whatever broke the slot; the lane opens it again."""
        while not self._inputs and not self._stop.is_set():
            await self._changed_inputs.wait()
        if self._stop.is_set():
            return
        writer = SlotWriter(self._access, self.number)
        await writer.start()  # I3: fences the former worker before anything is read
        states = self._states()
        try:
            await self._work(writer, states)
        finally:
            await states.close()
            await writer.stop()

    async def _work(self, writer: SlotWriter, states: StatesOnDisk) -> None:
        memory = await rebuild(self._access, self.number, set(self._inputs.values()), states)
        await self._maps.at_least(memory.map_version)  # never with an older map than the slot's last batch
        memory.partitions = dict(self._partitions)
        judge = Judge(memory, self._worker)
        log.info("slot.opened", slot=self.number, sequence=memory.sequence, inputs=len(self._inputs))
        consumer = reader_of(self._access, fetch_max_wait_ms=POLL_MS)
        halts = Halts(consumer)
        await consumer.start()
        try:
            while not self._stop.is_set():
                if self._changed_inputs.is_set() or not consumer.assignment():
                    await self._assign(consumer, judge, states)
                await halts.refresh(memory.connections)
                await self._round(consumer, halts, writer, judge, states)
                look_for_cycles()
        finally:
            await consumer.stop()
            log.info("slot.closed", slot=self.number, sequence=memory.sequence)

    async def _assign(self, consumer: Any, judge: Judge, states: StatesOnDisk) -> None:
        self._changed_inputs.clear()
        memory = judge.memory
        memory.partitions = dict(self._partitions)
        shelves = set(self._inputs.values()) - memory.states.keys()
        if shelves:
            extra = reader_of(self._access)
            await extra.start()
            try:
                await load_shelves(self._access, extra, memory, shelves, states)
            finally:
                await extra.stop()
        places = [place for place in self._inputs if place not in self.parked]
        consumer.assign(places)
        begin = await consumer.beginning_offsets(places)
        for place in places:
            wanted = memory.positions.get(f"{place.topic}/{place.partition}")
            if wanted is not None and wanted < begin[place]:
                self._park(place, wanted, begin[place])
            consumer.seek(place, begin[place] if wanted is None else wanted)
        if self.parked.intersection(places):
            consumer.assign([place for place in places if place not in self.parked])

    def _park(self, place: TopicPartition, wanted: int, begin: int) -> None:
        # I10: never skipped. Its neighbours go on; a person must say what becomes of the gap.
        self.parked.add(place)
        log.error(
            "slot.changes_lost",
            slot=self.number,
            topic=place.topic,
            partition=place.partition,
            wanted=wanted,
            begin=begin,
            what_to_do="Changes were deleted before they were judged. Publish them again, then reset.",
        )

    async def _round(
        self, consumer: Any, halts: Halts, writer: SlotWriter, judge: Judge, states: StatesOnDisk
    ) -> None:
        try:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=FETCH_RECORDS_MAX)
        except OffsetOutOfRangeError as error:
            for place, offset in error.args[0].items():
                begin = (await consumer.beginning_offsets([place]))[place]
                self._park(place, offset, begin)
            self._changed_inputs.set()
            return
        if not fetched:
            return
        rules = self._maps.rules
        assert rules is not None
        for records in batches(await halts.before_barriers(rules, in_order(fetched.values()))):
            batch = Batch(judge, rules, records, asyncio.get_running_loop().create_future())
            await self._submit(batch)
            judged = await batch.judged
            moved = await writer.commit(judged.outgoing, judged.ledger)
            judge.keep(judged)
            await states.committed(moved)  # I3: only what is committed
            self._committed(self.number, judged)


def _object_of(topic: str) -> str:
    ingress = topics.parse_changes(topic)
    return ingress[1] if ingress else topics.parse_commands(topic) or ""
