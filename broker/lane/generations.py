"""Which deliveries a restricted reader reads: a new generation is told once it is filled, then the old one is deleted.

Whoever owns slot 0 does it. Said twice it says the same; what an older map says is not listened to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.gate.project import Projection
from broker.lane.maps import MapFollower
from broker.lane.replay import read_all, reader_of
from schemas.registry import envelopes

LOOK_S = 1.0
RETRY_S = 2.0
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

    async def run(self) -> None:
        """Until cancelled; Kafka being away is waited out."""
        while True:
            try:
                await self._watch()
            except KafkaError as error:
                log.warning("generations.kafka_away", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        consumer = reader_of(self._access)
        producer = AIOKafkaProducer(
            **self._access.client_options(), client_id="gate-generations", acks="all", enable_idempotence=True
        )
        admin = AIOKafkaAdminClient(**self._access.client_options())
        try:
            await consumer.start()
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
        rules = self._maps.rules
        if rules is None or not self._maps.deliveries:
            return
        version = rules.ownership_map.version
        current = {
            (p.reading.system, p.reading.object): p for found in rules.projections.values() for p in found
        }
        partitions = await _partitions(admin)
        filled, told = await _filled(consumer, partitions), await _told(consumer, partitions)
        for who, projection in current.items():
            topic, (since, before) = _topic(projection), told.get(who, (0, ""))
            self._look_for(topic, partitions)
            there = topic in partitions and topics.opened_readings(who[0]) in partitions
            if there and before != topic and since <= version and filled[topic] >= partitions[topic]:
                await _tell(producer, who, version, projection)
                told[who] = version, topic
        for who, (since, before) in told.items():
            if before and who not in current and since <= version:
                await _tell(producer, who, version, None)
        await self._delete(admin, partitions, current, told)

    def _look_for(self, topic: str, partitions: Mapping[str, int]) -> None:
        if topic in partitions:
            self._missing.discard(topic)
        elif topic not in self._missing:
            self._missing.add(topic)
            log.error("generations.no_topic", topic=topic, what_to_do="Make it with `solesource prepare`.")

    async def _delete(
        self,
        admin: AIOKafkaAdminClient,
        existing: Mapping[str, int],
        current: Mapping[tuple[str, str], Projection],
        told: Told,
    ) -> None:
        """Delete the deliveries that an older map had and this one has not, once their reader has others."""
        kept = {_topic(projection) for projection in current.values()}
        for topic, (who, version) in self._maps.deliveries.items():
            successor = current.get(who)
            ready = successor is None or told.get(who, (0, ""))[1] == _topic(successor)
            if topic not in existing or topic in kept or not ready or self._deleted.get(topic) == version:
                continue
            with contextlib.suppress(KafkaError):  # whoever owned slot 0 before may have been quicker
                await admin.delete_topics([topic])
                self._deleted[topic] = version
                log.info("generations.deleted", topic=topic)


def _topic(projection: Projection) -> str:
    reading = projection.reading
    return topics.deliveries(reading.system, reading.object, reading.generation)


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Every topic that there is, with its number of partitions."""
    described = await admin.describe_topics()
    return {found["topic"]: len(found["partitions"]) for found in described if found["error_code"] == 0}


async def _filled(consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> Counter[str]:
    """How many partitions of each topic of deliveries are filled."""
    places = [TopicPartition(topics.PROJECTIONS, number) for number in range(partitions[topics.PROJECTIONS])]
    filled: dict[bytes, bool] = {}
    async for record in read_all(consumer, places):
        filled[record.key] = record.value is not None
    return Counter(key.decode().rpartition("/")[0] for key, there in filled.items() if there)


async def _told(consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> Told:
    prefix = topics.opened_readings("")
    places = [TopicPartition(topic, 0) for topic in partitions if topic.startswith(prefix)]
    found: Told = {}
    async for record in read_all(consumer, places):
        who = (record.topic.removeprefix(prefix), record.key.decode())
        if record.value is None:
            found.pop(who, None)
            continue
        said = envelopes().codec.decode(record.value, envelopes().ids("solesource.reading"))
        if said["map_version"] >= found.get(who, (0, ""))[0]:
            found[who] = said["map_version"], said["topic"]
    return found


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
