"""Decisions on records that exist as whole values: verdicts, what is remembered, what is asked, what is left."""

from __future__ import annotations

from dataclasses import replace

from broker.gate.change import Fault, Position, case_id_of, read
from broker.gate.decide import decide
from broker.gate.decision import Decision, FieldVerdict, Outcome, Verdict
from broker.gate.reason import Reason
from broker.gate.state import Memory, OpenProposal, Reasserted, RecordState
from tests.decided import PHONES, POLICIES, WEEK_MS, bench_of, decided, held, with_ada
from tests.gate_parts import FLAT, money

# -- what no field is judged of


def test_a_fault_is_told_with_its_detail_and_leaves_no_trace() -> None:
    # I7
    bench = bench_of()
    record = bench.upsert("crm", "seq:0:01", {})
    for reason, outcome in (
        (Reason.UNREADABLE, Outcome.UNREADABLE),
        (Reason.CLAIM_MISMATCH, Outcome.QUARANTINED),
    ):
        found = decided(bench, record, fault=Fault(reason, "as it was"))
        assert found == Decision(outcome, reason, 7, bench.state(), detail="as it was")
        assert found.state is bench.state()


def test_an_object_without_a_map_is_held() -> None:
    bench = bench_of()
    record = bench.upsert("crm", "seq:0:01", {})
    reader = bench.rules.readers["customer"]
    change = read(
        bench.rules.ownership_map,
        bench.rules.readers,
        object_name="customer",
        system="crm",
        key=b"C-1",
        position=Position("t", 0, 0),
        received_ms=1,
        headers=record.headers,
        value=record.value,
    )
    state = RecordState()
    found = decide(None, 7, state, change, 1, decode=reader.decode, encode=reader.encode)
    assert found == Decision(Outcome.QUARANTINED, Reason.UNKNOWN_OBJECT, 7, state)


def test_what_was_held_is_a_duplicate_until_somebody_orders_it_again() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"])
    bench.judge(record)
    found = decided(bench, record)
    assert found == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())
    assert decided(bench, record, again=True).outcome is Outcome.QUARANTINED
    assert decided(bench, record, event_id="y").outcome is Outcome.QUARANTINED
    assert decided(bench, record, system="billing").outcome is Outcome.PROPOSED


def test_what_is_parked_is_a_duplicate_for_its_writer_alone() -> None:
    bench = bench_of(fields=PHONES)
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money(1)}, fields=["credit_limit"]))
    again = bench.upsert("erp", "seq:0:01", {"phone": "1"}, fields=["phone"])
    assert decided(bench, again) == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())
    assert decided(bench, again, event_id="seq:0:02").outcome is Outcome.PARKED
    other = bench.upsert("billing", "seq:0:01", {"name": "x"}, fields=["name"])
    assert decided(bench, other).reason is Reason.NOT_CREATE_AUTHORITY


def test_an_observed_system_is_told_what_would_have_been() -> None:
    bench = with_ada(bench_of(systems=POLICIES | {"erp": {"read": "all", "state": "observe"}}))
    record = bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"])
    found = decided(bench, record)
    verdict = held("name", Reason.NOT_OWNER, "crm", "Ada", "Eve")
    state = bench.state()
    assert found == Decision(
        Outcome.OBSERVED, Reason.NOT_OWNER, 7, state, detail="quarantined", verdicts=(verdict,)
    )
    bench.memory.states["customer", 0][b"C-1"] = state._replace(memory=Memory(held={"erp": "x"}))
    assert decided(bench, record).outcome is Outcome.DUPLICATE


def test_verdicts_name_the_term_of_their_owner() -> None:
    bench = with_ada(bench_of())
    entry = replace(bench.rules.ownership_map.objects["customer"], epochs={"name": 3})
    record = bench.upsert("crm", "seq:0:03", {"name": "Eve", "phone": "1"}, fields=["name", "phone"])
    found = decided(bench, record, entry=entry)
    assert [(v.field, v.epoch) for v in found.verdicts] == [("name", 3), ("phone", 1)]
    assert {v.epoch for v in decided(bench, record).verdicts} == {1}


