"""A transaction that stays open is told: readers wait behind it and see no error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import NewTopic
from structlog.testing import capture_logs

from broker.access import KafkaAccess
from broker.embedded.kafka import EmbeddedKafka
from broker.lane.replay import reader_of
from broker.lane.stable import StableOffsets

pytestmark = pytest.mark.integration
LIMIT_S = 1.0


def told(logs: Any) -> list[tuple[str, int]]:
    return [
        (event["topic"], event["partition"]) for event in logs if event["event"] == "lane.stable_offset_stuck"
    ]


async def test_an_open_transaction_is_told_until_it_ends(kafka: EmbeddedKafka) -> None:
    topic = "stable.offset"
    admin = kafka.admin()
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(10)
    access = KafkaAccess(kafka.bootstrap, "admin", kafka.credentials("admin"))
    places = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    producer = AIOKafkaProducer(
        **access.client_options(), transactional_id="stays-open", transaction_timeout_ms=100_000
    )
    await producer.start()
    with capture_logs() as logs:
        watch = asyncio.create_task(StableOffsets(access, lambda: places, limit_s=LIMIT_S, look_s=0.1).run())
        try:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"waits", partition=0)
            await asyncio.sleep(LIMIT_S / 2)
            assert told(logs) == []
            while not told(logs):  # noqa: ASYNC110 - nothing else says it; the test's own time ends it
                await asyncio.sleep(0.05)
            assert set(told(logs)) == {(topic, 0)}, "its neighbour goes on"
            (event, *_) = logs
            assert (event["log_level"], event["offset"], event["seconds"]) == ("error", 0, round(LIMIT_S))
            await producer.commit_transaction()
            await asyncio.sleep(0.3)
            logs.clear()
            await asyncio.sleep(2 * LIMIT_S)
            assert told(logs) == []
            assert not watch.done()
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            await producer.stop()


async def test_ends_of_many_topics_are_asked_for_at_once(kafka: EmbeddedKafka) -> None:
    """Aiokafka asks for topics that it does not know one after the other, a tenth of a second each."""
    names = [f"many.{number}" for number in range(60)]
    admin = kafka.admin()
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        made.result(10)
    consumer = reader_of(KafkaAccess(kafka.bootstrap, "admin", kafka.credentials("admin")))
    await consumer.start()
    tries, ask = 0, consumer._fetcher._proc_offset_requests

    async def counted(*given: Any) -> Any:
        nonlocal tries
        tries += 1
        return await ask(*given)

    consumer._fetcher._proc_offset_requests = counted
    try:
        places = [TopicPartition(name, 0) for name in names]
        assert await consumer.beginning_offsets(places) == await consumer.end_offsets(places)
        assert tries < 10
    finally:
        await consumer.stop()
