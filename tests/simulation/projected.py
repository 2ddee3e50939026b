"""What restricted readers are given: the product's projection of every authoritative record, a generation per right.

As the projector does it: a new generation begins with the newest revision of each record, then follows the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker import topics
from broker.gate.project import Projection, Revision, project
from broker.rules import Rules
from schemas.envelope import Headers
from tests.simulation.gate import OBJECT
from tests.simulation.log import Entry, Log

MASK_KEY = b"a key of enough bytes"


class Delivered(NamedTuple):
    """One delivery; `offset` = its place among those of its partition."""

    offset: int
    key: bytes | None
    headers: Headers
    values: Mapping[str, Any]
    timestamp: int


@dataclass(slots=True)
class Stream:
    """One generation of one reader's deliveries, per partition."""

    projection: Projection
    made: dict[int, list[Delivered]] = field(default_factory=dict)
    read_to: dict[int, int] = field(default_factory=dict)

    @property
    def visible(self) -> frozenset[str]:
        return frozenset(self.projection.reading.fields)

    def upto(self, log: Log, partition: int) -> list[Delivered]:
        """Everything delivered by now, after the projector has done what there is to do."""
        place = (topics.authoritative(OBJECT), partition)
        begins = partition not in self.made
        made, start = self.made.setdefault(partition, []), self.read_to.get(partition, 0)
        entries = list(log.read(place, start))
        if begins:
            newest = {entry.key: entry for entry in entries}
            entries = sorted(newest.values(), key=lambda entry: entry.offset)
        for entry in entries:
            made.append(self._delivery(entry, len(made), begins=begins))
        if entries:
            self.read_to[partition] = entries[-1].offset + 1
        return made

    def _delivery(self, entry: Entry, offset: int, *, begins: bool) -> Delivered:
        revision = Revision(
            entry.key or b"", entry.value, tuple(entry.headers), entry.offset, entry.timestamp
        )
        value, headers = project(self.projection, revision, MASK_KEY, begins=begins)
        codec, number = self.projection.codec, self.projection.schema_id
        values = {} if value is None else codec.decode(value, [number])
        return Delivered(offset, entry.key, tuple(headers), values, entry.timestamp)


class Deliveries:
    """The streams of all restricted readers; a right that changes begins another one."""

    def __init__(self, rules: Callable[[], Rules]) -> None:
        self._rules = rules
        self.streams: dict[str, Stream] = {}
        self.ended: list[Stream] = []

    def generation(self, system: str) -> str | None:
        """Empty = it reads whole records; None = it reads nothing."""
        rules = self._rules()
        found = next((p for p in rules.projections[OBJECT] if p.reading.system == system), None)
        now = self.streams.get(system)
        if now is not None and (
            found is None or found.reading.generation != now.projection.reading.generation
        ):
            self.ended.append(self.streams.pop(system))
        if found is not None:
            self.streams.setdefault(system, Stream(found))
            return found.reading.generation
        readers = rules.ownership_map.objects[OBJECT].readers
        return "" if readers.get(system, frozenset()) is None else None
