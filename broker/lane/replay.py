"""Logs, read to their ends.

Only what is committed, to the last stable offset. Whoever reads says how far each partition goes at least: a broker
that was silent for a while takes itself for the leader for a moment after it comes back, and says that the log ends
where it did before (decision 0015).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from schemas.registry import envelopes

_STEP = 64
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


@asynccontextmanager
async def reading(access: KafkaAccess, **options: Any) -> AsyncIterator[Reader]:
    """A reader to the ends of logs, connected as long as this lasts."""
    consumer = reader_of(access, **TO_THE_END, **options)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


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
) -> AsyncGenerator[tuple[TopicPartition, Sequence[Any]], None]:
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


async def last_records(
    consumer: AIOKafkaConsumer, place: TopicPartition, at_least: Mapping[tuple[str, int], int], count: int = 1
) -> list[Any]:
    """The last records of a partition that the consumer may see, oldest first; it goes so far `at_least`."""
    consumer.assign([place])
    begin = (await consumer.beginning_offsets([place]))[place]
    end = (await stable_ends(consumer, [place], at_least))[place]
    step, found = _STEP, list[Any]()
    while True:
        start = max(begin, end - step)
        consumer.seek(place, start)
        found = []
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(place, timeout_ms=_POLL_MS)).values():
                found = [*found, *records][-count:]
        if len(found) == count or start == begin:
            return found
        step *= 8


async def last_ledger(
    consumer: AIOKafkaConsumer, slot: int, at_least: Mapping[tuple[str, int], int]
) -> Mapping[str, Any] | None:
    """The last committed ledger record of a slot, None if there is none yet; the ledger goes so far `at_least`."""
    found = await last_records(consumer, TopicPartition(topics.LEDGER, slot), at_least)
    return envelopes().codec.decode(found[-1].value) if found else None
