"""Starting a consumer against a Kafka that may be away. What is consumed is the loops' affair."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from connectors.sdk.access import KafkaAccess
from connectors.sdk.pacing import backoff_ms, pause

log = structlog.get_logger("connectors.sdk")


async def started_consumer(access: KafkaAccess, group: str, stop: asyncio.Event) -> AIOKafkaConsumer | None:
    """A started consumer in `group`; None when stopped before Kafka could be reached."""
    attempt = 0
    while not stop.is_set():
        consumer = access.consumer(group=group)
        try:
            await consumer.start()
            return consumer
        except KafkaError as error:
            attempt += 1
            log.warning("kafka.unreachable", group=group, fault=type(error).__name__, attempt=attempt)
            await consumer.stop()
            await pause(backoff_ms(attempt), stop)
    return None
