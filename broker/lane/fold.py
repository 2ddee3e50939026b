"""What a slot knew of a record, folded from the log: authoritative records in their order, then the last memory.

Pure. Must give what judging had left behind: a property test compares them.
"""

from __future__ import annotations

from broker.gate.state import Memory, RecordState, remembered
from schemas.authoritative import parse_authoritative
from schemas.envelope import Headers


def revised(before: RecordState, value: bytes | None, headers: Headers) -> RecordState:
    """The state after one authoritative record. Raises MalformedEnvelope when the gate did not write it."""
    envelope = parse_authoritative(headers)
    recent = before.recent
    if value is None:
        recent = ()
    elif before.value is not None and before.value != value:
        recent = remembered(recent, before.value, envelope.ingress_ms)
    return RecordState(value=value, revision=envelope.revision, owners=envelope.owners, recent=recent)


def remembering(state: RecordState, memory: Memory) -> RecordState:
    """The state with the memory found in `state.<object>`; a grave stands in for a tombstone compacted away."""
    grave = memory.grave
    if grave is None or state.value is not None:
        return state._replace(memory=memory)
    return state._replace(revision=grave.revision, owners=grave.owners, memory=memory)
