"""Deliveries that nobody may read are deleted; those that a newer map has again never are, whenever it comes."""

from __future__ import annotations

from typing import Any

import yaml
from aiokafka import TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane.generations import Generations
from broker.lane.maps import MapFollower
from broker.rules import rules_of
from ownership.load import digest_of
from schemas.registry import envelopes
from tests.estate import map_documents

NARROW, WIDE = ["customer_id", "name"], ["customer_id", "name", "email"]


def documents(fields: list[str]) -> dict[str, str]:
    found = map_documents()
    customer = yaml.safe_load(found["customer.yaml"])
    customer["systems"]["billing"] = {"read": fields}
    return {**found, "customer.yaml": yaml.safe_dump(customer)}


def deliveries(fields: list[str]) -> str:
    (projection,) = (p for found in rules_of(documents(fields), 1).projections.values() for p in found)
    reading = projection.reading
    return topics.deliveries(reading.system, reading.object, reading.generation)


class Kafka:
    """Topics, and what becomes of them; `meanwhile` happens while they are asked for."""

    def __init__(self, maps: MapFollower) -> None:
        self.maps = maps
        self.topics = {topics.PROJECTIONS, topics.opened_readings("billing"), deliveries(WIDE)}
        self.meanwhile: list[str] | None = None

    async def publish(self, version: int, fields: list[str]) -> None:
        told = documents(fields)
        body = {
            "version": version,
            "digest": digest_of(told),
            "documents": told,
            "by": "test",
            "published_ms": 0,
        }
        await self.maps._use(envelopes().codec.encode(envelopes().id_of("map"), body))

    async def describe_topics(self) -> list[dict[str, Any]]:
        found = [{"topic": name, "partitions": [0], "error_code": 0} for name in self.topics]
        if self.meanwhile is not None:
            fields, self.meanwhile = self.meanwhile, None
            await self.publish(4, fields)
        return found

    async def delete_topics(self, names: list[str]) -> None:
        self.topics -= set(names)

    async def send_and_wait(self, *_: Any, **__: Any) -> None:
        """A reader is told; nobody listens here."""

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    end_offsets = beginning_offsets

    def assign(self, places: list[TopicPartition]) -> None: ...

    def seek(self, place: TopicPartition, offset: int) -> None: ...


async def told(maps: MapFollower, kafka: Kafka, generations: Generations) -> None:
    """Billing read the narrow deliveries, then the wide ones, and was told so."""
    await kafka.publish(2, NARROW)
    await kafka.publish(3, WIDE)
    kafka.topics.add(deliveries(NARROW))
    generations._filled.add(f"{deliveries(WIDE)}/0".encode())
    await look(kafka, generations)
    assert deliveries(NARROW) not in kafka.topics


async def look(kafka: Kafka, generations: Generations) -> None:
    await generations._look(kafka, kafka, kafka)  # type: ignore[arg-type]


async def test_deliveries_made_anew_for_a_map_that_comes_meanwhile_are_kept() -> None:
    maps = MapFollower(KafkaAccess(bootstrap="localhost:1"))
    kafka, generations = Kafka(maps), Generations(KafkaAccess(bootstrap="localhost:1"), maps)
    await told(maps, kafka, generations)
    kafka.topics.add(deliveries(NARROW))  # `solesource prepare` for the map that follows
    await look(kafka, generations)
    assert deliveries(NARROW) in kafka.topics, "deleted once under this map, it is somebody's again"
    kafka.meanwhile = NARROW
    await look(kafka, generations)
    assert deliveries(NARROW) in kafka.topics, "the map that has them came while topics were asked for"
    assert deliveries(WIDE) in kafka.topics, "its reader has no others yet"


async def test_deliveries_that_were_there_all_along_are_kept_too() -> None:
    maps = MapFollower(KafkaAccess(bootstrap="localhost:1"))
    kafka, generations = Kafka(maps), Generations(KafkaAccess(bootstrap="localhost:1"), maps)
    await kafka.publish(2, NARROW)
    await kafka.publish(3, WIDE)
    kafka.topics.add(deliveries(NARROW))
    generations._filled.add(f"{deliveries(WIDE)}/0".encode())
    kafka.meanwhile = NARROW
    await look(kafka, generations)
    assert deliveries(NARROW) in kafka.topics
