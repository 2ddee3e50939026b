"""What a slot knows, from the log: memory, authoritative records, and the last committed ledger record.

States that are on disk are read on from their checkpoint; the rest from the beginning of the log.

Reads only what is committed, to the last stable offset. Called after the producer has fenced the former worker, and
told how far each partition goes at least: a broker that was silent for a while takes itself for the leader for a moment
after it comes back, and says that the log ends where it did before (decision 0015).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.kafka.reading import topic_ids
from broker.lane.checkpoint import Changelogs
from broker.lane.disk import StatesOnDisk
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.turns import Turns
from schemas.registry import envelopes

log = structlog.get_logger()

_LEDGER_STEP = 64
_POLL_MS = 100
"""The end of a transaction is no record: at the end of a partition a longer wait would be in vain."""
TO_THE_END: Mapping[str, Any] = {"fetch_max_wait_ms": 10}
"""Of a reader that reads logs to their ends: Kafka answers a connection's questions one after the other, so behind a
fetch that waits half a second for what may come, every question about offsets would wait as long."""
_SPARE_AFTER = 1000
"""Records that are taken in before other slots get their turn."""
_ALL: Mapping[tuple[str, int], int] = {}
_ASK_AGAIN_S = 0.03
_TRIES = 5
"""So often the same leader is asked before it is asked who leads."""
_BEHIND_S_MAX = 30.0
Mark = Callable[[Collection[tuple[str, int]]], Awaitable[Mapping[tuple[str, int], int]]]
"""Tells of each (topic, partition) how far it goes at least, from those who take writes for it."""


class LogBehindError(KafkaError):
    """What Kafka lets us read of a partition ends before what is known to be in it."""


class Reader(AIOKafkaConsumer):
    """aiokafka's consumer, which is told of topics all at once.

    Of those that it does not know it asks for one after the other, a tenth of a second each: with a hundred topics it
    would not have an answer before its time is out, whenever it is asked.
    """

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        await self._meet(partitions)
        return dict(await super().beginning_offsets(list(partitions)))

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        await self._meet(partitions)
        return dict(await super().end_offsets(list(partitions)))

    async def _meet(self, partitions: Collection[TopicPartition]) -> None:
        await asyncio.gather(
            *[self._client.add_topic(topic) for topic in {place.topic for place in partitions}]
        )


def reader_of(access: KafkaAccess, *, isolation_level: str = "read_committed", **options: Any) -> Reader:
    """A consumer without a group that sees committed records only, unless told otherwise, and never jumps."""
    return Reader(
        **access.client_options(),
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=1024 * 1024,
        **options,
    )


async def stable_ends(
    consumer: AIOKafkaConsumer,
    places: Collection[TopicPartition],
    at_least: Mapping[tuple[str, int], int],
) -> dict[TopicPartition, int]:
    """The last stable offset of each partition; asked again until none is lower than `at_least` says.

    Raises LogBehindError when one stays lower.
    """
    deadline, tries = time.monotonic() + _BEHIND_S_MAX, 0
    while True:
        ends = await consumer.end_offsets(list(places))
        behind = [place for place in places if ends[place] < at_least.get(place, 0)]
        if not behind:
            return dict(ends)
        if time.monotonic() > deadline:
            raise LogBehindError(f"{behind[0]} ends at {ends[behind[0]]}, which cannot be")
        await asyncio.sleep(_ASK_AGAIN_S)  # the end of a transaction comes to its partitions a moment later
        if (tries := tries + 1) % _TRIES == 0:
            await consumer._client.force_metadata_update()  # noqa: SLF001 - another one may lead


async def read_all(
    consumer: AIOKafkaConsumer,
    places: Collection[TopicPartition],
    since: Mapping[tuple[str, int], int] = _ALL,
    at_least: Mapping[tuple[str, int], int] = _ALL,
) -> AsyncIterator[Any]:
    """Every committed record of the given partitions up to their present last stable offset, as `read_on` has them."""
    async for _, records in read_on(consumer, places, since, at_least):
        for record in records:
            yield record


async def read_on(
    consumer: AIOKafkaConsumer,
    places: Collection[TopicPartition],
    since: Mapping[tuple[str, int], int] = _ALL,
    at_least: Mapping[tuple[str, int], int] = _ALL,
) -> AsyncIterator[tuple[TopicPartition, Sequence[Any]]]:
    """The same, some records of one partition at a time.

    `since`: where to begin in some of them; the others are read from their beginning. `at_least`: how far they go.
    """
    if not places:
        return
    consumer.assign(list(places))
    begin = await consumer.beginning_offsets(list(places)) | dict(since)
    end = await stable_ends(consumer, places, at_least)
    for place in places:
        consumer.seek(place, begin[place])
    open_places = [place for place in places if begin[place] < end[place]]
    while open_places:
        batches = await consumer.getmany(*open_places, timeout_ms=_POLL_MS, max_records=_SPARE_AFTER)
        for found in batches.items():
            yield found
        open_places = [place for place in open_places if await consumer.position(place) < end[place]]


async def last_ledger(
    consumer: AIOKafkaConsumer, slot: int, at_least: Mapping[tuple[str, int], int]
) -> Mapping[str, Any] | None:
    """The last committed ledger record of a slot, None if there is none yet; the ledger goes so far `at_least`."""
    place = TopicPartition(topics.LEDGER, slot)
    consumer.assign([place])
    begin = (await consumer.beginning_offsets([place]))[place]
    end = (await stable_ends(consumer, [place], at_least))[place]
    step, found = _LEDGER_STEP, None
    while end > begin and found is None:
        start = max(begin, end - step)
        consumer.seek(place, start)
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(place, timeout_ms=_POLL_MS)).values():
                found = records[-1].value if records else found
        if start == begin:
            break
        step *= 8
    return envelopes().codec.decode(found) if found is not None else None


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

    async def memory_of(self, slot: int, shelves: Collection[Shelf]) -> SlotMemory:
        """The memory of a slot that works on `shelves`, as its last committed batch left it."""
        memory = SlotMemory(slot=slot)
        async with _reading(self.access) as consumer:
            changelogs = _changelogs(shelves, await consumer.topics())
            known = await self.mark([TopicPartition(topics.LEDGER, slot), *changelogs])
            ledger = await last_ledger(consumer, slot, known)
            if ledger is not None:
                memory.follow(ledger)
            await self._load(consumer, memory, changelogs, known)
        return memory

    async def add(self, memory: SlotMemory, shelves: Collection[Shelf]) -> None:
        """Bring the states of more shelves into the memory of a slot at work."""
        async with _reading(self.access) as consumer:
            changelogs = _changelogs(shelves, await consumer.topics())
            if changelogs:
                await self._load(consumer, memory, changelogs, await self.mark([*changelogs]))

    async def _load(
        self,
        consumer: AIOKafkaConsumer,
        memory: SlotMemory,
        changelogs: Mapping[TopicPartition, Shelf],
        known: Mapping[tuple[str, int], int],
    ) -> None:
        """Bring states, in memory and on disk, to the end of the log, which is at least `known`."""
        if not changelogs:
            return
        places = list(changelogs)
        ids = await asyncio.to_thread(topic_ids, self.access, {place.topic for place in places})
        begin, end = await consumer.beginning_offsets(places), await stable_ends(consumer, places, known)
        said = Changelogs(ids, begin, end)
        since = await self.disk.take(memory, set(changelogs.values()), said)
        count, left = 0, sum(end[place] - since.get(place, begin[place]) for place in places)
        async with self.turns.reading(left, self.beat):
            for topic_of in (topics.state, topics.authoritative):
                shelf_of = {
                    place: shelf for place, shelf in changelogs.items() if place.topic == topic_of(shelf[0])
                }
                begins = {place: at for place, at in since.items() if place in shelf_of}
                async for place, records in read_on(consumer, shelf_of, begins, end):
                    shelf = shelf_of[place]
                    for record in records:
                        if topic_of is topics.state:
                            memory.remember(shelf, record.key, record.value)
                        else:
                            memory.revise(shelf, record.key, record.value, record.headers)
                    count += len(records)
                    self.beat()
                    await self.disk.spare()
        await self.disk.loaded(said)
        log.info("slot.state_read", slot=memory.slot, records=count)


@asynccontextmanager
async def _reading(access: KafkaAccess) -> AsyncIterator[Reader]:
    consumer = reader_of(access, **TO_THE_END)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def _changelogs(shelves: Collection[Shelf], existing: Collection[str]) -> dict[TopicPartition, Shelf]:
    """The partitions that states are read from, those of memories first, where there are such topics."""
    return {
        TopicPartition(topic_of(object_name), partition): (object_name, partition)
        for topic_of in (topics.state, topics.authoritative)
        for object_name, partition in shelves
        if topic_of(object_name) in existing
    }
