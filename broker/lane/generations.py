"""Which deliveries a restricted reader reads: a new generation is told once it is filled, then the old one is deleted.

Whoever owns slot 0 does it. Said twice it says the same; what an older map says is not listened to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.gate.project import Projection
from broker.lane.maps import MapFollower
from broker.lane.replay import reader_of
from schemas.registry import envelopes

LOOK_S = 1.0
POLL_MS = 500
RETRY_S = 2.0
_READINGS = topics.opened_readings("")
log = structlog.get_logger()
Told = dict[tuple[str, str], tuple[int, str]]
"""(system, object) to (map version, topic) as readers were told."""


class Generations:
    """Tells readers and deletes what nobody may read any more."""

    def __init__(self, access: KafkaAccess, maps: MapFollower) -> None:
        self._access = access
        self._maps = maps
        self._deleted: dict[str, int] = {}
        """Topic to the last map version that had it when it was deleted: made anew, it waits for the next."""
        self._missing: set[str] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._filled: set[bytes] = set()
        """Partitions of deliveries that are filled, as `projections` names them."""
        self._told: Told = {}

    async def run(self) -> None:
        """Until cancelled; whatever breaks it, it begins again from the log."""
        while True:
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001 - the gate goes on; readers keep the deliveries that they have
                log.warning("generations.failed", error=repr(error)[:300])
            await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        consumer = reader_of(self._access)
        producer = AIOKafkaProducer(
            **self._access.client_options(), client_id="gate-generations", acks="all", enable_idempotence=True
        )
        admin = AIOKafkaAdminClient(**self._access.client_options())
        try:
            await consumer.start()
            self._positions, self._filled, self._told = {}, set(), {}
            await producer.start()
            await admin.start()
            while True:
                await self._look(consumer, producer, admin)
                await asyncio.sleep(LOOK_S)
        finally:
            await admin.close()
            await producer.stop()
            await consumer.stop()

    async def _look(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        rules, deliveries = self._maps.rules, self._maps.deliveries
        if rules is None or not deliveries:
            return
        version = rules.ownership_map.version
        current = {
            (p.reading.system, p.reading.object): p for found in rules.projections.values() for p in found
        }
        partitions = await _partitions(admin)
        await self._hear(consumer, partitions)
        filled, told = Counter(key.decode().rpartition("/")[0] for key in self._filled), self._told
        for who, projection in current.items():
            topic, (since, before) = _topic(projection), told.get(who, (0, ""))
            self._look_for(topic, partitions)
            there = topic in partitions and topics.opened_readings(who[0]) in partitions
            if there and before != topic and since <= version and filled[topic] >= partitions[topic]:
                await _tell(producer, who, version, projection)
                told[who] = version, topic
        for who, (since, before) in list(told.items()):
            if before and who not in current and since <= version:
                await _tell(producer, who, version, None)
        kept = {_topic(projection) for projection in current.values()}
        for topic, (who, last) in deliveries.items():
            ready = who not in current or told.get(who, (0, ""))[1] == _topic(current[who])
            deleted = self._deleted.get(topic) == last
            if (
                topic in partitions
                and topic not in kept
                and ready
                and not deleted
                and self._maps.rules is rules
            ):
                await self._delete(admin, topic, last)

    async def _hear(self, consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> None:
        """Take in what was written to `projections` and `readings.*` since the last look."""
        names = [topics.PROJECTIONS, *(topic for topic in partitions if topic.startswith(_READINGS))]
        places = [TopicPartition(name, number) for name in names for number in range(partitions.get(name, 0))]
        if self._positions.keys() != set(places):
            begin = await consumer.beginning_offsets(places)
            self._positions = begin | {p: at for p, at in self._positions.items() if p in begin}
            consumer.assign(places)
            for place, offset in self._positions.items():
                consumer.seek(place, offset)
        end = await consumer.end_offsets(places)
        while any(self._positions[place] < end[place] for place in places):
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    self._note(record)
            self._positions = {place: await consumer.position(place) for place in places}

    def _note(self, record: Any) -> None:
        if record.topic == topics.PROJECTIONS:
            (self._filled.discard if record.value is None else self._filled.add)(record.key)
            return
        who = (record.topic.removeprefix(_READINGS), record.key.decode())
        if record.value is None:
            self._told.pop(who, None)
            return
        said = envelopes().codec.decode(record.value, envelopes().ids("solesource.reading"))
        if said["map_version"] >= self._told.get(who, (0, ""))[0]:
            self._told[who] = said["map_version"], said["topic"]

    def _look_for(self, topic: str, partitions: Mapping[str, int]) -> None:
        if topic in partitions:
            self._missing.discard(topic)
        elif topic not in self._missing:
            self._missing.add(topic)
            log.error("generations.no_topic", topic=topic, what_to_do="Make it with `solesource prepare`.")

    async def _delete(self, admin: AIOKafkaAdminClient, topic: str, last: int) -> None:
        """Delete deliveries that an older map had and this one has not; their reader has others, or none any more."""
        with contextlib.suppress(KafkaError):  # whoever owned slot 0 before may have been quicker
            await admin.delete_topics([topic])
            self._deleted[topic] = last
            log.info("generations.deleted", topic=topic)


def _topic(projection: Projection) -> str:
    return topics.deliveries_of(projection.reading)


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Every topic that there is, with its number of partitions."""
    described = await admin.describe_topics()
    return {found["topic"]: len(found["partitions"]) for found in described if found["error_code"] == 0}


async def _tell(
    producer: AIOKafkaProducer, who: tuple[str, str], version: int, projection: Projection | None
) -> None:
    """Tell a reader where its deliveries of an object are; None = it has none any more."""
    value = None
    if projection is not None:
        reading = projection.reading
        said = {
            "system": reading.system,
            "object": reading.object,
            "generation": reading.generation,
            "topic": _topic(projection),
            "schema_id": projection.schema_id,
            "schema": json.dumps(projection.document),
            "masked": sorted(reading.masked),
            "map_version": version,
        }
        value = envelopes().codec.encode(envelopes().id_of("reading"), said)
    await producer.send_and_wait(topics.opened_readings(who[0]), value, who[1].encode(), partition=0)
    log.info("generations.told", system=who[0], object=who[1], topic=_topic(projection) if projection else "")
