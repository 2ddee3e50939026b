"""Which inputs of a slot wait: paused ones, and a new owner's until the former owner's was read up to the cut.

A handover takes force at an append time. The new owner's records from then on must not be judged before the former
owner's from before then, or a value from an older term would follow one from a newer: the barrier is the first offset
of the former owner's partition at or after the cut. It is found again in the log whenever it is needed, so nothing has
to be remembered through a crash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition

from broker import topics
from broker.gate.connections import Connections
from broker.lane.memory import Shelf
from broker.rules import Rules
from ownership.map import OwnershipMap

log = structlog.get_logger()


class Halts:
    """The halts of one slot's consumer."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._waiting: dict[TopicPartition, list[tuple[TopicPartition, int]]] = {}
        """Input of a new owner to the places that must be reached first."""
        self._barriers: dict[tuple[TopicPartition, int], int] = {}
        self._passed: set[tuple[TopicPartition, int, str]] = set()
        self._cuts: dict[str, list[tuple[int, str]]] = {}
        """Ingress topic to (moment, former owner) of every handover to its system."""
        self._map_version = -1

    async def refresh(self, connections: dict[Shelf, Connections]) -> None:
        """Pause and resume as is ordered, and as barriers are reached. Called before every fetch."""
        assigned = self._consumer.assignment()
        for place, barriers in list(self._waiting.items()):
            left = [(former, to) for former, to in barriers if not await self._reached(former, to, assigned)]
            if left:
                self._waiting[place] = left
            else:
                del self._waiting[place]
                log.info("handover.taken_over", topic=place.topic, partition=place.partition)
        halted = {place for place in assigned if _is_paused(connections, place)} | self._waiting.keys()
        running = self._consumer.paused()
        if to_resume := running - halted:
            self._consumer.resume(*to_resume)
        if to_pause := (halted & assigned) - running:
            self._consumer.pause(*to_pause)

    async def _reached(self, former: TopicPartition, to: int, assigned: Collection[TopicPartition]) -> bool:
        return former not in assigned or await self._consumer.position(former) >= to

    async def before_barriers(self, rules: Rules, records: Sequence[Any]) -> Sequence[Any]:
        """The records that may be judged now; what must wait is read again later."""
        if rules.ownership_map.version != self._map_version:
            self._map_version = rules.ownership_map.version
            self._cuts = dict(_cuts(rules.ownership_map))
        if not self._cuts:
            return records
        stopped: dict[TopicPartition, int] = {}
        kept = []
        for record in records:
            cuts = self._cuts.get(record.topic, ())
            place = TopicPartition(record.topic, record.partition)
            if place in stopped:
                continue
            due = [cut for cut in cuts if cut[0] <= record.timestamp and (place, *cut) not in self._passed]
            if due and await self._must_wait(place, due):
                stopped[place] = record.offset
                log.info("handover.waits", topic=place.topic, partition=place.partition, offset=record.offset)
            else:
                kept.append(record)
        for place, offset in stopped.items():
            self._consumer.seek(place, offset)
        return kept

    async def _must_wait(self, place: TopicPartition, due: Sequence[tuple[int, str]]) -> bool:
        assigned = self._consumer.assignment()
        _, stream = topics.parse_changes(place.topic) or ("", "")
        barriers = []
        for cut_ms, former in due:
            other = TopicPartition(topics.changes(former, stream), place.partition)
            to = await self._barrier(other, cut_ms) if other in assigned else 0
            if await self._reached(other, to, assigned):
                self._passed.add((place, cut_ms, former))
            else:
                barriers.append((other, to))
        if barriers:
            self._waiting[place] = barriers
        return bool(barriers)

    async def _barrier(self, place: TopicPartition, cut_ms: int) -> int:
        """The first offset appended at or after the cut; the end, where there is none yet."""
        known = self._barriers.get((place, cut_ms))
        if known is None:
            found = (await self._consumer.offsets_for_times({place: cut_ms}))[place]
            known = found.offset if found is not None else (await self._consumer.end_offsets([place]))[place]
            self._barriers[place, cut_ms] = known
        return known


def _is_paused(connections: dict[Shelf, Connections], place: TopicPartition) -> bool:
    system, stream = topics.parse_changes(place.topic) or ("", "")
    connection = connections.get((stream, place.partition), {}).get(system)
    return connection is not None and connection.paused


def _cuts(ownership_map: OwnershipMap) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Ingress topic and handovers of every system that is ever handed something."""
    for name, stream in topics.streams_of(ownership_map).items():
        entry = ownership_map.objects[name]
        found: dict[str, list[tuple[int, str]]] = {}
        before = entry
        for since_ms, terms in entry.later:
            pairs = {(terms.owners[f], owner) for f, owner in before.owners.items() if f in terms.owners}
            for to, former in sorted(pairs):
                if to != former:
                    found.setdefault(topics.changes(to, stream), []).append((since_ms, former))
            before = terms
        yield from found.items()
