"""What a slot knows, from the log: memory, authoritative records, and the last committed ledger record.

States that are on disk are read on from their checkpoint; the rest from the beginning of the log. Called after the
producer has fenced the former worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.kafka.reading import topic_ids
from broker.lane.checkpoint import Changelogs
from broker.lane.completing import ledger_end, torn_batch
from broker.lane.disk import StatesOnDisk
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.places import Place, changelogs, outputs
from broker.lane.replay import read_on, reading, stable_ends
from broker.lane.torn import Torn, begins
from broker.lane.turns import Turns

Mark = Callable[[Collection[Place], Collection[Place]], Awaitable[Mapping[Place, int]]]
"""Tells of places how far they go at least, from those who take writes for them; see `Transactions.mark`."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What a slot is rebuilt with, from its opening to its closing: all at first, then what is added to it."""

    access: KafkaAccess
    disk: StatesOnDisk
    """Where states are kept."""
    mark: Mark
    """Asked before anything is believed."""
    beat: Callable[[], None]
    """Called as long as it goes on."""
    turns: Turns

    async def memory_of(self, slot: int, shelves: Collection[Shelf]) -> tuple[SlotMemory, Torn | None]:
        """The memory of a slot that works on `shelves`, as its last whole batch left it, and the one that was torn."""
        memory = SlotMemory(slot=slot)
        async with reading(self.access) as consumer:
            existing = await consumer.topics()
            memory.ends |= await self._marked(slot, shelves, existing)
            end = await ledger_end(self.access, consumer, slot, memory.ends)
            torn = await torn_batch(consumer, end, memory.ends)
            stands = end.last.record if end.last is not None else None
            if torn is not None:
                stands, shelves = torn.before, {*shelves, *torn.shelves}
                memory.ends |= await self._marked(slot, torn.shelves, existing)
            if stands is not None:
                memory.follow(stands)
            await self._load(
                consumer, memory, _changelogs(shelves, existing), begins(torn.record) if torn else {}
            )
        return memory, torn

    async def add(self, memory: SlotMemory, shelves: Collection[Shelf]) -> None:
        """Bring the states of more shelves into the memory of a slot at work."""
        async with reading(self.access) as consumer:
            more = _changelogs(shelves, await consumer.topics())
            if more:
                memory.ends |= await self.mark([*more], ())
                await self._load(consumer, memory, more, {})

    async def _marked(
        self, slot: int, shelves: Collection[Shelf], existing: Collection[str]
    ) -> Mapping[Place, int]:
        needed = {(topics.LEDGER, slot), *_changelogs(shelves, existing)}
        return await self.mark(needed, outputs(slot, shelves, existing) - needed)

    async def _load(
        self,
        consumer: AIOKafkaConsumer,
        memory: SlotMemory,
        shelf_at: Mapping[TopicPartition, Shelf],
        until: Mapping[Place, int],
    ) -> None:
        """Bring states, in memory and on disk, to the end of the log, or `until` an offset before it."""
        if not shelf_at:
            return
        places = list(shelf_at)
        ids = await asyncio.to_thread(topic_ids, self.access, {place.topic for place in places})
        begin, end = (
            await consumer.beginning_offsets(places),
            await stable_ends(consumer, places, memory.ends),
        )
        end |= {place: min(end[place], at) for place in places if (at := until.get(place)) is not None}
        said = Changelogs(ids, begin, end)
        since = await self.disk.take(memory, set(shelf_at.values()), said)
        count, left = 0, sum(end[place] - since.get(place, begin[place]) for place in places)
        async with self.turns.reading(left, self.beat):
            for topic_of in (topics.state, topics.authoritative):
                shelf_of = {
                    place: shelf for place, shelf in shelf_at.items() if place.topic == topic_of(shelf[0])
                }
                its_since = {place: at for place, at in since.items() if place in shelf_of}
                async for place, records in read_on(consumer, shelf_of, its_since, end):
                    shelf = shelf_of[place]
                    for record in records:
                        if record.offset >= end[place]:
                            break
                        if topic_of is topics.state:
                            memory.remember(shelf, record.key, record.value)
                        else:
                            memory.revise(shelf, record.key, record.value, record.headers)
                    count += len(records)
                    self.beat()
                    await self.disk.spare()
        await self.disk.loaded(said)
        log.info("slot.state_read", slot=memory.slot, records=count)


def _changelogs(shelves: Collection[Shelf], existing: Collection[str]) -> dict[TopicPartition, Shelf]:
    """`changelogs`, as the client names partitions."""
    return {TopicPartition(*place): shelf for place, shelf in changelogs(shelves, existing).items()}
