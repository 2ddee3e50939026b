"""A small gate that forwards: the loop of the product's slot, right or wrong in one place, as `FAULT` says.

Positions travel in a topic of their own, beside what is forwarded. `KILL_AT` and `PAUSE_AT` name a batch: there it
kills itself between sending and writing its position, or stops itself before it sends (whoever started it wakes it).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

FAULT = os.environ["FAULT"]
"""Empty = none; `not_awaited`, `unfenced`, `no_transactions`."""
SOURCE, SINK, POSITIONS = (f"{os.environ['NAME']}.{part}" for part in ("in", "out", "positions"))
KILL_AT, PAUSE_AT = int(os.environ.get("KILL_AT", "0")), int(os.environ.get("PAUSE_AT", "0"))
BATCH_RECORDS, PARTITIONS = 50, 2
ACCESS = json.loads(os.environ["ACCESS"])


def producer_of() -> AIOKafkaProducer:
    if FAULT == "no_transactions":
        return AIOKafkaProducer(**ACCESS, enable_idempotence=True, max_batch_size=1 << 20)
    name = SINK if FAULT != "unfenced" else f"{SINK}.{uuid.uuid4()}"
    return AIOKafkaProducer(**ACCESS, acks="all", transactional_id=name, max_batch_size=1 << 20)


async def consumer_at_positions() -> AIOKafkaConsumer:
    """Where the last committed position says."""
    consumer = AIOKafkaConsumer(
        **ACCESS, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    told = TopicPartition(POSITIONS, 0)
    consumer.assign([told])
    end = (await consumer.end_offsets([told]))[told]
    await consumer.seek_to_beginning(told)
    positions: dict[str, int] = {}
    while await consumer.position(told) < end:
        for record in (await consumer.getmany(told, timeout_ms=500)).get(told, ()):
            positions = json.loads(record.value)
    places = [TopicPartition(SOURCE, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, positions.get(str(place.partition), 0))
    return consumer


async def forward() -> None:
    producer = producer_of()
    await producer.start()
    consumer = await consumer_at_positions()
    positions: dict[str, int] = {}
    number = 0
    while True:
        fetched = await consumer.getmany(timeout_ms=200, max_records=BATCH_RECORDS)
        if not fetched:
            continue
        number += 1
        if number == PAUSE_AT:
            os.kill(os.getpid(), signal.SIGSTOP)
        for place in consumer.assignment():
            positions[str(place.partition)] = await consumer.position(place)
        if FAULT != "no_transactions":
            await producer.begin_transaction()
        await settled(await send(producer, fetched))
        if number == KILL_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        await settled([await producer.send(POSITIONS, json.dumps(positions).encode(), partition=0)])
        if FAULT != "no_transactions":
            await producer.commit_transaction()


async def send(producer: AIOKafkaProducer, fetched: Any) -> list[Any]:
    futures = []
    for place, records in fetched.items():
        batch = producer.create_batch()
        for record in records:
            headers = list(record.headers)
            batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
        batch.close()
        futures.append(await producer.send_batch(batch, SINK, partition=place.partition))
    return futures


async def settled(futures: list[Any]) -> None:
    """Wait for what was sent; not to do it is one of the faults."""
    if FAULT != "not_awaited":
        await asyncio.gather(*futures)


if __name__ == "__main__":
    asyncio.run(forward())
