"""Copies an object's authoritative records and memories into the next generation of its topics.

In transactions: what was cut is never half a record's history to whoever reads committed records. Whoever copies fences
the one before. Nothing else writes either side meanwhile; that the old one is at rest is the caller's to see to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane.placing import Contents, Kept, Placing, strays
from broker.lane.replay import TO_THE_END, read_all, reader_of
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
    """One copy, from one generation to the next; connected from `start` to `stop`."""

    def __init__(self, access: KafkaAccess, old: Generation, new: Generation) -> None:
        self._old, self._new = old, new
        self._writer = Transactions(access, f"gate-repartition-{topics.object_of(new.stream)}")
        self._consumer = reader_of(access, **TO_THE_END)
        self.misplaced = 0

    async def start(self) -> None:
        """Connect; a run that was cut, or sleeps, writes no more. Raises KafkaError."""
        await self._writer.start()
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
        await self._writer.stop()

    async def is_whole(self) -> bool:
        """Whether the new topics hold all of the old, and nothing else. Raises KafkaError."""
        expected = Contents()
        async for kept in self._kept():
            expected.add(kept)
        try:
            return expected.said() == (await self._written()).said()
        except CopyDiffers:
            return False

    async def run(self, told: Callable[[int], None]) -> int:
        """Fill the new topics, which are empty; how many records they hold then. `told` how many so far.

        Raises CopyDiffers, KafkaError; then the new topics are of no use.
        """
        expected = await self._copy(told)
        if (await self._written()).said() != expected.said():
            msg = f"{self._new.stream} does not hold what was copied [repartition.copy_differs] Run it again."
            raise CopyDiffers(msg)
        return expected.records

    async def _copy(self, told: Callable[[int], None]) -> Contents:
        writer = self._writer
        expected, batches, count, size = Contents(), writer.batches(), 0, 0
        async for kept in self._kept():
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

    async def _read(self, side: Generation, topic_of: Callable[[str], str]) -> AsyncIterator[Any]:
        """Every record of one kind, partition by partition, up to where those who take writes say that it ends."""
        places = [TopicPartition(topic_of(side.stream), number) for number in range(side.partitions)]
        known = await self._writer.mark(places)  # I3: a broker that led before may know less (decision 0015)
        for place in places:
            async for record in read_all(self._consumer, [place], at_least=known):
                yield record

    async def _kept(self) -> AsyncIterator[Kept]:
        """Every record of the old topics with its new place, in one order that is always the same."""
        self.misplaced = 0
        for topic_of in _KINDS:
            placing = Placing(topic_of(self._new.stream), self._old.partitions, self._new.partitions)
            async for record in self._read(self._old, topic_of):
                kept = placing.take(record.partition, record.key or b"", record.value, record.headers)
                if kept is not None:
                    yield kept
            for kept in placing.gathered():
                yield kept
            self.misplaced += placing.misplaced

    async def _written(self) -> Contents:
        """What the new topics hold. Raises CopyDiffers for a key that is not at its place."""
        found = Contents()
        for topic_of in _KINDS:
            async for record in self._read(self._new, topic_of):
                place = (record.topic, record.partition)
                kept = Kept(place, record.key, record.value, tuple(record.headers))
                if strays(kept, self._new.partitions):
                    msg = f"a key is not at its place in {place[0]}/{place[1]} [repartition.copy_differs]"
                    raise CopyDiffers(msg)
                found.add(kept)
        return found
