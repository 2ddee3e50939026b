"""Decisions on records that begin and end as whole values: parked, merged, incomplete, deleted, born again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.gate.decision import Decision, FieldVerdict, Outcome, Verdict
from broker.gate.reason import Reason
from broker.gate.state import NO_MEMORY, Grave, Memory, Parked, RecordState
from tests.decided import PHONES, bench_of, decided, held, with_ada
from tests.gate_parts import CUSTOMER, Bench, Record, money


def parked_by(bench: Bench, event: str, **values: Any) -> Record:
    record = bench.upsert("erp", event, values, fields=sorted(values))
    bench.judge(record)
    return record


def waiting(record: Record, event: str, *fields: str) -> Parked:
    return Parked(
        system="erp",
        event_id=event,
        received_ms=record.timestamp,
        source_time_ms=record.timestamp - 510,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        fields=frozenset(fields),
        value=record.value or b"",
    )


def test_an_early_write_is_parked_with_all_that_its_merging_needs() -> None:
    bench = bench_of(fields=PHONES)
    record = bench.upsert("erp", "seq:0:01", {"name": "x", "phone": "1"}, fields=["name", "phone"])
    found = decided(bench, record)
    verdict = FieldVerdict("phone", Verdict.PARKED, Reason.RECORD_NOT_YET, "erp", None, "1")
    memory = Memory(parked=(waiting(record, "seq:0:01", "phone"),))
    state = RecordState(memory=memory)
    assert found == Decision(Outcome.PARKED, Reason.RECORD_NOT_YET, 7, state, verdicts=(verdict,))


def test_of_each_field_the_last_write_waits() -> None:
    bench = bench_of(fields=PHONES)
    both = parked_by(bench, "seq:0:01", phone="1", credit_limit=money(1))
    phone = parked_by(bench, "seq:0:02", phone="2")
    parked = bench.state().memory.parked
    assert parked == (waiting(both, "seq:0:01", "credit_limit"), waiting(phone, "seq:0:02", "phone"))
    older = decided(bench, bench.upsert("erp", "seq:0:01/x", {"phone": "3"}, fields=["phone"]))
    verdict = FieldVerdict("phone", Verdict.STALE, Reason.STALE, "erp")
    assert older == Decision(Outcome.STALE, Reason.STALE, 7, bench.state(), verdicts=(verdict,))
    clash = decided(bench, bench.upsert("erp", "seq:0:02/x", {"phone": "3"}, fields=["phone"]))
    conflict = held("customer_id", Reason.VERSION_CONFLICT, "erp")
    assert (clash.outcome, clash.verdicts) == (Outcome.QUARANTINED, (conflict,))
    assert clash.state.memory.held == {"erp": "seq:0:02/x"}


def test_waiting_writes_are_merged_at_creation() -> None:
    bench = bench_of(fields=PHONES)
    both = parked_by(bench, "seq:0:01", phone="1", credit_limit=money(1))
    record = bench.upsert("crm", "seq:0:01", {"name": "Ada"}, fields=["customer_id", "name", "phone"])
    found = decided(bench, record)
    assert found.merged == (waiting(both, "seq:0:01", "phone", "credit_limit"),)
    assert found.verdicts == (
        FieldVerdict("customer_id", Verdict.ACCEPTED, None, "crm", None, "C-1"),
        FieldVerdict("name", Verdict.ACCEPTED, None, "crm", None, "Ada"),
        FieldVerdict("phone", Verdict.UNCHANGED, Reason.ECHO, "erp", "1", None),
    )
    assert found.changed == {"customer_id", "name", "phone", "credit_limit"}
    assert found.state.memory == NO_MEMORY and found.state.revision == 1 and found.state.recent == ()
    values = bench.rules.readers["customer"].decode(found.state.value or b"")
    assert (values["phone"], values["credit_limit"], values["name"]) == ("1", money(1), "Ada")
    assert found.state.last_write("phone") == found.state.last_write("credit_limit") == ("erp", "seq:0:01")


def test_what_waited_longer_than_a_day_is_not_merged() -> None:
    for late_ms, merged in ((24 * 3_600_000, 1), (24 * 3_600_000 + 1, 0)):
        bench = bench_of()
        early = parked_by(bench, "seq:0:01", credit_limit=money(1))
        record = bench.upsert("crm", "seq:0:01", {"name": "Ada"}, at_ms=early.timestamp + late_ms)
        found = decided(bench, record)
        assert len(found.merged) == merged and len(found.state.memory.parked) == 1 - merged


def test_a_creation_without_its_key_is_incomplete() -> None:
    bench = bench_of()
    fields = ["name", "credit_limit", "email"]
    record = bench.upsert("crm", "seq:0:01", {"name": "Ada", "credit_limit": money(1)}, fields=fields)
    found = decided(bench, record)
    assert found.verdicts == (
        held("customer_id", Reason.INCOMPLETE_RECORD),
        FieldVerdict("email", Verdict.UNCHANGED, Reason.ECHO, "crm", None, None),
        held("credit_limit", Reason.NOT_OWNER, "erp", None, money(1)),
    )
    assert (found.outcome, found.reason) == (Outcome.QUARANTINED, Reason.INCOMPLETE_RECORD)
    assert found.state == RecordState(memory=Memory(held={"crm": "seq:0:01"})) and found.reassert is None


def test_a_creation_without_a_field_that_must_be_is_incomplete() -> None:
    strict = {
        **CUSTOMER,
        "fields": [*CUSTOMER["fields"][:1], {"name": "name", "type": "string"}, *CUSTOMER["fields"][2:]],
    }
    bench = bench_of(strict)
    record = bench.upsert("crm", "seq:0:01", {"name": "x"}, fields=["customer_id", "phone"])
    found = decided(bench, record)
    assert found.verdicts == (
        held("customer_id", Reason.INCOMPLETE_RECORD),
        FieldVerdict("phone", Verdict.UNCHANGED, Reason.ECHO, "crm", None, None),
    )
    assert (found.outcome, found.map_version) == (Outcome.QUARANTINED, 7)
    assert found.state.memory.held == {"crm": "seq:0:01"} and found.state.value is None


def test_who_may_not_create_is_stopped_field_by_field() -> None:
    bench = bench_of()
    record = bench.upsert("billing", "x", {"name": "Eve", "phone": "1"}, fields=["name", "phone"])
    found = decided(bench, record)
    assert found.verdicts == (
        held("name", Reason.NOT_CREATE_AUTHORITY, "crm", None, "Eve"),
        held("phone", Reason.NOT_CREATE_AUTHORITY, "crm", None, "1"),
    )
    assert (found.outcome, found.reason, found.reassert) == (
        Outcome.QUARANTINED,
        Reason.NOT_CREATE_AUTHORITY,
        None,
    )
    assert found.state == RecordState(memory=Memory(held={"billing": "x"}))


# -- deletion and a new life


def test_a_delete_leaves_a_grave() -> None:
    bench = with_ada(bench_of())
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money(1)}, fields=["credit_limit"]))
    bench.judge(bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"]))
    record = bench.delete("crm", "seq:0:03")
    found = decided(bench, record)
    owners = (("crm", "seq:0:03", None), ("erp", "seq:0:01", frozenset({"credit_limit"})))
    grave = Grave(revision=4, owners=owners, deleted_ms=record.timestamp)
    memory = Memory(grave=grave, held={"erp": "x", "crm": "seq:0:03"})
    assert found == Decision(
        Outcome.ACCEPTED,
        None,
        7,
        RecordState(revision=4, owners=owners, memory=memory),
        verdicts=(FieldVerdict("customer_id", Verdict.ACCEPTED, None, "crm"),),
        writes=True,
        changed=frozenset(bench.rules.ownership_map.objects["customer"].fields),
    )


def test_a_delete_that_changes_nothing() -> None:
    bench = bench_of()
    found = decided(bench, bench.delete("crm", "seq:0:01"))
    verdict = FieldVerdict("customer_id", Verdict.UNCHANGED, Reason.ALREADY_DELETED, "crm")
    assert found == Decision(Outcome.ECHO, Reason.ALREADY_DELETED, 7, bench.state(), verdicts=(verdict,))
    with_ada(bench)
    older = decided(bench, bench.delete("crm", "seq:0:01"))
    verdict = FieldVerdict("customer_id", Verdict.STALE, Reason.STALE, "crm")
    assert older == Decision(Outcome.STALE, Reason.STALE, 7, bench.state(), verdicts=(verdict,))
    for event in ("seq:0:02", "seq:0:02/x"):
        clash = decided(bench, bench.delete("crm", event))
        assert clash.verdicts == (held("customer_id", Reason.VERSION_CONFLICT),)
        assert clash.state.memory.held == {"crm": event} and clash.reassert is None


def test_a_delete_by_somebody_else_is_undone_where_it_reads() -> None:
    bench = with_ada(bench_of())
    record = bench.delete("erp", "x")
    found = decided(bench, record)
    assert found.verdicts == (held("customer_id", Reason.NOT_DELETE_AUTHORITY),)
    lost = frozenset({"customer_id", "name", "email", "phone"})
    assert found.reassert == ("erp", lost) and found.writes and found.map_version == 7
    assert found.state.revision == 2 and {r.last_ms for r in found.state.memory.reassertions} == {
        record.timestamp
    }
    assert {r.field for r in found.state.memory.reassertions} == lost
    blind = replace(bench.rules.ownership_map.objects["customer"], readers={"crm": None})
    assert decided(bench, bench.delete("billing", "x"), entry=blind).reassert is None


def deleted() -> Bench:
    bench = with_ada(bench_of())
    bench.judge(bench.delete("crm", "seq:0:03"))
    return bench


def test_a_former_life_is_no_news() -> None:
    # I4
    bench = deleted()
    older = decided(bench, bench.upsert("crm", "seq:0:01", {"name": "Eve"}))
    verdict = FieldVerdict("customer_id", Verdict.STALE, Reason.STALE, "crm")
    assert older == Decision(Outcome.STALE, Reason.STALE, 7, bench.state(), verdicts=(verdict,))
    clash = decided(bench, bench.upsert("crm", "seq:0:03/x", {"name": "Eve"}))
    assert clash.verdicts == (held("customer_id", Reason.VERSION_CONFLICT),)
    assert (clash.outcome, clash.map_version) == (Outcome.QUARANTINED, 7)
    assert clash.state.memory.held == {"crm": "seq:0:03/x"} and clash.reassert is None
    bench.memory.states["customer", 0][b"C-1"] = bench.state()._replace(
        memory=replace(bench.state().memory, held={})
    )
    same = decided(bench, bench.upsert("crm", "seq:0:03", {"name": "Eve"}))
    assert same == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())
    born = decided(bench, bench.upsert("crm", "seq:0:04", {"name": "Eve"}))
    assert born.outcome is Outcome.ACCEPTED and born.state.revision == 3
    assert born.state.memory.grave is None and born.state.recent == ()


def test_what_others_said_in_a_former_life_is_no_news_either() -> None:
    # I4
    bench = with_ada(bench_of())
    bench.judge(bench.upsert("erp", "seq:0:05", {"credit_limit": money(1)}, fields=["credit_limit"]))
    bench.judge(bench.delete("crm", "seq:0:03"))
    for event, outcome in (
        ("seq:0:04", Outcome.STALE),
        ("seq:0:05", Outcome.DUPLICATE),
        ("seq:0:05/x", Outcome.QUARANTINED),
        ("seq:0:06", Outcome.PARKED),
    ):
        found = decided(
            bench, bench.upsert("erp", event, {"credit_limit": money(2)}, fields=["credit_limit"])
        )
        assert found.outcome is outcome, event
    bench.judge(bench.upsert("crm", "seq:0:07", {"name": "Eve"}))
    again = decided(
        bench, bench.upsert("erp", "seq:0:04", {"credit_limit": money(2)}, fields=["credit_limit"])
    )
    assert again.outcome is Outcome.STALE


# -- what only shows in odd company


def test_a_creation_that_sets_only_its_key() -> None:
    bench = bench_of()
    found = decided(bench, bench.upsert("crm", "seq:0:01", {}, fields=["customer_id"]))
    assert found.outcome is Outcome.ACCEPTED and found.changed == {"customer_id"}


def test_a_creation_that_sets_a_foreign_field_is_put_right_at_once() -> None:
    bench = bench_of()
    record = bench.upsert("crm", "seq:0:01", {"name": "Ada", "credit_limit": money(1)})
    found = decided(bench, record)
    assert found.outcome is Outcome.PARTLY_ACCEPTED and found.map_version == 7
    assert found.reassert == ("crm", frozenset({"credit_limit"}))
    assert [r.last_ms for r in found.state.memory.reassertions] == [record.timestamp]


def test_a_creation_answers_what_was_asked_before_it() -> None:
    bench = bench_of()
    value = bench.upsert("erp", "x", {"name": "Ada"}).value
    order = {"command": "ask_owner", "case_id": "Q-1", "fields": ["name"], "value": value}
    bench.judge(bench.command(order))
    (question,) = bench.state().memory.proposals
    found = decided(bench, bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert found.closed == ((question, "accepted"),)


def test_what_waits_for_a_field_that_was_handed_on_is_not_merged() -> None:
    bench = bench_of(fields=PHONES)
    parked_by(bench, "seq:0:01", phone="1")
    entry = bench.rules.ownership_map.objects["customer"]
    entry = replace(entry, owners={**entry.owners, "phone": "crm"})
    found = decided(bench, bench.upsert("crm", "seq:0:01", {"name": "Ada"}), entry=entry)
    assert found.merged == () and len(found.state.memory.parked) == 1


def test_a_field_that_is_written_again_leaves_nothing_waiting_of_its_former_write() -> None:
    bench = bench_of(fields=PHONES)
    parked_by(bench, "seq:0:01", phone="1")
    again = parked_by(bench, "seq:0:02", phone="2")
    assert bench.state().memory.parked == (waiting(again, "seq:0:02", "phone"),)


OWNERS = (("crm", "a", None), ("erp", "seq:0:02", frozenset({"phone"})))


def test_early_writes_that_say_nothing_new_in_full() -> None:
    bench = bench_of(fields=PHONES)
    early = parked_by(bench, "seq:0:02", phone="1")
    clash = decided(bench, bench.upsert("erp", "seq:0:02/x", {"phone": "2"}, fields=["phone"]))
    assert clash.map_version == 7 and clash.reason is Reason.VERSION_CONFLICT
    bench.memory.states["customer", 0][b"C-1"] = RecordState(
        memory=Memory(grave=Grave(revision=1, owners=OWNERS, deleted_ms=5))
    )
    found = decided(bench, early)
    assert found == Decision(Outcome.DUPLICATE, Reason.DUPLICATE, 7, bench.state())


def test_what_a_former_owner_said_before_the_record_ended_is_known() -> None:
    # I4
    bench = bench_of()
    grave = Grave(revision=2, owners=(("crm", "seq:0:09", None),), deleted_ms=5)
    memory = Memory(grave=grave, former=(("erp", "seq:0:05", frozenset({"credit_limit"})),))
    bench.memory.states["customer", 0] = {b"C-1": RecordState(revision=2, memory=memory)}
    for event, outcome in (("seq:0:04", Outcome.STALE), ("seq:0:06", Outcome.PARKED)):
        record = bench.upsert("erp", event, {"credit_limit": money(1)}, fields=["credit_limit"])
        assert decided(bench, record).outcome is outcome, event


def test_the_policy_decides_how_a_creation_or_a_deletion_is_stopped() -> None:
    systems = {"crm": {"read": "all"}, "erp": {"read": "all"}}
    systems["billing"] = {"read": "none", "on_violation": "reject"}
    bench = bench_of(systems=systems, delete={"authority": "erp", "consumers": "soft"})
    early = decided(bench, bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"]))
    assert (early.outcome, early.map_version) == (Outcome.REFUSED, 7)
    with_ada(bench)
    found = decided(bench, bench.delete("billing", "x"))
    reason = Reason.NOT_DELETE_AUTHORITY
    assert found.outcome is Outcome.REFUSED and found.map_version == 7
    assert found.verdicts == (FieldVerdict("customer_id", Verdict.REFUSED, reason, "erp"),)


def test_owners_in_a_grave_stand_in_order() -> None:
    fields = {"name": {"system_of_record": "erp"}, "phone": {"system_of_record": "billing"}}
    bench = with_ada(bench_of(fields=fields))
    bench.judge(bench.upsert("erp", "seq:0:01", {"name": "Ada"}, fields=["name"]))
    bench.judge(bench.upsert("billing", "seq:0:01", {"phone": "1"}, fields=["phone"]))
    clash = decided(bench, bench.delete("crm", "seq:0:02/x"))
    assert (clash.reason, clash.map_version) == (Reason.VERSION_CONFLICT, 7)
    found = decided(bench, bench.delete("crm", "seq:0:03"))
    assert [system for system, _, _ in found.state.owners] == ["crm", "billing", "erp"]