# -- a record that exists


def test_a_partly_accepted_image_as_a_whole() -> None:
    bench = with_ada(bench_of())
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money(1)}, fields=["credit_limit"]))
    before = bench.state()
    fields = ["name", "credit_limit", "nonsense"]
    record = bench.upsert("crm", "seq:0:03", {"name": "Eve", "credit_limit": money(2)}, fields=fields)
    found = decided(bench, record)
    assert found.verdicts == (
        FieldVerdict("name", Verdict.ACCEPTED, None, "crm", "Ada", "Eve"),
        held("credit_limit", Reason.NOT_OWNER, "erp", money(1), money(2)),
        held("nonsense", Reason.UNKNOWN_FIELD, None),
    )
    assert (found.outcome, found.reason, found.map_version) == (
        Outcome.PARTLY_ACCEPTED,
        Reason.UNKNOWN_FIELD,
        7,
    )
    assert found.writes and found.changed == {"name"} and found.acknowledges == 0
    assert found.reassert == ("crm", frozenset({"credit_limit"})) and not found.merged and not found.closed
    after = found.state
    assert after.revision == before.revision + 1 == 3
    assert after.recent == (*before.recent, (record.timestamp, before.value))
    assert set(after.owners) == {
        ("crm", "seq:0:02", None),
        ("crm", "seq:0:03", frozenset({"name"})),
        ("erp", "seq:0:01", frozenset({"credit_limit"})),
    }
    assert after.memory == Memory(
        held={"crm": "seq:0:03"},
        reassertions=(
            Reasserted(system="crm", field="credit_limit", count=1, last_ms=record.timestamp, pending=False),
        ),
    )
    assert dict(bench.rules.readers["customer"].decode(after.value or b"")) == {
        "customer_id": "C-1",
        "name": "Eve",
        "email": None,
        "phone": None,
        "credit_limit": money(1),
    }


def test_a_full_image_of_the_only_owner_is_passed_on_untouched() -> None:
    bench = with_ada(bench_of(FLAT, fields={}))
    image = bench.upsert("crm", "seq:0:03", {"name": "Eve"})
    found = decided(bench, image)
    assert found.state.value is decided(bench, image).state.value and found.state.value == image.value
    assert found.state.owners == (("crm", "seq:0:03", None),) and found.changed == {"name"}
    foreign = bench.upsert("erp", "seq:0:03", {"name": "Eve"})
    assert decided(bench, foreign).state.value == bench.state().value
    mixed = with_ada(bench_of(FLAT))
    image = mixed.upsert("crm", "seq:0:03", {"name": "Eve", "credit_limit": 5})
    assert (
        mixed.rules.readers["customer"].decode(decided(mixed, image).state.value or b"")["credit_limit"]
        is None
    )


def test_an_image_with_a_stale_field_is_not_passed_on() -> None:
    bench = with_ada(bench_of(FLAT, fields={}))
    bench.judge(bench.upsert("crm", "seq:0:09", {"phone": "9"}, fields=["phone"]))
    image = bench.upsert("crm", "seq:0:05", {"name": "Eve", "phone": "5"})
    found = decided(bench, image)
    assert found.outcome is Outcome.ACCEPTED and found.changed == {"name"}
    values = bench.rules.readers["customer"].decode(found.state.value or b"")
    assert (values["name"], values["phone"]) == ("Eve", "9")
    assert found.state.last_write("phone") == ("crm", "seq:0:09"), "I4"
    assert found.state.last_write("email") == ("crm", "seq:0:05"), "told again, though nothing changed"


