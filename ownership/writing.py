"""The second wall: what each system is told of who may write what, so that its connector knows before the gate says it.

Pure. It is told, not asked: what a connector knows may be a moment old, and what counts is the gate's decision alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ownership.map import ObjectMap, OwnershipMap


@dataclass(frozen=True, slots=True)
class WriteTerms:
    """Who may write what of one object, and what another one's write meets, from a moment on."""

    since_ms: int
    """Append time."""
    owners: Mapping[str, str]
    """Field to system of record, of the fields that the system owns or may read; of others it is not told, and
    whatever is missing is not its own."""
    create: str
    delete: str
    on_violation: str
    """What a write of this system to what is not its own meets."""
    observed: bool
    """Its writes are judged and counted, and have no effect."""


def writers(ownership_map: OwnershipMap) -> Iterator[tuple[str, str]]:
    """(system, object) of everybody who may send changes at all, in order: what becomes of them is another question."""
    for system, of in sorted(ownership_map.systems.items()):
        for name, entry in sorted(ownership_map.objects.items()):
            if system in entry.systems or name in of.publishes:
                yield system, name


def write_terms(entry: ObjectMap, system: str) -> tuple[WriteTerms, ...]:
    """The terms of one object for one system, the first in force from the beginning."""
    return tuple(
        WriteTerms(
            since_ms=since_ms,
            owners=_known(terms, system),
            create=terms.create,
            delete=terms.delete,
            on_violation=terms.policy_of(system).value,
            observed=system in terms.observed,
        )
        for since_ms, terms in ((0, entry), *entry.later)
    )


def _known(terms: ObjectMap, system: str) -> dict[str, str]:
    """Who owns what, as far as a system may know: of what it may not read not even the names are told."""
    readable = terms.readers.get(system, frozenset())
    return {
        name: owner
        for name, owner in terms.owners.items()
        if owner == system or readable is None or name in readable
    }


def told_to(ownership_map: OwnershipMap) -> dict[tuple[str, str], dict[str, Any]]:
    """(system, object) to the record that tells a system its terms, for everybody who may send changes."""
    return {
        (system, name): {
            "system": system,
            "object": name,
            "map_version": ownership_map.version,
            "key_field": ownership_map.objects[name].key_field,
            "terms": [asdict(one) for one in write_terms(ownership_map.objects[name], system)],
        }
        for system, name in writers(ownership_map)
    }
