"""Sends commands about single records: what people decide about held writes, and what is judged again."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.agents.streams import Streams

SEND_TIMEOUT_S = 10.0


class KafkaSender:
    """One producer, connected on first use and made anew after any failure."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._producer: AIOKafkaProducer = None
        self._streams = Streams(access)
        self._lock = asyncio.Lock()

    async def send(self, object_name: str, key: bytes, value: bytes) -> None:
        """Write one command and wait until the log has it."""
        async with self._lock:
            try:
                topic = topics.commands(await self._streams.of(object_name))
                if self._producer is None:
                    self._producer = await self._connected()
                # aiokafka places keys by Java's murmur2, as the wire format asks
                await asyncio.wait_for(
                    self._producer.send_and_wait(topic, value=value, key=key), SEND_TIMEOUT_S
                )
            except (KafkaError, OSError, TimeoutError):
                await self.close()
                raise

    async def _connected(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(enable_idempotence=True, **self._access.client_options())
        try:
            await asyncio.wait_for(producer.start(), SEND_TIMEOUT_S)
        except (KafkaError, OSError, TimeoutError):
            await producer.stop()
            raise
        return producer

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        await self._streams.close()
        if producer is not None:
            await producer.stop()
