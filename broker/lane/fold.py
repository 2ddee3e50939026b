"""What a slot knew of a record, folded from the log: its memories in their order, then its authoritative records.

Pure. Must give what judging had left behind, from the beginning of the log as from any batch on: property tests compare
them. Memories come first, so that none has to be held back until the last authoritative record is read.
"""

from __future__ import annotations

from broker.gate.state import Memory, RecordState, remembered
from schemas.authoritative import parse_revision
from schemas.envelope import Headers


def revised(before: RecordState, value: bytes | None, headers: Headers) -> RecordState:
    """The state after one authoritative record. Raises MalformedEnvelope when the gate did not write it."""
    revision, owners, ingress_ms = parse_revision(headers)
    recent, older = before.recent, before.older
    if value is None:
        recent, older = (), ()
    elif before.value is not None and before.value != value:
        recent = remembered(recent, before.value, ingress_ms)
    after = RecordState(value, revision, owners, recent, before.memory, older)
    return after if value is not None else remembering(after, before.memory)


def remembering(state: RecordState, memory: Memory) -> RecordState:
    """The state with the memory found in `state.<object>`; a grave stands in for a tombstone compacted away."""
    grave = memory.grave
    if grave is None or state.value is not None:
        return state._replace(memory=memory)
    return state._replace(revision=grave.revision, owners=grave.owners, memory=memory)
