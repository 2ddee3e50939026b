"""What a system may read of an object, and the name of the stream that carries exactly this.

Pure. A restricted reader never reads authoritative records; it has deliveries of its own, in a topic whose *generation*
is named after what it may see. Another right to read is another generation, filled from the beginning (decision 0011).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ownership.map import ObjectMap, OwnershipMap


@dataclass(frozen=True, slots=True)
class Reading:
    """What one restricted reader sees of one object."""

    system: str
    object: str
    fields: tuple[str, ...]
    """In the contract's order."""
    masked: frozenset[str]
    """Those of which it gets a keyed digest instead of the value."""
    mask_key: int
    """Number of the key for these digests; 0 = nothing is masked."""
    contract_id: int = 0
    """Of what it is a part: a new version of the contract is told in deliveries of their own."""
    object_generation: int = 1
    """Of the object's topics: its deliveries have as many partitions, and keys the same places."""

    @property
    def generation(self) -> str:
        """Eight hex digits; the same rights to the same contract always give the same name."""
        said = f"{self.system}|{self.object}|{self.contract_id}|{','.join(sorted(self.fields))}"
        if self.masked:
            said += f"|{','.join(sorted(self.masked))}|{self.mask_key}"
        return hashlib.sha256(said.encode()).hexdigest()[:8]


def granted(entry: ObjectMap) -> dict[str, frozenset[str] | None]:
    """System to what it may read, now or under later terms; None = whole records."""
    found = dict(entry.readers)
    for _, terms in entry.later:
        for system, fields in terms.readers.items():
            found.setdefault(system, fields)
    return found


def mask_keys(ownership_map: OwnershipMap) -> frozenset[int]:
    """The numbers of the keys that some restricted reader's digests need."""
    found = (reading for entry in ownership_map.objects.values() for reading in readings(entry))
    return frozenset(reading.mask_key for reading in found if reading.mask_key)


def readings(entry: ObjectMap) -> Iterator[Reading]:
    """The restricted readers of an object."""
    for system, fields in sorted(granted(entry).items()):
        if fields:
            masked = entry.masked.get(system, frozenset()) & fields
            yield Reading(
                system,
                entry.name,
                tuple(name for name in entry.fields if name in fields),
                masked,
                entry.mask_keys.get(system, 0) if masked else 0,
                entry.contract_id,
                entry.generation,
            )
