"""The map in force: follows `ownership.map` and compiles each version; a version with faults is never used (I7)."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.lane.replay import read_all, reader_of, reading
from broker.published import published_in
from broker.rules import Rules, rules_of
from ownership.errors import MapRefused
from schemas.errors import SchemaError

_POLL_MS = 500
_RETRY_S = 1.0
log = structlog.get_logger()


class MapFollower:
    """Keeps the newest usable map version at hand."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._changed = asyncio.Condition()
        self.rules: Rules | None = None
        self.deliveries: dict[str, tuple[tuple[str, str], int]] = {}
        """Topic of deliveries to (reader, object) and the last map version that had it. Another one with each map:
        who keeps it keeps what belongs to the rules of that moment."""

    async def follow(self) -> None:
        """Read the topic until cancelled; Kafka being away is waited out."""
        while True:
            try:
                await self._read()
            except KafkaError as error:
                log.warning("map.kafka_away", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        consumer = reader_of(self._access)
        await consumer.start()
        try:
            place = TopicPartition(topics.OWNERSHIP_MAP, 0)
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            while True:
                for records in (await consumer.getmany(place, timeout_ms=_POLL_MS)).values():
                    for record in records:
                        await self._use(record.value)
        finally:
            await consumer.stop()

    async def _use(self, value: bytes) -> None:
        try:
            published = published_in(value)
            if self.rules is not None and published.version <= self.rules.ownership_map.version:
                return
            rules = rules_of(published.documents, published.version)
        except (SchemaError, MapRefused) as error:
            log.error("map.not_used", error=str(error))  # noqa: TRY400 - its findings say more than a trace
            return
        async with self._changed:
            self.deliveries, self.rules = self.deliveries | _deliveries(rules), rules
            self._changed.notify_all()
        log.info("map.read", version=published.version, digest=published.digest[:12])

    async def at_least(self, version: int) -> Rules:
        """The rules in force, once they are those of `version` or newer."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.rules is not None and self.rules.ownership_map.version >= version
            )
        assert self.rules is not None
        return self.rules

    async def version(self, number: int) -> Rules:
        """The rules of one version, which may be older than those in force. Raises LookupError when it is gone."""
        if self.rules is not None and self.rules.ownership_map.version == number:
            return self.rules
        async with reading(self._access) as consumer:
            async for record in read_all(consumer, [TopicPartition(topics.OWNERSHIP_MAP, 0)]):
                published = published_in(record.value)
                if published.version == number:
                    return rules_of(published.documents, number)
        msg = f"version {number} of the ownership map is no longer in the log"
        raise LookupError(msg)


def _deliveries(rules: Rules) -> dict[str, tuple[tuple[str, str], int]]:
    found = (projection.reading for each in rules.projections.values() for projection in each)
    version = rules.ownership_map.version
    return {topics.deliveries_of(reading): ((reading.system, reading.object), version) for reading in found}
