"""The map in force and its earlier versions, as a session sees them; compiled once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from broker.governance.map_pages import meanings_of
from broker.kafka.planning import compiled
from broker.published import PublishedMap
from broker.rules import rules_of
from broker.store.decided import Session
from broker.store.versions import newest_known, newest_version
from ownership.map import OwnershipMap


@dataclass(frozen=True, slots=True)
class InForce:
    """The map in force."""

    published: PublishedMap
    map: OwnershipMap
    meanings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Object to its fields, each with what its contract says that it is."""


_KNOWN: dict[tuple[int, str], InForce] = {}


def in_force(session: Session) -> InForce:
    """The newest version that control has found on Kafka; version 0 where there is none."""
    key = newest_known(session.connection())
    found = _KNOWN.get(key)
    if found is None:
        published = newest_version(session.connection())
        found = _compiled(published)
        _KNOWN.clear()  # one map is in force; what was before is looked at rarely
        _KNOWN[key] = found
    return found


def _compiled(published: PublishedMap) -> InForce:
    if not published.version:
        return InForce(published, compiled(published))
    rules = rules_of(published.documents, published.version)
    return InForce(published, rules.ownership_map, meanings_of(rules))


def wanted_by(documents: Mapping[str, str], version: int) -> OwnershipMap:
    """What the files of a plan say."""
    return _wanted(tuple(sorted(documents.items())), version)


@lru_cache(maxsize=8)
def _wanted(documents: tuple[tuple[str, str], ...], version: int) -> OwnershipMap:
    return rules_of(dict(documents), version).ownership_map
