"""Copies an object's authoritative records and memories into the next generation of its topics.

In transactions: what was cut is never half a record's history to whoever reads committed records. Whoever copies fences
the one before. Nothing else writes either side meanwhile; that the old one is at rest is the caller's to see to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane.placing import Contents, Kept, Placing, strays
from broker.lane.replay import read_all, reader_of
from broker.lane.transaction import Transactions

RECORDS_MAX = 2000
BYTES_MAX = 4 * 1024 * 1024
_KINDS = (topics.state, topics.authoritative)


class CopyDiffers(Exception):
    """What was written is not what was to be copied; nothing may go on from here."""

    code = "repartition.copy_differs"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of an object's topics."""

    stream: str
    partitions: int


class Copying:
    """One copy, from one generation to the next."""

    def __init__(self, access: KafkaAccess, old: Generation, new: Generation) -> None:
        self._access, self._old, self._new = access, old, new
        self.misplaced = 0

    async def is_whole(self) -> bool:
        """Whether the new topics hold all of the old, and nothing else. Raises KafkaError."""
        consumer = reader_of(self._access)
        await consumer.start()
        try:
            expected = Contents()
            async for kept in self._kept(consumer):
                expected.add(kept)
            return expected.said() == (await self._written(consumer)).said()
        finally:
            await consumer.stop()

    async def run(self, told: Callable[[int], None]) -> int:
        """Fill the new topics, which are empty; how many records they hold then. `told` how many so far.

        Raises CopyDiffers, KafkaError; then the new topics are of no use.
        """
        writer = Transactions(self._access, f"gate-repartition-{topics.object_of(self._new.stream)}")
        consumer = reader_of(self._access)
        try:
            await writer.start()  # a run that was cut, or sleeps, writes no more
            await consumer.start()
            expected = await self._copy(consumer, writer, told)
            if (await self._written(consumer)).said() != expected.said():
                msg = f"{self._new.stream} does not hold what was copied [repartition.copy_differs] Run it again."
                raise CopyDiffers(msg)
        finally:
            await consumer.stop()
            await writer.stop()
        return expected.records

    async def _copy(
        self, consumer: AIOKafkaConsumer, writer: Transactions, told: Callable[[int], None]
    ) -> Contents:
        expected, batches, count, size = Contents(), writer.batches(), 0, 0
        async for kept in self._kept(consumer):
            batches.put(kept.place, kept.key, kept.value, list(kept.headers))
            expected.add(kept)
            count, size = count + 1, size + len(kept.key) + len(kept.value or b"")
            if count >= RECORDS_MAX or size >= BYTES_MAX:
                await writer.send(batches)
                told(expected.records)
                batches, count, size = writer.batches(), 0, 0
        if count:
            await writer.send(batches)
        told(expected.records)
        return expected

    async def _kept(self, consumer: AIOKafkaConsumer) -> AsyncIterator[Kept]:
        """Every record of the old topics with its new place, in one order that is always the same."""
        self.misplaced = 0
        for topic_of in _KINDS:
            placing = Placing(topic_of(self._new.stream), self._old.partitions, self._new.partitions)
            for partition in range(self._old.partitions):
                place = TopicPartition(topic_of(self._old.stream), partition)
                async for record in read_all(consumer, [place]):
                    kept = placing.take(partition, record.key or b"", record.value, record.headers)
                    if kept is not None:
                        yield kept
            for kept in placing.gathered():
                yield kept
            self.misplaced += placing.misplaced

    async def _written(self, consumer: AIOKafkaConsumer) -> Contents:
        """What the new topics hold. Raises CopyDiffers for a key that is not at its place."""
        found = Contents()
        for topic_of in _KINDS:
            for partition in range(self._new.partitions):
                place = TopicPartition(topic_of(self._new.stream), partition)
                async for record in read_all(consumer, [place]):
                    kept = Kept((place.topic, partition), record.key, record.value, tuple(record.headers))
                    if strays(kept, self._new.partitions):
                        msg = f"a key is not at its place in {place.topic}/{partition} [repartition.copy_differs]"
                        raise CopyDiffers(msg)
                    found.add(kept)
        return found
