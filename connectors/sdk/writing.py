"""What a system may write, as the broker told it: known before the gate says it.

Pure. What is known may be a moment old: the gate alone decides, by the map in force where a change takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WriteTerms:
    """Who may write what of one object, from a moment on."""

    since_ms: int
    owners: Mapping[str, str]
    """Field to system of record; a field that is missing is not this system's, and it is not said whose."""
    create: str
    delete: str
    on_violation: str
    """What a write to what is not the system's own meets: quarantine, reject or propose."""
    observed: bool
    """Its writes are judged and counted, and have no effect."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What one system was told of one object."""

    system: str
    object: str
    map_version: int
    key_field: str
    """Every change has it, whosever it is."""
    terms: tuple[WriteTerms, ...]
    """In the order of their times, the first from the beginning."""

    def at(self, time_ms: int) -> WriteTerms:
        """The terms in force at a moment, in ms since 1970."""
        return next(terms for terms in reversed(self.terms) if terms.since_ms <= max(time_ms, 0))

    def foreign(self, fields: Iterable[str], time_ms: int) -> dict[str, str]:
        """Those of some fields that are not this system's at a moment, each with its owner; "" = not said."""
        owners, others = self.at(time_ms).owners, sorted(set(fields) - {self.key_field})
        return {name: owners.get(name, "") for name in others if owners.get(name) != self.system}

    def creates(self, time_ms: int) -> bool:
        """Whether the system creates records."""
        return self.at(time_ms).create == self.system

    def deletes(self, time_ms: int) -> bool:
        """Whether the system ends records."""
        return self.at(time_ms).delete == self.system


def writing_of(said: Mapping[str, Any]) -> Writing:
    """From a record of `writings.<system>`."""
    return Writing(
        system=str(said["system"]),
        object=str(said["object"]),
        map_version=int(said["map_version"]),
        key_field=str(said["key_field"]),
        terms=tuple(WriteTerms(**one) for one in said["terms"]),
    )
