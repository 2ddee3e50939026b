"""A record's state, and its replaced values, as bytes on this machine's disk, and back.

Pure. Another layout has another `FORMAT`. Owners and memory are spelled as in the log; values are the bytes that they
are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

from broker.gate.connections import Connections, connections_of, connections_record
from broker.gate.memory import memory_of, memory_record
from broker.gate.outgoing import ENVELOPE, Destination
from broker.gate.state import NO_MEMORY, RecordState, Replaced
from schemas.authoritative import format_owners, parse_owners
from schemas.registry import envelopes

FORMAT = 2
NOWHERE = 0
"""The number of no entry: a record has no replaced values there."""
_HEAD = struct.Struct(">qiIIQ")
"""Revision; lengths of value (-1 = none), owners and memory; the newest entry of its replaced values."""
_ENTRY = struct.Struct(">Q")
"""The entry before."""
_REPLACED = struct.Struct(">qI")


def state_bytes(state: RecordState, replaced: int) -> bytes:
    """A state as it is kept on disk; its replaced values are in an entry, and the ones before that."""
    value, owners, memory = state.value, format_owners(state.owners), b""
    if state.memory is not NO_MEMORY:
        registry = envelopes()
        number = registry.id_of(ENVELOPE[Destination.STATE])
        memory = registry.codec.encode(number, memory_record(state.memory))
    length = -1 if value is None else len(value)
    head = _HEAD.pack(state.revision, length, len(owners), len(memory), replaced)
    return b"".join((head, value or b"", owners, memory))


def state_of(stored: bytes, older: Callable[[int], Iterable[Replaced]]) -> RecordState:
    """The inverse of `state_bytes`; `older` = the values of an entry and of those before it.

    Raises struct.error or SchemaError for what that did not make.
    """
    revision, length, owners_length, memory_length, replaced = _HEAD.unpack_from(stored)
    at = _HEAD.size
    value = None if length < 0 else stored[at : at + length]
    at += max(length, 0)
    owners = parse_owners(stored[at : at + owners_length])
    at += owners_length
    memory = NO_MEMORY
    if memory_length:
        memory = memory_of(envelopes().codec.decode(stored[at : at + memory_length]))
    return RecordState(value, revision, owners, (), memory, older(replaced))


def entry_bytes(before: int, replaced: Sequence[Replaced]) -> bytes:
    """Replaced values as they are kept on disk, and the number of the record's entry before this one."""
    parts = [_ENTRY.pack(before)]
    for replaced_ms, value in replaced:
        parts += (_REPLACED.pack(replaced_ms, len(value)), value)
    return b"".join(parts)


def entry_of(stored: bytes) -> tuple[int, list[Replaced]]:
    """The inverse of `entry_bytes`. Raises struct.error for what that did not make."""
    (before,), at = _ENTRY.unpack_from(stored), _ENTRY.size
    replaced = []
    while at < len(stored):
        replaced_ms, length = _REPLACED.unpack_from(stored, at)
        at += _REPLACED.size + length
        replaced.append((replaced_ms, stored[at - length : at]))
    return before, replaced


def connections_bytes(connections: Connections) -> bytes:
    """The connections of an object's partition as they are kept on disk."""
    registry = envelopes()
    return registry.codec.encode(registry.id_of(ENVELOPE[Destination.STATE]), connections_record(connections))


def connections_in(stored: bytes) -> Connections:
    """The inverse of `connections_bytes`. Raises SchemaError for what that did not make."""
    return connections_of(envelopes().codec.decode(stored))
