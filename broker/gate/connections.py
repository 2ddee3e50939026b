"""What was ordered for the changes of one system in one partition: that they wait, that their count began anew.

Pure. Kept in `state.<object>` under a key that no record can have, so that it is rebuilt with everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from broker.gate.change import Change, Fault
from broker.gate.memory import memory_record
from broker.gate.reason import Reason
from broker.gate.state import NO_MEMORY
from schemas.version import version_of

CONNECTIONS_KEY = b"\xff"
"""Not UTF-8, so it is never the key of a record."""
PAUSE, RESUME, SOURCE_RESET = "pause", "resume", "source_reset"
ORDERS = {PAUSE: "paused", RESUME: "resumed", SOURCE_RESET: "source_reset"}
"""Command to the kind of its line in the trail."""


class Connection(NamedTuple):
    """One system's way into one partition of an object."""

    paused: bool = False
    """Its changes wait in their topic; nothing of them is lost."""
    incarnation: int = 0
    """Highest incarnation of its source versions that somebody confirmed."""
    by: str = ""
    note: str = ""
    since_ms: int = 0


Connections = Mapping[str, Connection]
"""By system; what is not there is as it was made: not paused, incarnation 0."""
AS_MADE = Connection()


def ordered(connections: Connections, command: Mapping[str, Any], gate_time_ms: int) -> Connections | None:
    """The connections after an order; None = it changes nothing, or would take an incarnation back."""
    system = command["system"] or ""
    before = connections.get(system, AS_MADE)
    after = before
    if command["command"] == SOURCE_RESET:
        if command["incarnation"] > before.incarnation:
            after = before._replace(incarnation=command["incarnation"])
    else:
        after = before._replace(paused=command["command"] == PAUSE)
    if not system or after == before:
        return None
    told = after._replace(by=command["by"], note=command["note"], since_ms=gate_time_ms)
    return {**connections, system: told}


def confirmed(connections: Connections, change: Change) -> Change:
    """The change, at fault if its source counts anew and nobody confirmed that: its old changes would look new."""
    if change.fault is not None:
        return change
    told = version_of(change.event_id).incarnation
    recorded = connections.get(change.system, AS_MADE).incarnation
    if told <= recorded:
        return change
    detail = f"incarnation {told}, recorded is {recorded}"
    return change._replace(values=None, fault=Fault(Reason.UNRECORDED_RESET, detail))


def merged(partitions: Iterable[Connections]) -> Connections:
    """The connections of an object whose keys go to other partitions: what holds for one partition holds for all.

    An order reaches every partition; only the breaker pauses in one alone, and whoever resumes resumes everywhere.
    """
    found: dict[str, Connection] = {}
    for connections in partitions:
        for system, connection in connections.items():
            known = found.get(system, connection)
            told = max(known, connection, key=lambda one: (one.paused, one.since_ms))
            found[system] = told._replace(incarnation=max(known.incarnation, connection.incarnation))
    return found


def connections_record(connections: Connections) -> dict[str, Any]:
    """As they stand in `state.<object>`."""
    rows = [{"system": system, **connection._asdict()} for system, connection in sorted(connections.items())]
    return {**memory_record(NO_MEMORY), "connections": rows}


def connections_of(record: Mapping[str, Any]) -> Connections:
    """The inverse of `connections_record`."""
    return {
        str(row["system"]): Connection(
            row["paused"], row["incarnation"], row["by"], row["note"], row["since_ms"]
        )
        for row in record.get("connections", ())
    }
