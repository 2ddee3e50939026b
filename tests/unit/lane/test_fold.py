"""A record's state folded from the log: what a tombstone, a grave and a memory leave of it."""

from __future__ import annotations

from broker.gate.memory import memory_of, memory_record
from broker.gate.state import NO_RECORD, Grave, Memory, OpenProposal, Parked, Reasserted, RecordState
from broker.lane.fold import remembering, revised
from schemas.registry import envelopes
from tests.gate_parts import Bench

FULL = Memory(
    grave=Grave(revision=3, owners=(("crm", "a;b", None),), deleted_ms=5),
    held={"erp": "x"},
    parked=tuple(
        Parked(
            system="erp",
            event_id="y",
            received_ms=1,
            source_time_ms=2,
            topic="changes.erp.customer",
            partition=3,
            offset=4,
            fields=fields,
            value=b"v",
        )
        for fields in (None, frozenset({"name", "email"}))
    ),
    reassertions=(Reasserted(system="erp", field="name", count=2, last_ms=9, pending=True),),
    proposals=(
        OpenProposal(
            proposal_id="p", case_id=None, field="name", owner="crm", value=b"v", opened_ms=1, expires_ms=2
        ),
    ),
)


def test_a_memory_travels() -> None:
    registry = envelopes()
    number = registry.id_of("state")
    for memory in (FULL, Memory()):
        value = registry.codec.encode(number, memory_record(memory))
        assert memory_of(registry.codec.decode(value)) == memory


def test_a_grave_stands_in_for_a_tombstone_that_was_compacted_away() -> None:
    state = remembering(NO_RECORD, FULL)
    assert (state.revision, state.owners, state.memory) == (3, (("crm", "a;b", None),), FULL)
    alive = RecordState(value=b"v", revision=7)
    assert remembering(alive, FULL) == alive._replace(memory=FULL)
    dead = RecordState(revision=7)
    assert remembering(dead, Memory(held={"erp": "x"})) == dead._replace(memory=Memory(held={"erp": "x"}))


def test_a_record_is_folded() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    bench.judge(bench.delete("crm", "seq:0:03"))
    state = NO_RECORD
    revisions = [o for _, o in bench.written if o.destination.value == "authoritative"]
    for number, outgoing in enumerate(revisions):
        state = revised(state, outgoing.body, outgoing.headers)  # type: ignore[arg-type]
        assert len(state.recent) == (1 if number == 1 else 0)
    assert (state.value, state.revision, state.owners) == (None, 3, bench.state().owners)
