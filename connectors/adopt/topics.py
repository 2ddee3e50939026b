"""Reads foreign topics partition by partition, without a group, and sees when one is given more partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from connectors.adopt.formats import Foreign
from connectors.adopt.position import Standing
from connectors.sdk.errors import ConnectionLost, PositionLost

WAIT_MS = 250
"""How long a read waits for something to come."""
METADATA_MS = 30_000
LOOKS_MAX = 100


class Topics:
    """The topics of one adopter, from where it stands on."""

    def __init__(
        self, options: Mapping[str, Any], standings: Mapping[str, Standing], records_max: int
    ) -> None:
        self._consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            metadata_max_age_ms=METADATA_MS,
            **options,
        )
        self._standings = {standing.topic: standing for standing in standings.values()}
        self._records_max = records_max

    async def start(self, begin_at_end: frozenset[str]) -> None:
        """Connect and stand at each standing; a topic not read before begins at its beginning or its end.

        Raises ConnectionLost, also for a topic that is not there yet.
        """
        try:
            await self._consumer.start()
            for standing in self._standings.values():
                if not standing.next:
                    standing.next = await self._first(standing.topic, at_end=standing.topic in begin_at_end)
            self._assign()
        except KafkaError as error:
            raise _lost(error) from error

    async def _first(self, topic: str, *, at_end: bool) -> dict[int, int]:
        places = [TopicPartition(topic, partition) for partition in await self._partitions(topic)]
        look = self._consumer.end_offsets if at_end else self._consumer.beginning_offsets
        return {place.partition: offset for place, offset in (await look(places)).items()}

    async def _partitions(self, topic: str) -> set[int]:
        self._consumer._client.add_topic(topic)  # noqa: SLF001 - without a subscription nothing else asks
        await self._consumer._client.force_metadata_update()  # noqa: SLF001
        found = self._consumer.partitions_for_topic(topic)
        if not found:
            msg = f"topic {topic} is not there, or may not be read"
            raise ConnectionLost(
                msg, "Check its name and the user's rights; the connector goes on by itself."
            )
        return set(found)

    def _assign(self) -> None:
        """Read every partition that counts now, from where it stands."""
        offsets = {
            TopicPartition(standing.topic, partition): offset
            for standing in self._standings.values()
            for partition, offset in standing.next.items()
            if standing.counts(partition, offset)
        }
        self._consumer.assign(list(offsets))
        for place, offset in offsets.items():
            self._consumer.seek(place, offset)

    async def read(self) -> list[Foreign]:
        """What has come, in the order of each partition. Raises ConnectionLost, PositionLost."""
        try:
            await self._look_for_growth()
            return await self._fetched()
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            msg = "a topic no longer has the records after the stored position"
            raise PositionLost(
                msg, "Delete the connector's store to begin anew; what was lost is lost."
            ) from error
        except KafkaError as error:
            raise _lost(error) from error

    async def _fetched(self) -> list[Foreign]:
        found = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=self._records_max)
        return [
            Foreign(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value)
            for place, records in found.items()
            for record in records
            if self._standings[place.topic].counts(place.partition, record.offset)
        ]

    async def newest(self, topic: str, records: int) -> list[Foreign]:
        """The newest records of one topic, about as many from each partition. Raises ConnectionLost."""
        standing = self._standings[topic]
        each = -(-records // len(standing.next))
        try:
            ends = await self._consumer.end_offsets([TopicPartition(topic, one) for one in standing.next])
            self._consumer.assign(list(ends))
            for place, end in ends.items():
                self._consumer.seek(place, max(standing.next[place.partition], end - each))
            found: list[Foreign] = []
            for _ in range(LOOKS_MAX):
                found += await self._fetched()
                if all([await self._consumer.position(place) >= end for place, end in ends.items()]):
                    break
        except KafkaError as error:
            raise _lost(error) from error
        return sorted(found, key=lambda record: (record.partition, record.offset))

    async def _look_for_growth(self) -> None:
        for standing in self._standings.values():
            partitions = set(self._consumer.partitions_for_topic(standing.topic) or ())
            if standing.ends:
                reached = {
                    place.partition: await self._consumer.position(place)
                    for place in self._consumer.assignment()
                    if place.topic == standing.topic
                }
                if standing.drained(reached):
                    standing.begin_generation(partitions)
                    self._assign()
            elif partitions > standing.next.keys():
                places = [TopicPartition(standing.topic, partition) for partition in standing.next]
                ends = await self._consumer.end_offsets(places)
                standing.grow(partitions, {place.partition: end for place, end in ends.items()})
                self._assign()

    async def close(self) -> None:
        await self._consumer.stop()


def _lost(error: KafkaError) -> ConnectionLost:
    if isinstance(error, TopicAuthorizationFailedError):
        return ConnectionLost("the user may not read a topic", "Give it the right to read the topic.")
    return ConnectionLost(f"the Kafka with the topics does not answer: {type(error).__name__}")