def test_an_echo_acknowledges_unless_it_is_a_late_one() -> None:
    bench = with_ada(bench_of())
    bench.judge(bench.upsert("crm", "seq:0:03", {"name": "Eve"}))
    found = decided(bench, bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"]))
    assert (found.outcome, found.reason, found.acknowledges) == (Outcome.ECHO, Reason.ECHO, 2)
    assert found.state is bench.state() and not found.writes and found.reassert is None
    late = decided(bench, bench.upsert("erp", "x", {"name": "Ada"}, fields=["name"]))
    assert (late.outcome, late.reason, late.acknowledges) == (Outcome.ECHO, Reason.LATE_ECHO, 0)
    assert late.reassert == ("erp", frozenset({"name"})) and late.writes and late.changed == frozenset()
    assert late.state.revision == 3 and late.state.value == bench.state().value
    assert late.state.memory.held == {}, "no violation"
    stale = decided(bench, bench.upsert("crm", "seq:0:01", {"name": "x"}, fields=["name"]))
    assert (stale.outcome, stale.acknowledges) == (Outcome.STALE, 0)
    unread = bench.upsert("billing", "x", {"name": "Ada"}, fields=["name"])
    entry = replace(bench.rules.ownership_map.objects["customer"], readers={"crm": None})
    assert decided(bench, unread, entry=entry).acknowledges == 2, "nothing that it reads has drifted"


def test_the_same_event_with_nothing_new_is_a_duplicate() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("crm", "seq:0:02", {"name": "Ada"})
    assert decided(bench, record) == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())
    clash = decided(bench, bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    assert (clash.outcome, clash.reason) == (Outcome.QUARANTINED, Reason.VERSION_CONFLICT)
    assert clash.state.memory.held == {"crm": "seq:0:02"}


# -- questions


def test_a_question_is_opened_once_for_one_value_and_answered() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("billing", "x", {"name": "Eve", "email": "e"}, fields=["name", "email"])
    bench.judge(record)
    number = case_id_of(Position(record.topic, 0, record.offset))
    questions = tuple(
        OpenProposal(
            proposal_id=f"{number}.{name}",
            case_id=None,
            field=name,
            owner="crm",
            value=record.value or b"",
            opened_ms=record.timestamp,
            expires_ms=record.timestamp + WEEK_MS,
        )
        for name in ("name", "email")
    )
    assert bench.state().memory.proposals == questions
    same = decided(bench, bench.upsert("billing", "y", {"name": "Eve"}, fields=["name"]))
    assert same.state.memory.proposals == questions, "asked already"
    swapped = decided(bench, bench.upsert("billing", "y", {"name": "e"}, fields=["name"]))
    assert [q.field for q in swapped.state.memory.proposals] == ["name", "email", "name"]
    answer = decided(bench, bench.upsert("crm", "seq:0:03", {"name": "Eve"}, fields=["name"]))
    assert answer.closed == ((questions[0], "accepted"),)
    assert answer.state.memory.proposals == questions[1:]
    other = decided(bench, bench.upsert("crm", "seq:0:03", {"name": "Bob"}, fields=["name"]))
    assert other.closed == ((questions[0], "answered_otherwise"),)
    gone = decided(bench, bench.delete("crm", "seq:0:03"))
    assert gone.closed == tuple((question, "answered_otherwise") for question in questions)
    assert gone.state.memory.proposals == ()


def test_an_observed_systems_duplicate_stays_one() -> None:
    bench = with_ada(bench_of(systems=POLICIES | {"erp": {"read": "all", "state": "observe"}}))
    state = bench.state()
    owners = (("crm", "seq:0:02", None), ("erp", "seq:0:01", frozenset({"credit_limit"})))
    bench.memory.states["customer", 0][b"C-1"] = state._replace(owners=owners)
    found = decided(bench, bench.upsert("erp", "seq:0:01", {}, fields=["credit_limit"]))
    assert found == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())


def test_a_field_that_is_emptied_has_changed() -> None:
    bench = with_ada(bench_of())
    found = decided(bench, bench.upsert("crm", "seq:0:03", {"name": None}, fields=["name"]))
    assert found.outcome is Outcome.ACCEPTED and found.changed == {"name"}


def test_unknown_fields_come_last_in_their_order() -> None:
    bench = with_ada(bench_of())
    unknown = [f"field{n}" for n in range(9)]
    record = bench.upsert("crm", "seq:0:03", {"name": "Eve"}, fields=[*reversed(unknown), "name"])
    assert [v.field for v in decided(bench, record).verdicts] == ["name", *unknown]
