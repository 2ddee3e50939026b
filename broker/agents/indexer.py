"""Reads a family of topics into SQL: rows and positions in one transaction, so each record counts once.

Kafka or SQL may be away for as long as they like: after any interruption it goes on from the positions in
SQL, so nothing is skipped and nothing counts twice. What a record means is said in `families`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker import telemetry
from broker.access import KafkaAccess
from broker.agents.families import Family, LogRecord
from broker.store.engine import Engine, reading, writing
from broker.store.errors import PositionMovedError, StoreUnavailableError
from broker.store.positions import advance, read_positions, record_gap

BATCH_RECORDS = 500
POLL_MS = 300
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.2, 5.0
INTERRUPTIONS = (KafkaError, StoreUnavailableError, PositionMovedError, OSError, TimeoutError)
"""What comes and goes by itself. Anything else is a defect and ends the process."""

Place = tuple[str, int]


async def partitions_of(access: KafkaAccess, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of those of the topics that exist."""
    admin = AIOKafkaAdminClient(**access.client_options())
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        if topic["error_code"] == 0
        for partition in topic["partitions"]
    ]


def group_less_consumer(access: KafkaAccess, **options: object) -> AIOKafkaConsumer:
    """A consumer that belongs to no group, reads committed records and never jumps by itself."""
    return AIOKafkaConsumer(
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="none",
        enable_auto_commit=False,
        **access.client_options(),
        **options,
    )


class FamilyIndexer:
    """One family's way into SQL. `caught_up` is set while everything there was at the last look is
    written.
    """

    def __init__(self, engine: Engine, access: KafkaAccess, family: Family, lock: asyncio.Lock) -> None:
        self.family = family
        self.caught_up = asyncio.Event()
        self._engine = engine
        self._access = access
        self._lock = lock

    async def run(self) -> None:
        """Index until cancelled."""
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                async for _ in self._batches():
                    backoff_s = BACKOFF_FIRST_S
            except INTERRUPTIONS as error:
                self.caught_up.clear()
                telemetry.log(
                    "indexer.interrupted",
                    level="warning",
                    family=self.family.name,
                    error=type(error).__name__,
                )
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    async def _batches(self) -> AsyncIterator[None]:
        consumer = group_less_consumer(self._access, max_poll_records=BATCH_RECORDS)
        try:
            await consumer.start()
            places = await partitions_of(self._access, self.family.topics)
            if len({place.topic for place in places}) < len(self.family.topics):
                return  # topics are still being made; look again after a moment
            known = await self._open(consumer, places)
            while True:
                fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
                records = [
                    LogRecord(m.topic, m.partition, m.offset, m.timestamp, m.value)
                    for messages in fetched.values()
                    for m in messages
                ]
                if records:
                    self.caught_up.clear()
                    after = {place: await consumer.position(TopicPartition(*place)) for place in known}
                    await self._write(records, known, after)
                    known.update(after)
                else:
                    self.caught_up.set()
                yield
        finally:
            await consumer.stop()

    async def _open(
        self, consumer: AIOKafkaConsumer, places: list[TopicPartition]
    ) -> dict[Place, int | None]:
        stored = await asyncio.to_thread(self._stored)
        first = await consumer.beginning_offsets(places)
        end = await consumer.end_offsets(places)
        consumer.assign(places)
        known: dict[Place, int | None] = {}
        gaps: dict[Place, tuple[int, int]] = {}
        for place in places:
            position = stored.get((place.topic, place.partition))
            known[place.topic, place.partition] = position
            if position is not None and not first[place] <= position <= end[place]:
                gaps[place.topic, place.partition] = (position, first[place])
                position = None
            consumer.seek(place, first[place] if position is None else position)
        if gaps:
            await asyncio.to_thread(self._admit, gaps)
            known.update({place: start for place, (_, start) in gaps.items()})
        telemetry.log("indexer.reading", family=self.family.name, partitions=len(places), gaps=len(gaps))
        return known

    def _stored(self) -> dict[Place, int]:
        with reading(self._engine) as connection:
            return read_positions(connection, self.family.topics)

    def _admit(self, gaps: Mapping[Place, tuple[int, int]]) -> None:
        """Positions outside the log are said openly and moved in one transaction, never jumped over in
        silence.
        """
        with writing(self._engine) as connection:
            for (topic, partition), (position, start) in gaps.items():
                record_gap(connection, topic, partition, position, start)
                telemetry.log("indexer.gap", level="error", topic=topic, partition=partition)
            advance(connection, {place: (before, after) for place, (before, after) in gaps.items()})

    async def _write(
        self, records: list[LogRecord], known: Mapping[Place, int | None], after: Mapping[Place, int]
    ) -> None:
        moves = {place: (known[place], after[place]) for place in known if known[place] != after[place]}
        async with self._lock:  # one writer: families would only wait for each other inside the database
            await asyncio.to_thread(self._commit, records, moves)

    def _commit(self, records: list[LogRecord], moves: Mapping[Place, tuple[int | None, int]]) -> None:
        with writing(self._engine) as connection:
            advance(connection, moves)  # I3: rows and positions move together or not at all
            self.family.write(connection, records)
