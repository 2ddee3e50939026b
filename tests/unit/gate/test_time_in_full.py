"""The passing of time, in full: what expires, what is owed, and when two systems are found to be at war."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.commands import pass_time
from broker.gate.memory import memory_record
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import Memory, OpenProposal, Parked, Reasserted, RecordState
from broker.lane.judge import Judge
from tests.decided import PHONES, bench_of, with_ada
from tests.ordered import GATE_MS, RECEIVED_MS, context, eve, line

DAY_MS, HOUR_MS = 24 * 3_600_000, 3_600_000


def waiting(received_ms: int) -> Parked:
    return Parked(
        system="erp",
        event_id="seq:0:01",
        received_ms=received_ms,
        source_time_ms=5,
        topic="changes.erp.customer",
        partition=1,
        offset=8,
        fields=frozenset({"phone"}),
        value=b"v",
    )


def question(expires_ms: int) -> OpenProposal:
    return OpenProposal(
        proposal_id="Q-1.name",
        case_id="Q-1",
        field="name",
        owner="crm",
        value=b"v",
        opened_ms=1,
        expires_ms=expires_ms,
    )


def brake(
    field: str, *, due_ms: int, system: str = "erp", pending: bool = True, count: int = 1
) -> Reasserted:
    return Reasserted(system=system, field=field, count=count, last_ms=due_ms - 2_000, pending=pending)


def test_what_is_not_due_stays() -> None:
    bench = bench_of()
    memory = Memory(
        parked=(waiting(GATE_MS - DAY_MS),),
        proposals=(question(GATE_MS),),
        reassertions=(brake("name", due_ms=GATE_MS + 1), brake("email", due_ms=GATE_MS - 1, pending=False)),
    )
    state = RecordState(value=b"v", revision=4, memory=memory)
    assert pass_time(context(bench), state) == (state, [])
    after, records = pass_time(
        context(bench), state._replace(value=None, memory=Memory(reassertions=(brake("name", due_ms=0),)))
    )
    assert after.value is None and records == []


def test_what_is_parked_too_long_becomes_a_case() -> None:
    bench = bench_of(fields=PHONES)
    late, young = waiting(GATE_MS - DAY_MS - 1), replace(waiting(GATE_MS), event_id="seq:0:02")
    after, (kept, case, *rest) = pass_time(context(bench), RecordState(memory=Memory(parked=(late, young))))
    assert after.memory == Memory(parked=(young,)) and after.revision == 0
    assert kept == Outgoing(Destination.STATE, b"C-1", memory_record(after.memory), target="customer")
    body = case.body
    assert case.destination is Destination.QUARANTINE and isinstance(body, dict)
    place = (body["topic"], body["partition"], body["offset"])
    assert place == ("changes.erp.customer", 1, 8) and body["event_id"] == "seq:0:01"
    assert (body["system"], body["reason"], body["outcome"]) == ("erp", "parked_expired", "quarantined")
    times = (body["source_time_ms"], body["received_ms"], body["gate_time_ms"])
    assert times == (5, late.received_ms, GATE_MS) and body["value"] == b"v" and body["headers"] == {}
    assert (body["map_version"], body["object"], body["key"]) == (7, "customer", b"C-1")
    assert [r.destination for r in rest] == [Destination.REFUSALS] and rest[0].target == "erp"


def test_a_question_that_nobody_answered_is_closed() -> None:
    bench = bench_of()
    memory = Memory(proposals=(question(GATE_MS - 1), replace(question(GATE_MS), field="email")))
    after, (_, closed) = pass_time(context(bench), RecordState(value=b"v", revision=4, memory=memory))
    assert [q.field for q in after.memory.proposals] == ["email"] and after.revision == 4
    assert closed == line("proposal_closed", "expired", system="crm", by=None, note=None)


def test_what_is_owed_is_one_revision_per_system() -> None:
    bench = with_ada(bench_of())
    owed = (
        brake("name", due_ms=GATE_MS, system="erp"),
        brake("email", due_ms=GATE_MS, system="erp"),
        brake("name", due_ms=GATE_MS, system="billing"),
        brake("phone", due_ms=GATE_MS + 1, system="erp"),
    )
    state = bench.state()._replace(memory=Memory(reassertions=owed))
    after, (_, *sent) = pass_time(context(bench), state)
    assert after.revision == 3 and after.value == state.value
    counts = {(r.system, r.field): (r.count, r.last_ms, r.pending) for r in after.memory.reassertions}
    assert counts == {
        ("erp", "name"): (2, GATE_MS, False),
        ("erp", "email"): (2, GATE_MS, False),
        ("billing", "name"): (2, GATE_MS, False),
        ("erp", "phone"): (1, GATE_MS - 1_999, True),
    }
    told = [dict(r.headers) for r in sent]
    assert [(h["ce_revision"], h["ce_reassert"]) for h in told] == [
        (b"2", b"billing:name"),
        (b"3", b"erp:email,name"),
    ]
    assert [h["ce_causationid"] for h in told] == [b"solesource/pause-ended:2", b"solesource/pause-ended:3"]
    assert {h["ce_changed"] for h in told} == {b""} and {h["ce_decision"] for h in told} == {
        b"7:%d" % RECEIVED_MS
    }
    assert {r.body for r in sent} == {state.value} and {r.key for r in sent} == {b"C-1"}
    assert told[0]["ce_time"] == b"2026-11-18T11:08:20.000Z" and told[0]["ce_id"] == b"customer/C-1@2"


def test_a_write_war_that_time_finds() -> None:
    bench = with_ada(bench_of())
    at_four = Reasserted(system="erp", field="name", count=4, last_ms=GATE_MS - HOUR_MS, pending=True)
    state = bench.state()._replace(memory=Memory(reassertions=(at_four,)))
    _, records = pass_time(context(bench), state)
    (war,) = [r.body for r in records if r.destination is Destination.QUARANTINE]
    assert isinstance(war, dict) and war["reason"] == "write_war" and war["case_id"].endswith(".war.name")
    assert war["detail"] == "erp was sent the owner's value of name 5 times" and war["system"] == "erp"
    assert war["authoritative"] == state.value and war["value"] is None and war["revision"] == state.revision
    (verdict,) = war["verdicts"]
    assert (verdict["verdict"], verdict["owner"], verdict["attempted"]) == ("held", None, None)
    assert (war["outcome"], war["gate_time_ms"], war["map_version"]) == ("quarantined", GATE_MS, 7)
    five = state._replace(
        memory=Memory(reassertions=(replace(at_four, count=5, last_ms=GATE_MS - 2 * HOUR_MS),))
    )
    _, records = pass_time(context(bench), five)
    assert not [r for r in records if r.destination is Destination.QUARANTINE], "told once"


def test_a_write_war_that_a_change_finds_names_both() -> None:
    bench = with_ada(bench_of())
    at_four = Reasserted(system="erp", field="name", count=4, last_ms=0, pending=True)
    before = bench.now_ms
    close = replace(at_four, last_ms=before - HOUR_MS)
    bench.memory.states["customer", 0][b"C-1"] = bench.state()._replace(memory=Memory(reassertions=(close,)))
    judged = Judge(bench.memory, "w").judge(bench.rules, [eve(bench)])
    cases = [o for o, _ in judged.outgoing if o.destination is Destination.QUARANTINE]
    assert {case.key for case in cases} == {b"C-1"}
    held, war = (case.body for case in cases)
    assert isinstance(held, dict) and isinstance(war, dict)
    assert (war["reason"], war["case_id"]) == ("write_war", held["case_id"] + ".war.name")
    assert war["gate_time_ms"] == judged.gate_time_ms
    (verdict,) = war["verdicts"]
    assert verdict["reason"] == "write_war"
    told = (verdict["field"], verdict["owner"], verdict["authoritative"], verdict["attempted"])
    assert told == ("name", "crm", '"Ada"', '"Eve"') and war["key"] == b"C-1"
