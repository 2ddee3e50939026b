"""Sends a command to every partition of an object: what is ordered for a whole connection, and the minute ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer

from broker import topics
from broker.access import KafkaAccess
from broker.agents.indexer import partitions_of
from broker.agents.streams import Streams

SEND_TIMEOUT_S = 20.0


async def send_everywhere(
    access: KafkaAccess, objects: Iterable[str], value_of: Callable[[str, int], bytes]
) -> list[tuple[str, int, int]]:
    """Send `value_of(object, partition)` to every partition in force; (topic, partition, offset) of each.

    Raises KafkaError, TimeoutError; what was sent by then stays sent, and every command may come twice.
    """
    streams = Streams(access)
    try:
        now = await streams.now()
    finally:
        await streams.close()
    places = await partitions_of(access, [topics.commands(now.get(name, name)) for name in objects])
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **access.client_options())
    try:
        await producer.start()
        sent = []
        for place in places:
            value = value_of(topics.object_of(topics.parse_commands(place.topic) or ""), place.partition)
            sent.append(await producer.send(place.topic, value=value, key=b"", partition=place.partition))
        told = await asyncio.wait_for(asyncio.gather(*sent), SEND_TIMEOUT_S)
    finally:
        await producer.stop()
    return [(one.topic, one.partition, one.offset) for one in told]
