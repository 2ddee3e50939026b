"""Where a system reads each object: whole records, or deliveries of its own that the broker makes for it.

What it may read whole, Kafka lets it see. For the rest `readings.<system>` names the topic and the contract of its
deliveries; another right to read is another topic. Which fields those are is the broker's to say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.sdk.access import KafkaAccess
from connectors.sdk.generations import newest
from schemas.codec import Codec
from schemas.registry import FileRegistry, envelopes

_POLL_MS = 500


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
        self._access = access
        self._registry = registry
        self._place = TopicPartition(f"readings.{system}", 0)
        self._objects = tuple(objects)
        self._told: dict[str, tuple[int, Route]] = {}
        self._reader: AIOKafkaConsumer | None = None

    async def look(self, consumer: AIOKafkaConsumer) -> dict[str, Route]:
        """Topic to route, as things stand. An object that it may not read yet has none. Raises KafkaError."""
        visible = await consumer.topics()
        if self._place.topic in visible:
            await self._listen()
        return {route.topic: route for name in self._objects if (route := self._route(name, visible))}

    def _route(self, name: str, visible: Collection[str]) -> Route | None:
        whole = newest(f"authoritative.{name}", visible)
        if whole is not None:
            return Route(name, whole, "", self._registry.codec, self._registry.ids(name))
        _, told = self._told.get(name, (0, None))
        return told if told is not None and told.topic in visible else None

    async def _listen(self) -> None:
        """Take in what was told since the last time."""
        if self._reader is None:
            self._reader = AIOKafkaConsumer(
                auto_offset_reset="earliest", enable_auto_commit=False, **self._access.options()
            )
            await self._reader.start()
            self._reader.assign([self._place])
        end = (await self._reader.end_offsets([self._place]))[self._place]
        while await self._reader.position(self._place) < end:
            for record in (await self._reader.getmany(timeout_ms=_POLL_MS)).get(self._place, ()):
                self._hear(bytes(record.key or b"").decode(), record.value)

    def _hear(self, name: str, value: bytes | None) -> None:
        if value is None:
            self._told.pop(name, None)
            return
        said = envelopes().codec.decode(value, envelopes().ids("solesource.reading"))
        if said["map_version"] < self._told.get(name, (0, None))[0]:
            return
        number = int(said["schema_id"])
        codec = Codec.of_document(number, json.loads(said["schema"]))
        route = Route(name, said["topic"], said["generation"], codec, frozenset({number}))
        self._told[name] = int(said["map_version"]), route

    async def close(self) -> None:
        """Let go of the reader."""
        if self._reader is not None:
            await self._reader.stop()
            self._reader = None
