"""A slot: opens from the log, takes batches from its inputs, commits what they bring about, in one endless round.

Opening order: fence, map, state and ledger to the last stable offset, seek, run. On any error everything since the
last commit is dropped and the slot opens again from the log; three times in a row, and the process leaves.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from broker import topics
from broker.access import KafkaAccess
from broker.lane.completing import complete, inputs_of
from broker.lane.cycles import look_for_cycles
from broker.lane.disk import StatesOnDisk
from broker.lane.halts import Halts
from broker.lane.judge import Judge
from broker.lane.judged import Judged
from broker.lane.maps import MapFollower
from broker.lane.memory import SlotMemory
from broker.lane.order import batches, in_order, records_max
from broker.lane.rebuilding import Rebuilding
from broker.lane.replay import reader_of
from broker.lane.settle import Batch, Settling, StandsStill
from broker.lane.transaction import SlotWriter
from broker.lane.turns import FULL_RECORDS, Turns

POLL_MS = 200
FETCH_RECORDS_MAX = 3000
FETCH_BYTES_MAX = 8 * 1024 * 1024
"""Of one answer of Kafka. Of an input, at most one more fetch of 1 MiB waits while a batch is judged."""
TRY_AGAIN_S = 30.0
ASK_AGAIN_S = 0.1
log = structlog.get_logger()


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
        is_ours: Callable[[int], Awaitable[bool]],
        states: Callable[[], StatesOnDisk],
        turns: Turns,
    ) -> None:
        self.number = number
        self._access = access
        self._maps = maps
        self._submit = submit
        self._worker = worker
        self._committed = committed
        self._is_ours = is_ours
        self._states = states
        self._turns = turns
        self._inputs: dict[TopicPartition, tuple[str, int]] = {}
        self._partitions: dict[str, int] = {}
        self._changed_inputs = asyncio.Event()
        self._stop = asyncio.Event()
        self.parked: dict[TopicPartition, float] = {}
        """Inputs that stand still in the open (I10), and the loop time at which they are tried again: those whose
        changes were lost before they were judged, never."""
        self.beat = time.monotonic()
        """When it last came round: had nothing to do, or committed. The watchdog looks at it."""

    def set_inputs(self, inputs: Collection[TopicPartition], partitions: dict[str, int]) -> None:
        """Tell which input partitions belong to this slot now; takes force between two batches."""
        wanted = {place: (topics.stream_in(place.topic) or "", place.partition) for place in inputs}
        if wanted != self._inputs:
            self._inputs, self._partitions = wanted, dict(partitions)
            self._changed_inputs.set()

    def stop(self) -> None:
        """Ask the slot to end after the batch in hand."""
        self._stop.set()
        self._changed_inputs.set()

    async def run(self) -> None:
        """Open and work until stopped. Raises whatever broke the slot; the lane opens it again."""
        while not self._stop.is_set() and not (self._inputs and await self._is_ours(self.number)):
            self.beat = time.monotonic()
            await asyncio.sleep(ASK_AGAIN_S)
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
        rebuilding = Rebuilding(self._access, states, writer.mark, self._comes_round, self._turns)
        memory, torn = await rebuilding.memory_of(self.number, set(self._inputs.values()))
        memory.partitions = dict(self._partitions)
        if torn is not None:
            rules = await self._maps.version(torn.record["map_version"])
            inputs = await inputs_of(self._access, torn)
            await states.committed(await complete(torn, memory, rules, inputs, writer))
        await self._maps.at_least(memory.map_version)  # never with an older map than the slot's last batch
        judge = Judge(memory, self._worker)
        settling = Settling(writer, judge, self._submit, self._count, states.committed)
        log.info("slot.opened", slot=self.number, sequence=memory.sequence, inputs=len(self._inputs))
        consumer = reader_of(self._access, fetch_max_wait_ms=POLL_MS, fetch_max_bytes=FETCH_BYTES_MAX)
        halts = Halts(consumer)
        await consumer.start()
        try:
            while not self._stop.is_set():
                self._try_again()
                if self._changed_inputs.is_set() or not consumer.assignment():
                    await self._assign(consumer, memory, rebuilding)
                await halts.refresh(memory.connections)
                await self._round(consumer, halts, settling)
                look_for_cycles()
                self._comes_round()
        finally:
            await consumer.stop()
            log.info("slot.closed", slot=self.number, sequence=memory.sequence)

    def _comes_round(self) -> None:
        self.beat = time.monotonic()

    def _count(self, judged: Judged) -> None:
        self._comes_round()
        self._committed(self.number, judged)

    def _try_again(self) -> None:
        now = time.monotonic()
        if due := [place for place, at in self.parked.items() if at <= now]:
            for place in due:
                del self.parked[place]
            self._changed_inputs.set()

    async def _assign(self, consumer: Any, memory: SlotMemory, rebuilding: Rebuilding) -> None:
        self._changed_inputs.clear()
        memory.partitions = dict(self._partitions)
        shelves = set(self._inputs.values()) - memory.states.keys()
        if shelves:
            await rebuilding.add(memory, shelves)
        places = [place for place in self._inputs if place not in self.parked]
        begin = await consumer.beginning_offsets(places)
        # An input that the ledger has never named was to be judged from its very beginning.
        wanted = {place: memory.positions.get(f"{place.topic}/{place.partition}", 0) for place in places}
        for place in places:
            if wanted[place] < begin[place]:
                self._park(place, wanted[place], begin[place])
        consumer.assign([place for place in places if place not in self.parked])
        for place in consumer.assignment():
            consumer.seek(place, wanted[place])

    def _park(self, place: TopicPartition, wanted: int, begin: int) -> None:
        # I10: never skipped. Its neighbours go on; a person must say what becomes of the gap.
        self.parked[place] = math.inf
        log.error(
            "slot.changes_lost",
            slot=self.number,
            topic=place.topic,
            partition=place.partition,
            wanted=wanted,
            begin=begin,
            what_to_do="Changes were deleted before they were judged. Publish them again, then reset.",
        )

    async def _round(self, consumer: Any, halts: Halts, settling: Settling) -> None:
        fetched = await self._fetch(consumer, POLL_MS, FULL_RECORDS)
        if not fetched:
            return
        have = sum(map(len, fetched.values()))
        many = have >= FULL_RECORDS
        async with self._turns.many() if many else self._turns.mine() as turn:
            if turn or not many:
                for place, records in (await self._fetch(consumer, 0, FETCH_RECORDS_MAX - have)).items():
                    fetched.setdefault(place, []).extend(records)  # what came while it waited, and a backlog
            await self._settle(halts, settling, fetched)

    async def _fetch(self, consumer: Any, timeout_ms: int, most: int) -> dict[TopicPartition, list[Any]]:
        try:
            found: dict[TopicPartition, list[Any]] = await consumer.getmany(
                timeout_ms=timeout_ms, max_records=most
            )
        except OffsetOutOfRangeError as error:
            for place, offset in error.args[0].items():
                begin = (await consumer.beginning_offsets([place]))[place]
                if offset < begin:
                    self._park(place, offset, begin)
            # Behind its end, a broker spoke that has not heard yet that it leads no more: asked again, another answers.
            await asyncio.sleep(ASK_AGAIN_S)
            self._changed_inputs.set()
            return {}
        return found

    async def _settle(
        self, halts: Halts, settling: Settling, fetched: dict[TopicPartition, list[Any]]
    ) -> None:
        rules = self._maps.rules
        assert rules is not None
        ready = await halts.before_barriers(rules, in_order(fetched.values()))
        try:
            for records in batches(ready, records_max(settling.s_per_record)):
                await settling.settle(rules, records)
        except StandsStill as error:
            self._stand_still(error)

    def _stand_still(self, error: StandsStill) -> None:
        place = error.place
        self.parked[place] = time.monotonic() + TRY_AGAIN_S
        self._changed_inputs.set()  # its neighbours are read again from where they were committed
        log.error(
            "slot.input_stands_still",
            slot=self.number,
            topic=place.topic,
            partition=place.partition,
            offset=error.offset,
            error=repr(error.error)[:300],
            what_to_do="Give the gate its rights again: `solesource prepare`. It is tried again every 30 seconds.",
        )
