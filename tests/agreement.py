"""Where the product and the oracle must agree after one step: what is said, what is written, what is remembered."""

from __future__ import annotations

from typing import Any

from broker.gate.outgoing import Destination
from broker.gate.state import RecordState, lately
from tests.gate_parts import BESIDE_AN_OUTCOME, Bench, Seen, encoded
from tests.oracle import Oracle
from tests.oracle_record import HOUR, REMEMBERED_MAX, Record
from tests.oracle_words import Again, Ask, Expected, Order, Reset, Step, Tick

KEYS = ("C-1", "C-2")


def agree(bench: Bench, oracle: Oracle, step: Step, seen: Seen, expected: Expected, where: str) -> None:
    """Outcome, reason, revision, values, map version and records of one step."""
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)  # I6: whatever came of it can be written
    if isinstance(step, Tick | Reset | Order):
        for key in KEYS:
            assert bench.state(key.encode()).revision == oracle.revision(key), where
        return
    write = step.write if isinstance(step, Again | Ask) else step
    if isinstance(step, Again):
        (line,) = (b for b in seen.to(Destination.TRAIL) if b["kind"] == "redriven")
        assert line["result"] == expected.outcome, where
    elif isinstance(step, Ask):
        (line,) = seen.to(Destination.TRAIL)
        assert (line["kind"] == "proposal_opened") == bool(expected.questions), where
    else:
        assert (seen.outcome, seen.reason) == (expected.outcome, expected.reason), where
    after = bench.state(write.key.encode())
    assert after.revision == expected.revision, where
    assert bench.values(write.key.encode()) == expected.values, where
    written = seen.revisions
    assert len(written) == (0 if expected.changed is None else 1), where
    for envelope, outgoing in written:
        assert envelope.changed == expected.changed, where
        assert envelope.reassert == expected.reasserted, where
        assert envelope.map_version == bench.rules.ownership_map.version, where
        assert envelope.revision == expected.revision, where
        assert envelope.causation == (write.system, write.event), where
        assert outgoing.body == after.value, where
    cases = [case for case in seen.to(Destination.QUARANTINE) if case["reason"] not in BESIDE_AN_OUTCOME]
    assert len(cases) == expected.cases, where
    assert len(seen.to(Destination.PROPOSALS)) == expected.questions, where


def agree_on_what_is_remembered(bench: Bench, oracle: Oracle, where: str) -> None:
    """The next state: everything by which later steps are judged."""
    for key in KEYS:
        state, record = bench.state(key.encode()), oracle.records.get(key, Record())
        kept, told = _of_product(bench, state, oracle.gate_ms), _of_oracle(record, oracle.gate_ms)
        otherwise = {name: (kept[name], told[name]) for name in kept if kept[name] != told[name]}
        assert otherwise == {}, f"{where}: {key}: {otherwise}"
        if state.value is not None:
            last = {
                name: told for name in oracle.whole.owners if (told := state.last_write(name)) and told[1]
            }
            assert last == record.last, (
                f"{where}: {key}: {sorted(last.items())}, not {sorted(record.last.items())}"
            )


def _of_product(bench: Bench, state: RecordState, gate_ms: int) -> dict[str, Any]:
    memory, decode = state.memory, bench.rules.readers["customer"].decode
    return {
        "held": dict(memory.held),
        "waiting": [(p.system, p.event_id, p.received_ms, set(p.fields or ())) for p in memory.parked],
        "brakes": {(r.system, r.field): (r.count, r.last_ms, r.pending) for r in memory.reassertions},
        "questions": sorted(
            (q.field, str(decode(q.value)[q.field]), q.opened_ms, q.case_id or "") for q in memory.proposals
        ),
        "replaced": [(ms, dict(decode(value))) for ms, value in lately(state, gate_ms)][::-1],
        "former": {(name, system): event for system, event, names in memory.former for name in names or ()},
    }


def _of_oracle(record: Record, gate_ms: int) -> dict[str, Any]:
    return {
        "held": record.not_accepted,
        "waiting": [(w.write.system, w.write.event, w.write.received_ms, w.own) for w in record.waiting],
        "brakes": {place: (b.count, b.last_ms, b.owed) for place, b in record.brakes.items()},
        "questions": sorted((q.field, str(q.value), q.asked_ms, q.case) for q in record.questions),
        "replaced": [(ms, values) for ms, values in record.replaced[-REMEMBERED_MAX:] if gate_ms - ms < HOUR],
        "former": record.former,
    }
