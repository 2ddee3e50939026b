"""What still waits in a topic: the first committed record after a position, and when it was appended.

Offsets alone cannot say: a topic written in transactions ends with a marker that no reader ever sees, so "end
minus position" is never zero. Values are not read. One consumer, used by one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from broker.access import KafkaAccess
from broker.agents.indexer import group_less_consumer, partitions_of
from broker.agents.service_levels import Waiting

FETCH_BYTES = 16_384
LOOK_MS = 400
ASK_TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found: from `start` on, the first record (or nothing before `clear_until`)."""

    start: int
    first: int | None
    appended_ms: int
    clear_until: int


class LogProbe:
    """Answers what waits. Start it before use, stop it after any error and start a new one."""

    def __init__(self, access: KafkaAccess, topics: Iterable[str]) -> None:
        self._access = access
        self._topics = tuple(topics)
        self._consumer: AIOKafkaConsumer = None
        self._places: dict[str, list[TopicPartition]] = {}
        self._first: dict[TopicPartition, int] = {}
        self._seen: dict[tuple[str, TopicPartition], _Seen] = {}
        self._ends: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaError or TimeoutError."""
        places = await partitions_of(self._access, self._topics)
        consumer = group_less_consumer(self._access, max_partition_fetch_bytes=FETCH_BYTES)
        self._consumer = consumer
        await consumer.start()
        if places:
            self._first = await asyncio.wait_for(consumer.beginning_offsets(places), ASK_TIMEOUT_S)
            consumer.assign(places)
            for place in places:
                consumer.seek(place, self._first[place])
            consumer.pause(*places)
        for place in places:
            self._places.setdefault(place.topic, []).append(place)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def look(self) -> None:
        """Ask for the ends of all topics: the proof that Kafka answers. Raises KafkaError or TimeoutError."""
        places = [place for places in self._places.values() for place in places]
        if places:
            self._ends = await asyncio.wait_for(self._consumer.end_offsets(places), ASK_TIMEOUT_S)

    async def waiting(self, reader: str, topic: str, positions: Mapping[int, int]) -> Waiting | None:
        """What waits in a topic for a reader that is at these next offsets (absent = at the beginning).

        None when the topic is not there: then nothing is known.
        """
        if topic not in self._places:
            return None
        open_places: dict[TopicPartition, int] = {}
        for place in self._places[topic]:
            start = positions.get(place.partition, self._first[place])
            if not self._answers(self._seen.get((reader, place)), start, self._ends[place]):
                open_places[place] = start
        if open_places:
            await self._search(reader, open_places)
        return self._sum(reader, topic, positions)

    @staticmethod
    def _answers(seen: _Seen | None, start: int, end: int) -> bool:
        if start >= end:
            return True
        if seen is None or start < seen.start:
            return False
        return start <= seen.first if seen.first is not None else end <= seen.clear_until

    def _sum(self, reader: str, topic: str, positions: Mapping[int, int]) -> Waiting:
        count, oldest_ms = 0, None
        for place in self._places[topic]:
            start = positions.get(place.partition, self._first[place])
            seen = self._seen.get((reader, place))
            if seen is None or seen.first is None or seen.first < start or start >= self._ends[place]:
                continue
            count += self._ends[place] - seen.first
            oldest_ms = seen.appended_ms if oldest_ms is None else min(oldest_ms, seen.appended_ms)
        return Waiting(count, oldest_ms)

    async def _search(self, reader: str, starts: Mapping[TopicPartition, int]) -> None:
        """Read on from each start until a record shows up or the end is reached."""
        consumer, left = self._consumer, dict(starts)
        for place, start in left.items():
            consumer.seek(place, start)
        consumer.resume(*left)
        deadline = asyncio.get_running_loop().time() + LOOK_MS / 1000
        try:
            while left and asyncio.get_running_loop().time() < deadline:
                found = await consumer.getmany(*left, timeout_ms=50)
                for place, messages in found.items():
                    if messages and place in left:
                        first = messages[0]
                        start = left.pop(place)
                        self._seen[reader, place] = _Seen(start, first.offset, first.timestamp, start)
                for place in list(left):
                    reached = await consumer.position(place)
                    if reached >= self._ends[place]:
                        self._seen[reader, place] = _Seen(left.pop(place), None, 0, reached)
        finally:
            consumer.pause(*starts)
        for (
            place
        ) in left:  # an open transaction hides what follows; nothing committed waits as far as one can see
            self._seen.pop((reader, place), None)
