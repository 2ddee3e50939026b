"""Lines of the trail: one small record per change that is neither accepted nor held, and per step of a case.

Pure.
"""

from __future__ import annotations

from broker.gate.change import Change, Position
from broker.gate.decision import Decision
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import OpenProposal


def trail(
    change: Change,
    decision: Decision,
    gate_time_ms: int,
    kind: str,
    fields: list[str],
    *,
    revision: int = 0,
    result: str | None = None,
) -> Outgoing:
    """One line of the trail about a change."""
    return trail_line(
        kind=kind,
        object_name=change.object,
        key=change.key,
        system=change.system,
        event_id=change.event_id or None,
        position=change.position,
        reason=decision.reason.code if decision.reason else "",
        fields=fields,
        revision=revision,
        map_version=decision.map_version,
        received_ms=change.received_ms,
        gate_time_ms=gate_time_ms,
        result=result,
    )


def closing(
    object_name: str,
    key: bytes,
    position: Position,
    proposal: OpenProposal,
    result: str,
    map_version: int,
    gate_time_ms: int,
    *,
    received_ms: int,
    revision: int = 0,
) -> Outgoing:
    """The trail's line about a question that was answered, or was not."""
    return trail_line(
        kind="proposal_closed",
        object_name=object_name,
        key=key,
        system=proposal.owner,
        event_id=None,
        position=position,
        reason="",
        fields=[proposal.field],
        revision=revision,
        map_version=map_version,
        received_ms=received_ms,
        gate_time_ms=gate_time_ms,
        case_id=proposal.case_id,
        result=result,
    )


def trail_line(
    *,
    kind: str,
    object_name: str,
    key: bytes,
    system: str,
    event_id: str | None,
    position: Position,
    reason: str,
    fields: list[str],
    map_version: int,
    received_ms: int,
    gate_time_ms: int,
    revision: int = 0,
    case_id: str | None = None,
    by: str | None = None,
    note: str | None = None,
    result: str | None = None,
) -> Outgoing:
    """One line of the trail."""
    return Outgoing(
        Destination.TRAIL,
        key,
        {
            "kind": kind,
            "object": object_name,
            "key": key,
            "system": system,
            "event_id": event_id,
            "topic": position.topic,
            "partition": position.partition,
            "offset": position.offset,
            "reason": reason,
            "fields": fields,
            "revision": revision,
            "map_version": map_version,
            "received_ms": received_ms,
            "gate_time_ms": gate_time_ms,
            "case_id": case_id,
            "by": by,
            "note": note,
            "result": result,
        },
    )
