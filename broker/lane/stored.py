"""A record's state as bytes on this machine's disk, and back. Another layout has another `FORMAT`.

Pure. Owners and memory are spelled as in the log; value and replaced values are the bytes that they are.
"""

from __future__ import annotations

import struct

from broker.gate.memory import memory_of, memory_record
from broker.gate.outgoing import ENVELOPE, Destination
from broker.gate.state import NO_MEMORY, RecordState
from schemas.authoritative import format_owners, parse_owners
from schemas.registry import envelopes

FORMAT = 1
_HEAD = struct.Struct(">qiIII")
"""Revision; lengths of value (-1 = none), owners and memory; how many replaced values follow."""
_REPLACED = struct.Struct(">qI")


def state_bytes(state: RecordState) -> bytes:
    """A state as it is kept on disk."""
    value, owners, memory = state.value, format_owners(state.owners), b""
    if state.memory is not NO_MEMORY:
        registry = envelopes()
        number = registry.id_of(ENVELOPE[Destination.STATE])
        memory = registry.codec.encode(number, memory_record(state.memory))
    recent = state.recent
    length = -1 if value is None else len(value)
    head = _HEAD.pack(state.revision, length, len(owners), len(memory), len(recent))
    parts = [head, value or b"", owners, memory]
    for replaced_ms, replaced in recent:
        parts += (_REPLACED.pack(replaced_ms, len(replaced)), replaced)
    return b"".join(parts)


def state_of(stored: bytes) -> RecordState:
    """The inverse of `state_bytes`. Raises struct.error or SchemaError for what that did not make."""
    revision, length, owners_length, memory_length, count = _HEAD.unpack_from(stored)
    at = _HEAD.size
    value = None if length < 0 else stored[at : at + length]
    at += max(length, 0)
    owners = parse_owners(stored[at : at + owners_length])
    at += owners_length
    memory = NO_MEMORY
    if memory_length:
        memory = memory_of(envelopes().codec.decode(stored[at : at + memory_length]))
        at += memory_length
    recent = []
    for _ in range(count):
        replaced_ms, replaced_length = _REPLACED.unpack_from(stored, at)
        at += _REPLACED.size + replaced_length
        recent.append((replaced_ms, stored[at - replaced_length : at]))
    return RecordState(value, revision, owners, tuple(recent), memory)
