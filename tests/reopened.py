"""A slot that opens: its memory folded from the records that the gate wrote, as the log keeps them."""

from __future__ import annotations

from broker.gate.connections import CONNECTIONS_KEY, connections_of
from broker.gate.memory import memory_of
from broker.gate.outgoing import Destination
from broker.gate.state import NO_RECORD, Memory
from broker.lane.fold import remembering, revised
from broker.lane.memory import SlotMemory
from schemas.registry import envelopes
from tests.gate_parts import Bench, encoded

SHELF = ("customer", 0)


def reopened(bench: Bench) -> SlotMemory:
    """What another worker knows of the bench's slot after reading its log. I3"""
    codec, kept = envelopes().codec, bench.memory
    found = SlotMemory(slot=kept.slot, partitions=dict(kept.partitions))
    memories: dict[bytes, Memory] = {}
    for _, outgoing in bench.written:
        if outgoing.destination is Destination.AUTHORITATIVE:
            before = found.states.get(SHELF, {}).get(outgoing.key, NO_RECORD)
            found.restore(SHELF, outgoing.key, revised(before, encoded(outgoing), outgoing.headers))
        elif outgoing.destination is Destination.STATE:
            record = codec.decode(encoded(outgoing) or b"")
            if outgoing.key == CONNECTIONS_KEY:
                found.connections[SHELF] = connections_of(record)
            else:
                memories[outgoing.key] = memory_of(record)
    for key, memory in memories.items():
        state = found.states.get(SHELF, {}).get(key, NO_RECORD)
        found.restore(SHELF, key, remembering(state, memory))
    if bench.ledger:
        last = bench.ledger[-1]
        found.positions, found.gate_time_ms = dict(last["positions"]), last["gate_time_ms"]
        found.sequence, found.chain, found.map_version = last["sequence"], last["chain"], last["map_version"]
    return found
