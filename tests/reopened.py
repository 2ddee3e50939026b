"""A slot that opens: its memory folded from the records that the gate wrote, as the log keeps them."""

from __future__ import annotations

from broker.gate.outgoing import Destination, Outgoing
from broker.lane.memory import SlotMemory
from tests.gate_parts import Bench, encoded

SHELF = ("customer", 0)


def taken_in(found: SlotMemory, outgoing: Outgoing) -> None:
    """One record that the gate wrote, as a slot that opens reads it."""
    value = encoded(outgoing)
    if outgoing.destination is Destination.AUTHORITATIVE:
        found.revise(SHELF, outgoing.key, value, outgoing.headers)
    elif outgoing.destination is Destination.STATE:
        found.remember(SHELF, outgoing.key, value or b"")


def reopened(bench: Bench) -> SlotMemory:
    """What another worker knows of the bench's slot after reading its log. I3"""
    found = SlotMemory(slot=bench.memory.slot, partitions=dict(bench.memory.partitions))
    for destination in (Destination.STATE, Destination.AUTHORITATIVE):
        for _, outgoing in bench.written:
            if outgoing.destination is destination:
                taken_in(found, outgoing)
    if bench.ledger:
        last = bench.ledger[-1]
        found.positions, found.gate_time_ms = dict(last["positions"]), last["gate_time_ms"]
        found.sequence, found.chain, found.map_version = last["sequence"], last["chain"], last["map_version"]
    return found
