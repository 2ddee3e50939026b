"""Where the outputs of a slot are: topics and partitions.

Pure. No two slots write to the same one, and nobody else does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from broker import topics
from broker.gate.outgoing import Destination, Outgoing
from broker.lane.memory import Shelf

Place = tuple[str, int]
"""(topic, partition)."""
_BY_SLOT = (topics.LEDGER, topics.TRAIL, topics.QUARANTINE)
_BY_SLOT_AND_SYSTEM = (topics.refusals(""), topics.proposals(""))


def named(place: Place) -> str:
    """`topic/partition`, as the ledger names it."""
    return f"{place[0]}/{place[1]}"


def place_in(name: str) -> Place:
    """The inverse of `named`."""
    topic, _, partition = name.rpartition("/")
    return topic, int(partition)


def place_of(
    slot: int, destination: Destination, target: str, partition: int, streams: Mapping[str, str]
) -> Place:
    """Where a slot writes a record that follows from a partition of its inputs; `streams`: of each object."""
    match destination:
        case Destination.AUTHORITATIVE:
            return topics.authoritative(streams[target]), partition
        case Destination.STATE:
            return topics.state(streams[target]), partition
        case Destination.QUARANTINE:
            return topics.QUARANTINE, slot
        case Destination.REFUSALS:
            return topics.refusals(target), slot
        case Destination.PROPOSALS:
            return topics.proposals(target), slot
        case Destination.TRAIL:
            return topics.TRAIL, slot


def places_of(slot: int, outgoing: Iterable[tuple[Outgoing, int]], streams: Mapping[str, str]) -> list[Place]:
    """Where a batch writes, each once, in an order that is always the same."""
    found = {(record.destination, record.target, partition) for record, partition in outgoing}
    return sorted({place_of(slot, *whither, streams) for whither in found})


def changelogs(shelves: Collection[Shelf], existing: Collection[str]) -> dict[Place, Shelf]:
    """The partitions that states are read from, those of memories first, among the topics that there are."""
    return {
        (topic_of(stream), partition): (stream, partition)
        for topic_of in (topics.state, topics.authoritative)
        for stream, partition in shelves
        if topic_of(stream) in existing
    }


def outputs(slot: int, shelves: Collection[Shelf], existing: Collection[str]) -> set[Place]:
    """Every partition that a slot writes, among the topics that there are."""
    by_slot = {(name, slot) for name in existing if name in _BY_SLOT or name.startswith(_BY_SLOT_AND_SYSTEM)}
    return by_slot | changelogs(shelves, existing).keys()
