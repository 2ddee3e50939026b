"""What a slot knows, rebuilt from the log: authoritative records, memory, and the last committed ledger record.

Reads only what is committed, to the last stable offset. Called after the producer has fenced the former worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.gate.connections import CONNECTIONS_KEY, connections_of
from broker.gate.memory import memory_of
from broker.gate.state import NO_RECORD, Memory
from broker.lane.fold import remembering, revised
from broker.lane.memory import Shelf, SlotMemory
from schemas.registry import envelopes

_LEDGER_STEP = 64
_POLL_MS = 1000


def reader_of(
    access: KafkaAccess, *, isolation_level: str = "read_committed", **options: Any
) -> AIOKafkaConsumer:
    """A consumer without a group that sees committed records only, unless told otherwise, and never jumps."""
    return AIOKafkaConsumer(
        **access.client_options(),
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=1024 * 1024,
        **options,
    )


async def read_all(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> AsyncIterator[Any]:
    """Every committed record of the given partitions up to their present last stable offset."""
    if not places:
        return
    consumer.assign(list(places))
    begin = await consumer.beginning_offsets(list(places))
    end = await consumer.end_offsets(list(places))
    for place in places:
        consumer.seek(place, begin[place])
    open_places = [place for place in places if begin[place] < end[place]]
    while open_places:
        batches = await consumer.getmany(*open_places, timeout_ms=_POLL_MS, max_records=5000)
        for records in batches.values():
            for record in records:
                yield record
        open_places = [place for place in open_places if await consumer.position(place) < end[place]]


async def last_ledger(consumer: AIOKafkaConsumer, slot: int) -> Mapping[str, Any] | None:
    """The last committed ledger record of a slot, None if there is none yet."""
    place = TopicPartition(topics.LEDGER, slot)
    consumer.assign([place])
    begin = (await consumer.beginning_offsets([place]))[place]
    end = (await consumer.end_offsets([place]))[place]
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


async def rebuild(access: KafkaAccess, slot: int, shelves: Collection[Shelf]) -> SlotMemory:
    """The memory of a slot that works on `shelves`, as its last committed batch left it."""
    memory = SlotMemory(slot=slot)
    consumer = reader_of(access)
    await consumer.start()
    try:
        ledger = await last_ledger(consumer, slot)
        if ledger is not None:
            memory.follow(ledger)
        await load_shelves(consumer, memory, shelves)
    finally:
        await consumer.stop()
    return memory


async def load_shelves(consumer: AIOKafkaConsumer, memory: SlotMemory, shelves: Collection[Shelf]) -> None:
    """Read the states of `shelves` into `memory`."""
    existing = await consumer.topics()
    places = {
        TopicPartition(name(object_name), partition): (object_name, partition)
        for object_name, partition in shelves
        for name in (topics.authoritative, topics.state)
        if name(object_name) in existing
    }
    remembered_of: dict[tuple[Shelf, bytes], Memory] = {}
    async for record in read_all(consumer, places):
        shelf = places[TopicPartition(record.topic, record.partition)]
        if record.key == CONNECTIONS_KEY:
            memory.connections[shelf] = connections_of(envelopes().codec.decode(record.value))
        elif record.topic == topics.state(shelf[0]):
            remembered_of[shelf, record.key] = memory_of(envelopes().codec.decode(record.value))
        else:
            before = memory.states.get(shelf, {}).get(record.key, NO_RECORD)
            after = revised(before, record.value, record.headers)
            memory.restore(shelf, record.key, after)
    for (shelf, key), kept in remembered_of.items():
        state = memory.states.get(shelf, {}).get(key, NO_RECORD)
        memory.restore(shelf, key, remembering(state, kept))
