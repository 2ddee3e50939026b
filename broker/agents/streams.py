"""The newest map on Kafka, and which generation of each object's topics it puts in force.

A process that was started under one map does not learn by itself that another one was put in force since.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.agents.indexer import group_less_consumer
from broker.published import published_in
from broker.rules import rules_of
from ownership.map import OwnershipMap

_PLACE = TopicPartition(topics.OWNERSHIP_MAP, 0)
_POLL_MS = 5_000


class Streams:
    """Answers for one task; connected on first use, and made anew after any failure."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._consumer: AIOKafkaConsumer | None = None
        self._end = 0
        self._map = OwnershipMap(version=0, digest="")

    async def now(self) -> Mapping[str, str]:
        """Object to stream; an object that the map does not have is missing. Raises KafkaError, TimeoutError."""
        return topics.streams_of(await self.newest())

    async def newest(self) -> OwnershipMap:
        """The newest map; version 0 while there is none. Raises KafkaError, TimeoutError."""
        try:
            consumer = self._consumer or await self._connected()
            if consumer.assignment() or topics.OWNERSHIP_MAP in await consumer.topics():
                await self._look(consumer)
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            raise
        return self._map

    async def of(self, object_name: str) -> str:
        """The stream of one object. Raises KafkaError, TimeoutError."""
        return (await self.now()).get(object_name, object_name)

    async def _connected(self) -> AIOKafkaConsumer:
        self._consumer = group_less_consumer(self._access)
        await self._consumer.start()
        return self._consumer

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign([_PLACE])
        end = (await consumer.end_offsets([_PLACE]))[_PLACE]
        if end == self._end:
            return
        consumer.seek(_PLACE, end - 1)
        found = (await consumer.getmany(_PLACE, timeout_ms=_POLL_MS)).get(_PLACE)
        if not found:
            msg = "the newest map was not to be read"
            raise TimeoutError(msg)
        published = published_in(found[-1].value)
        self._map = rules_of(published.documents, published.version).ownership_map
        self._end = end

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
