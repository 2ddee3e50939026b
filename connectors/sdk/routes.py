"""Where a system reads each object: whole records, or deliveries of its own that the broker makes for it.

What it may read whole, Kafka lets it see. For the rest `readings.<system>` names the topic and the contract of its
deliveries; another right to read is another topic. Which fields those are is the broker's to say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer

from connectors.sdk.access import KafkaAccess
from connectors.sdk.generations import newest
from connectors.sdk.told import Told
from schemas.codec import Codec
from schemas.registry import FileRegistry


@dataclass(frozen=True, slots=True)
class Route:
    """One topic from which one object is read."""

    object: str
    topic: str
    generation: str
    """Named after what may be read; empty = whole records."""
    codec: Codec
    schema_ids: frozenset[int]

    def values(self, value: bytes | None) -> Mapping[str, Any]:
        """The fields of a record; none when it was deleted. Raises SchemaError."""
        return {} if value is None else self.codec.decode(value, self.schema_ids)


class Routes:
    """The routes of one system's objects; `look` again to learn of rights that changed."""

    def __init__(
        self, access: KafkaAccess, registry: FileRegistry, system: str, objects: Iterable[str]
    ) -> None:
        self._registry = registry
        self._objects = tuple(objects)
        self._told = Told(access, f"readings.{system}", "solesource.reading")
        self._delivered: dict[str, Route] = {}
        """Topic of deliveries, which is another one for each right to read, to its route."""

    async def look(self, consumer: AIOKafkaConsumer) -> dict[str, Route]:
        """Topic to route, as things stand. An object that it may not read yet has none. Raises KafkaError."""
        visible = await consumer.topics()
        if self._told.topic in visible:
            await self._told.listen()
        return {route.topic: route for name in self._objects if (route := self._route(name, visible))}

    def _route(self, name: str, visible: Collection[str]) -> Route | None:
        whole = newest(f"authoritative.{name}", visible)
        if whole is not None:
            return Route(name, whole, "", self._registry.codec, self._registry.ids(name))
        told = self._told.said.get(name)
        if told is None or told["topic"] not in visible:
            return None
        topic = str(told["topic"])
        if topic not in self._delivered:
            self._delivered[topic] = _delivered(name, told)
        return self._delivered[topic]

    async def close(self) -> None:
        """Let go of the reader."""
        await self._told.close()


def _delivered(name: str, told: Mapping[str, Any]) -> Route:
    number = int(told["schema_id"])
    codec = Codec.of_document(number, json.loads(told["schema"]))
    return Route(name, told["topic"], told["generation"], codec, frozenset({number}))
