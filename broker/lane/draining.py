"""What of some inputs is not judged yet, by the ledger's positions. Changes nothing.

Offsets alone cannot say: what is written in transactions ends with a marker that no reader ever sees.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane.replay import TO_THE_END, last_ledger, reader_of
from schemas.registry import envelopes

_POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Input:
    """One input partition, as far as it is not judged."""

    topic: str
    partition: int
    records: int
    """Offsets from the ledger's position to the end; at least one of them is a record, or an open transaction."""
    lost: bool = False
    """Changes were deleted before they were judged: it stands still for good."""


class Draining:
    """Looks at inputs; connected from `start` to `stop`."""

    def __init__(self, access: KafkaAccess, slots: int) -> None:
        self._ledger = reader_of(access)
        self._committed = reader_of(access, **TO_THE_END)
        self._written = reader_of(access, isolation_level="read_uncommitted", **TO_THE_END)
        self._slots = [TopicPartition(topics.LEDGER, number) for number in range(slots)]
        self._positions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        for consumer in (self._ledger, self._committed, self._written):
            await consumer.start()
        self._ledger.assign(self._slots)
        for place, end in (await self._ledger.end_offsets(self._slots)).items():
            self._ledger.seek(place, end)  # from here on it follows; what was before, the last record says
            self._take(await last_ledger(self._committed, place.partition, {place: end}))

    async def stop(self) -> None:
        """Disconnect."""
        for consumer in (self._ledger, self._committed, self._written):
            await consumer.stop()

    async def positions(self) -> dict[str, int]:
        """Input, `topic/partition`, to the next offset that will be judged, over all slots. Raises KafkaError."""
        consumer, ends = self._ledger, await self._ledger.end_offsets(self._slots)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                self._take(envelopes().codec.decode(records[-1].value) if records else None)
        return self._positions

    def _take(self, record: Mapping[str, Any] | None) -> None:
        for name, offset in record["positions"].items() if record is not None else ():
            self._positions[name] = max(self._positions.get(name, 0), int(offset))

    async def ends(self, places: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where partitions end, what is not committed included. Raises KafkaError."""
        return dict(await self._written.end_offsets(list(places)))

    async def unsettled(self, places: Collection[TopicPartition]) -> list[Input]:
        """Partitions with an open transaction: what is committed behind it cannot be read yet. Raises KafkaError."""
        ends, stable = await self.ends(places), await self._committed.end_offsets(list(places))
        return [Input(p.topic, p.partition, ends[p] - stable[p]) for p in places if stable[p] < ends[p]]

    async def left(self, places: Collection[TopicPartition]) -> list[Input]:
        """The inputs of which something is not judged. Raises KafkaError."""
        positions = await self.positions()
        begin = await self._written.beginning_offsets(list(places))
        ends = await self.ends(places)
        stable = await self._committed.end_offsets(list(places))
        found = []
        for place in places:
            at = positions.get(f"{place.topic}/{place.partition}", 0)
            open_yet = stable[place] < ends[place] or (
                at < ends[place]
                and await _has_record(self._committed, place, max(at, begin[place]), ends[place])
            )
            if at < begin[place] or open_yet:
                lost = at < begin[place]
                found.append(Input(place.topic, place.partition, ends[place] - at, lost))
        return found


async def _has_record(consumer: AIOKafkaConsumer, place: TopicPartition, at: int, end: int) -> bool:
    """Whether a committed record stands from one offset to before another."""
    consumer.assign([place])
    consumer.seek(place, at)
    while await consumer.position(place) < end:
        if (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place):
            return True
    return False
