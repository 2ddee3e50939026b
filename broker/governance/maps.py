"""The map in force and its earlier versions, as a session sees them; compiled once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from broker.kafka.planning import compiled
from broker.published import PublishedMap
from broker.rules import rules_of
from broker.store.decided import Session
from broker.store.versions import newest_version
from ownership.map import OwnershipMap


@dataclass(frozen=True, slots=True)
class InForce:
    """The map in force."""

    published: PublishedMap
    map: OwnershipMap


def in_force(session: Session) -> InForce:
    """The newest version that control has found on Kafka; version 0 where there is none."""
    published = newest_version(session.connection())
    return InForce(published, compiled_once(published))


def compiled_once(published: PublishedMap) -> OwnershipMap:
    """What a version says."""
    key = (published.version, published.digest)
    if key not in _KNOWN:
        _KNOWN.clear()  # one map is in force; what it was before is looked at rarely
        _KNOWN[key] = compiled(published)
    return _KNOWN[key]


_KNOWN: dict[tuple[int, str], OwnershipMap] = {}


def wanted_by(documents: Mapping[str, str], version: int) -> OwnershipMap:
    """What the files of a plan say."""
    return _wanted(tuple(sorted(documents.items())), version)


@lru_cache(maxsize=8)
def _wanted(documents: tuple[tuple[str, str], ...], version: int) -> OwnershipMap:
    return rules_of(dict(documents), version).ownership_map
