"""Where an adopter stands in a foreign topic, and the version that each of its records has. Pure.

PostgreSQL's own order (LSN) is the version where Debezium tells it: Debezium may write changes twice after a crash, and
the second ones are then known as old. Everything else is ordered as its topic is: by offset. A topic that is given more
partitions has its keys in other places from then on, where offsets begin anew; so what comes then is of a later
generation, and of the former one everything is read first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.adopt.formats import Foreign, Told
from schemas.version import SourceVersion, VersionKind


@dataclass(slots=True)
class Standing:
    """One topic, as far as it was read."""

    topic: str
    mapping: int
    digest: str
    next: dict[int, int] = field(default_factory=dict)
    """Partition -> the offset that is read next."""
    generation: int = 0
    incarnation: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    """While the former generation is read to its end: where each of its partitions ends."""
    lsn: dict[int, int] = field(default_factory=dict)
    """Partition -> the highest LSN that was seen in it."""

    def version(self, record: Foreign, told: Told) -> SourceVersion:
        """The version of a record's change. The mapping is part of it: mapped anew, the same change is a later one."""
        mapping = f"{self.mapping:04X}"
        if told.lsn is not None:
            later = f"r{record.offset:016X}" if told.snapshot else ""
            value = f"{told.lsn:016X}.{mapping}{later}"
        elif told.tombstone and record.partition in self.lsn:
            value = f"{self.lsn[record.partition]:016X}.{mapping}t{record.offset:016X}"
        else:
            value = f"{self.generation:04X}.{record.offset:016X}.{mapping}"
        return SourceVersion(VersionKind.SEQUENCE, self.incarnation, value)

    def passed(self, record: Foreign, told: Told | None) -> None:
        """The record was read."""
        self.next[record.partition] = record.offset + 1
        if told is not None and told.lsn is not None:
            self.lsn[record.partition] = max(told.lsn, self.lsn.get(record.partition, 0))

    def counts(self, partition: int, offset: int) -> bool:
        """Whether a record is read now; what lies beyond an end waits until the former generation is read."""
        return offset < self.ends.get(partition, offset + 1)

    def grow(self, partitions: set[int], ends: Mapping[int, int]) -> None:
        """The topic has new partitions: read the former ones up to `ends` first."""
        self.ends = {partition: ends[partition] for partition in self.next}
        if self.drained({}):
            self.begin_generation(partitions)

    def drained(self, reached: Mapping[int, int]) -> bool:
        """Whether the former generation is read to its end."""
        return all(
            reached.get(partition, self.next[partition]) >= end for partition, end in self.ends.items()
        )

    def begin_generation(self, partitions: set[int]) -> None:
        """From here on all partitions count, the new ones from their beginning."""
        self.generation += 1
        self.ends = {}
        self.next = {partition: self.next.get(partition, 0) for partition in sorted(partitions)}


def text_of(standings: Mapping[str, Standing]) -> str:
    return json.dumps({name: asdict(standing) for name, standing in standings.items()}, sort_keys=True)


def parse(text: str) -> dict[str, Standing]:
    return {name: _standing(document) for name, document in json.loads(text).items()}


def _standing(document: dict[str, Any]) -> Standing:
    found = Standing(**document)
    for name in ("next", "ends", "lsn"):
        setattr(found, name, {int(partition): at for partition, at in getattr(found, name).items()})
    return found
