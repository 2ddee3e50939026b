"""The production gate: what a connection needs before updates flow over it, and what is missing of it.

Pure. A connection is one system's values of one object on their way to one other system. Where it stands follows from
the map and from what was ordered; nobody keeps it by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ownership.map import ObjectMap, OwnershipMap, Sla


class Connection(NamedTuple):
    """Whose values of what go where."""

    object: str
    source: str
    sink: str

    def __str__(self) -> str:
        return f"{self.object} {self.source} -> {self.sink}"


class Standing(StrEnum):
    """Where a connection stands."""

    PLANNED = "planned"
    """Something is promised for it, and its sink reads nothing yet."""
    SHADOW = "shadow"
    """The writes of one of its ends are judged and counted, and have no effect."""
    LIVE = "live"
    SUSPENDED = "suspended"
    """Its source was told to wait."""


class Need(StrEnum):
    """What a connection needs, by the code that a waiver names."""

    OWNER = "live.no_owner"
    STEWARD = "live.no_steward"
    PROMISE = "live.no_promise"
    ALERT_PATH = "live.no_alert_path"
    CONFORMANCE = "live.no_conformance"
    CERTIFICATE = "live.no_certificate"


class Missing(NamedTuple):
    """One thing that a connection lacks."""

    need: Need
    connection: Connection
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found out about systems and connections, as far as it still counts now."""

    conforming: frozenset[str] = frozenset()
    """Systems whose connector has passed the conformance kit."""
    certified: frozenset[Connection] = frozenset()
    """Connections whose promise was measured and found to be kept."""
    waived: Mapping[Connection, frozenset[str]] = field(default_factory=dict)
    """Connection to the codes of needs that somebody answers for instead."""


def standings(
    ownership_map: OwnershipMap, paused: frozenset[tuple[str, str]] = frozenset()
) -> dict[Connection, Standing]:
    """Every connection of a map. `paused`: (object, system) whose changes wait."""
    found: dict[Connection, Standing] = {}
    for entry in ownership_map.objects.values():
        flowing = flows(entry)
        promised = {(sla.source, sla.sink) for sla in entry.slas}
        for source, sink in sorted(flowing | promised):
            found[Connection(entry.name, source, sink)] = _standing(entry, source, sink, flowing, paused)
    return found


def _standing(
    entry: ObjectMap,
    source: str,
    sink: str,
    flowing: set[tuple[str, str]],
    paused: frozenset[tuple[str, str]],
) -> Standing:
    if (source, sink) not in flowing:
        return Standing.PLANNED
    if {source, sink} & entry.observed:
        return Standing.SHADOW
    return Standing.SUSPENDED if (entry.name, source) in paused else Standing.LIVE


def flows(entry: ObjectMap) -> set[tuple[str, str]]:
    """(owner, reader) wherever somebody reads what is somebody else's."""
    found = set()
    for reader, fields in entry.readers.items():
        for name in entry.fields if fields is None else fields:
            owner = entry.owner_of(name)
            if owner is not None and owner != reader and name != entry.key_field:
                found.add((owner, reader))
    return found


def going_live(before: OwnershipMap, wanted: OwnershipMap) -> list[Connection]:
    """The connections that are live under `wanted`, and were not before."""
    was = standings(before)
    return [
        connection
        for connection, standing in standings(wanted).items()
        if standing is Standing.LIVE and was.get(connection) is not Standing.LIVE
    ]


def missing(ownership_map: OwnershipMap, connection: Connection, evidence: Evidence) -> list[Missing]:
    """Everything that a connection lacks and nobody answers for: all of it at once, not the first only."""
    entry = ownership_map.objects[connection.object]
    waived = evidence.waived.get(connection, frozenset())
    found = [
        *_of_the_map(entry, connection),
        *_of_the_connectors(connection, evidence),
    ]
    return [Missing(need, connection, words) for need, words in found if need not in waived]


def _of_the_map(entry: ObjectMap, connection: Connection) -> Iterator[tuple[Need, str]]:
    unowned = sorted(name for name in entry.readable(connection.sink) if entry.owner_of(name) is None)
    if unowned:
        yield Need.OWNER, f"nobody owns {', '.join(unowned)}, which {connection.sink} reads"
    if not entry.steward_team.strip() or not entry.steward_contact.strip():
        yield Need.STEWARD, f"nobody answers for {entry.name}"
    sla = _promise(entry, connection)
    if sla is None:
        yield Need.PROMISE, f"nothing is promised for {connection}"
    elif not sla.alert_path.strip():
        yield Need.ALERT_PATH, f"nobody is told when {connection} fails"


def _promise(entry: ObjectMap, connection: Connection) -> Sla | None:
    ends = (connection.source, connection.sink)
    return next((sla for sla in entry.slas if (sla.source, sla.sink) == ends), None)


def _of_the_connectors(connection: Connection, evidence: Evidence) -> Iterator[tuple[Need, str]]:
    for system in (connection.source, connection.sink):
        if system not in evidence.conforming:
            yield (
                Need.CONFORMANCE,
                f"the connector of {system} has no result of the conformance kit that counts today",
            )
    if connection not in evidence.certified:
        yield (
            Need.CERTIFICATE,
            f"{connection} has no SLA certificate: its promise was not verified by measuring",
        )
