"""Last stable offsets that stand still: while a transaction stays open, no reader sees anything behind it.

Kafka ends such a transaction when its time is over. Where that does not happen everything waits without an error, so
the lane looks. It changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from broker import topics
from broker.access import KafkaAccess
from broker.lane.memory import Shelf
from broker.lane.places import outputs
from broker.lane.replay import reader_of
from broker.lane.transaction import TRANSACTION_TIMEOUT_MS

LIMIT_S = TRANSACTION_TIMEOUT_MS / 1000 + 15
"""So long an offset may stand still: Kafka looks for transactions whose time is over every ten seconds."""
LOOK_S = 15.0
RETRY_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records wait behind a last stable offset."""

    stable: int
    since_s: float
    """When it was first seen there, by the clock of whoever looks."""


def waiting(before: Waiting | None, stable: int, end: int, now_s: float) -> Waiting | None:
    """What stands still now, given what did at the last look; None if nothing waits. Offsets, seconds."""
    if stable >= end:
        return None
    return before if before is not None and before.stable == stable else Waiting(stable, now_s)


def watched(slot: int, shelves: Collection[Shelf], existing: Collection[str]) -> set[TopicPartition]:
    """Every partition that a slot and its projector write, among the topics that there are."""
    found = outputs(slot, shelves, existing)
    if topics.PROJECTIONS in existing:
        found.add((topics.PROJECTIONS, slot))
    deliveries = [(name, topics.parse_deliveries(name)) for name in existing]
    for stream, partition in shelves:
        found |= {(name, partition) for name, made_from in deliveries if made_from == stream}
    return {TopicPartition(*place) for place in found}


class StableOffsets:
    """Looks at partitions now and again, and logs an error for each whose last stable offset stands still."""

    def __init__(
        self,
        access: KafkaAccess,
        places: Callable[[], Collection[TopicPartition]],
        *,
        limit_s: float = LIMIT_S,
        look_s: float = LOOK_S,
    ) -> None:
        self._access = access
        self._places = places
        self._limit_s = limit_s
        self._look_s = look_s
        self._waiting: dict[TopicPartition, Waiting] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._watch()
            except KafkaError as error:
                log.warning("lane.kafka_away", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _watch(self) -> None:
        stable = reader_of(self._access)
        written = reader_of(self._access, isolation_level="read_uncommitted")
        try:
            await stable.start()
            await written.start()
            while True:
                await asyncio.sleep(self._look_s)
                if places := list(self._places()):
                    # In this order: what is written in between is not taken for waiting.
                    ends = await written.end_offsets(places)
                    self._judge(ends, await stable.end_offsets(places))
        finally:
            await stable.stop()
            await written.stop()

    def _judge(self, ends: dict[TopicPartition, int], stables: dict[TopicPartition, int]) -> None:
        now_s, before, self._waiting = asyncio.get_running_loop().time(), self._waiting, {}
        for place, end in ends.items():
            found = waiting(before.get(place), stables[place], end, now_s)
            if found is None:
                continue
            self._waiting[place] = found
            if now_s - found.since_s > self._limit_s:
                log.error(
                    "lane.stable_offset_stuck",
                    topic=place.topic,
                    partition=place.partition,
                    offset=found.stable,
                    seconds=round(now_s - found.since_s),
                )
