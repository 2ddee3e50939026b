"""The second wall: what each system is told of who may write what, so that its connector knows before the gate says it.

Pure. It is told, not asked: what a connector knows may be a moment old, and what counts is the gate's decision alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ownership.map import ObjectMap, OwnershipMap


def writers(ownership_map: OwnershipMap) -> Iterator[tuple[str, str]]:
    """(system, object) of everybody who may send changes at all, in order: what becomes of them is another question."""
    for system, of in sorted(ownership_map.systems.items()):
        for name, entry in sorted(ownership_map.objects.items()):
            if system in entry.systems or name in of.publishes:
                yield system, name


def _terms(entry: ObjectMap, system: str) -> Iterator[dict[str, Any]]:
    """Who may write what of one object, as one system is told, from each moment on at which it changes."""
    for since_ms, terms in ((0, entry), *entry.later):
        yield {
            "since_ms": since_ms,
            "owners": _known(terms, system),
            "create": terms.create,
            "delete": terms.delete,
            "on_violation": terms.policy_of(system).value,
            "observed": system in terms.observed,
        }


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
            "terms": list(_terms(ownership_map.objects[name], system)),
        }
        for system, name in writers(ownership_map)
    }
