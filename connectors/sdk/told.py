"""What the broker tells a system in a compacted topic of its own, followed to where it ends now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.sdk.access import KafkaAccess
from schemas.registry import envelopes

_POLL_MS = 500


class Told:
    """One such topic: key to what was said last, by the highest map version; None = taken back."""

    def __init__(self, access: KafkaAccess, topic: str, envelope: str) -> None:
        self.topic = topic
        self.said: dict[str, Mapping[str, Any] | None] = {}
        self._access = access
        self._envelope = envelope
        self._reader: AIOKafkaConsumer | None = None

    async def is_there(self) -> bool:
        """Whether the system sees the topic: a broker of before may not tell this yet. Raises KafkaError."""
        reader = await self._started()
        # Once it is read from, it is there: every topic of the cluster is asked for only before.
        return bool(reader.assignment()) or self.topic in await reader.topics()

    async def listen(self) -> None:
        """Take in what was told since the last time; the topic is there. Raises KafkaError, SchemaError."""
        reader, place = await self._started(), TopicPartition(self.topic, 0)
        if not reader.assignment():
            reader.assign([place])
        end = (await reader.end_offsets([place]))[place]
        while await reader.position(place) < end:
            for record in (await reader.getmany(timeout_ms=_POLL_MS)).get(place, ()):
                self._hear(bytes(record.key or b"").decode(), record.value)

    def _hear(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.said[name] = None
            return
        said = envelopes().codec.decode(value, envelopes().ids(self._envelope))
        if said["map_version"] >= (self.said.get(name) or {"map_version": 0})["map_version"]:
            self.said[name] = said

    async def _started(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = AIOKafkaConsumer(
                auto_offset_reset="earliest", enable_auto_commit=False, **self._access.options()
            )
            try:
                await reader.start()
            except BaseException:
                await reader.stop()
                raise
            self._reader = reader
        return self._reader

    async def close(self) -> None:
        """Let go of the reader."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()
