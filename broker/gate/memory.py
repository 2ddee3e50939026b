"""Memory as it stands in `state.<object>`, and back.

Pure: plain records in and out; the Avro schema is schemas/avro/state.avsc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.gate.state import Grave, Memory, OpenProposal, Parked, Reasserted
from schemas.authoritative import format_owners, parse_owners


def memory_record(memory: Memory) -> dict[str, Any]:
    """The record of a memory."""
    grave = memory.grave
    return {
        "grave": None
        if grave is None
        else {
            "revision": grave.revision,
            "owners": format_owners(grave.owners),
            "deleted_ms": grave.deleted_ms,
        },
        "held": dict(memory.held),
        "parked": [
            {
                "system": p.system,
                "event_id": p.event_id,
                "received_ms": p.received_ms,
                "source_time_ms": p.source_time_ms,
                "topic": p.topic,
                "partition": p.partition,
                "offset": p.offset,
                "fields": None if p.fields is None else sorted(p.fields),
                "value": p.value,
            }
            for p in memory.parked
        ],
        "reassertions": [
            {
                "system": r.system,
                "field": r.field,
                "count": r.count,
                "last_ms": r.last_ms,
                "pending": r.pending,
            }
            for r in memory.reassertions
        ],
        "proposals": [
            {
                "proposal_id": q.proposal_id,
                "case_id": q.case_id,
                "field": q.field,
                "owner": q.owner,
                "value": q.value,
                "opened_ms": q.opened_ms,
                "expires_ms": q.expires_ms,
            }
            for q in memory.proposals
        ],
        "former": format_owners(memory.former),
        "connections": [],
    }


def memory_of(record: Mapping[str, Any]) -> Memory:
    """The memory of a record."""
    grave = record["grave"]
    return Memory(
        grave=None
        if grave is None
        else Grave(
            revision=grave["revision"], owners=parse_owners(grave["owners"]), deleted_ms=grave["deleted_ms"]
        ),
        held=dict(record["held"]),
        parked=tuple(
            Parked(**{**p, "fields": None if p["fields"] is None else frozenset(p["fields"])})
            for p in record["parked"]
        ),
        reassertions=tuple(Reasserted(**r) for r in record["reassertions"]),
        proposals=tuple(OpenProposal(**q) for q in record["proposals"]),
        former=parse_owners(record["former"]),
    )
