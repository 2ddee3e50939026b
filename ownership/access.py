"""The first wall: what each system's own Kafka principal may do, compiled from the map.

Pure. Identity is the topic: only crm's principal may write crm's topics, so the topic tells who wrote. Topic names
come from the caller, because only the broker knows how they are spelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ownership.map import OwnershipMap
from ownership.reading import granted, readings
from ownership.writing import writers


class Operation(StrEnum):
    """What a principal may do with a topic."""

    READ = "read"
    WRITE = "write"


class Purpose(StrEnum):
    """Which of the topics a grant speaks of."""

    CHANGES = "changes"
    AUTHORITATIVE = "authoritative"
    DELIVERIES = "deliveries"
    READINGS = "readings"
    WRITINGS = "writings"
    REFUSALS = "refusals"
    PROPOSALS = "proposals"
    ACKNOWLEDGEMENTS = "acks"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One thing that one system may do."""

    system: str
    operation: Operation
    purpose: Purpose
    object: str = ""
    generation: str = ""
    """Of the deliveries that a restricted reader reads."""


def grants(ownership_map: OwnershipMap) -> Iterator[Grant]:
    """Everything that the map lets systems do on Kafka; what is not listed is refused by Kafka itself."""
    for system, object_name in writers(ownership_map):
        yield Grant(system, Operation.WRITE, Purpose.CHANGES, object_name)
    for name in sorted(ownership_map.systems):
        yield Grant(name, Operation.READ, Purpose.REFUSALS)
        yield Grant(name, Operation.READ, Purpose.PROPOSALS)
        yield Grant(name, Operation.READ, Purpose.WRITINGS)
        yield Grant(name, Operation.WRITE, Purpose.ACKNOWLEDGEMENTS)
        for object_name, entry in sorted(ownership_map.objects.items()):
            if granted(entry).get(name, frozenset()) is None:
                yield Grant(name, Operation.READ, Purpose.AUTHORITATIVE, object_name)
    for object_name, entry in sorted(ownership_map.objects.items()):
        for reading in readings(entry):
            yield Grant(reading.system, Operation.READ, Purpose.READINGS)
            yield Grant(
                reading.system, Operation.READ, Purpose.DELIVERIES, object_name, generation=reading.generation
            )
