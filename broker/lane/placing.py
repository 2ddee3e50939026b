"""Where records of one generation of an object's topics belong in the next, and whether a copy is whole.

Pure. A key keeps one place, so the order of its records survives as long as each partition is copied in its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.gate.connections import CONNECTIONS_KEY, Connections, connections_of, connections_record, merged
from broker.lane.misrouted import is_placed
from schemas.keys import partition_of
from schemas.registry import envelopes

Place = tuple[str, int]
"""(topic, partition)."""


class Kept(NamedTuple):
    """One record as it is copied: bytes and headers untouched."""

    place: Place
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Placing:
    """Places the records of one topic anew; what is kept per partition and not per key is gathered meanwhile."""

    topic: str
    before: int
    """Partitions until now."""
    after: int
    misplaced: int = 0
    """Records that were never at their key's place; nothing that is judged ever looked there."""
    _connections: dict[int, Connections] = field(default_factory=dict)

    def take(
        self, partition: int, key: bytes, value: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Kept | None:
        """Where a record goes; None = nowhere: it is gathered, or misplaced."""
        if key == CONNECTIONS_KEY:
            self._connections[partition] = connections_of(envelopes().codec.decode(value)) if value else {}
            return None
        if not is_placed(key, partition, self.before):
            self.misplaced += 1
            return None
        return Kept((self.topic, partition_of(key, self.after)), key, value, tuple(headers))

    def gathered(self) -> list[Kept]:
        """What was kept per partition, for every new one; after all partitions were taken."""
        found = merged(self._connections.values())
        if not found:
            return []
        registry = envelopes()
        value = registry.codec.encode(registry.id_of("state"), connections_record(found))
        return [Kept((self.topic, number), CONNECTIONS_KEY, value, ()) for number in range(self.after)]


class Contents:
    """What partitions hold: how many records, and a digest over their bytes in order."""

    def __init__(self) -> None:
        self._digests: dict[Place, Any] = {}
        self._counts = Counter[Place]()

    def add(self, kept: Kept) -> None:
        """Count the next record of a partition."""
        digest = self._digests.setdefault(kept.place, hashlib.blake2b(digest_size=32))
        parts = [
            kept.key,
            kept.value,
            *(part for name, value in kept.headers for part in (name.encode(), value)),
        ]
        for part in parts:
            digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
        digest.update(b"\n")
        self._counts[kept.place] += 1

    @property
    def records(self) -> int:
        """How many in all."""
        return self._counts.total()

    def said(self) -> Mapping[Place, tuple[int, bytes]]:
        """Of each partition that holds something: how many, and the digest. Equal = the same, in the same order."""
        return {place: (self._counts[place], digest.digest()) for place, digest in self._digests.items()}


def strays(kept: Kept, partitions: int) -> bool:
    """Whether a record is not where its key belongs."""
    return kept.key != CONNECTIONS_KEY and not is_placed(kept.key, kept.place[1], partitions)
