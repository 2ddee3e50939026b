"""What follows from a decision, record by record and in full: cases, refusals, questions, lines of the trail."""

from __future__ import annotations

import hashlib
from typing import Any

from broker.gate.change import Fault, Position, case_id_of
from broker.gate.decide import decide
from broker.gate.decision import Decision, Outcome
from broker.gate.memory import memory_record
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.reason import Reason
from broker.gate.route import json_text, route, rule_sentence
from broker.gate.state import NO_RECORD, RecordState
from tests.decided import PHONES, POLICIES, WEEK_MS, bench_of, with_ada
from tests.gate_parts import Bench, Record, change_of, money

GATE_MS = 1_795_000_100_000


def placed(bench: Bench, record: Record, **told: Any) -> tuple[Decision, RecordState, list[Outgoing]]:
    """(decision, state before, what follows from it), at a gate time that is not the record's own."""
    rules = bench.rules
    change = change_of(rules, record, Position(record.topic, 3, 44))._replace(**told)
    reader, before = rules.readers["customer"], bench.state()
    decision = decide(
        rules.ownership_map.objects["customer"],
        7,
        before,
        change,
        GATE_MS,
        decode=reader.decode,
        encode=reader.encode,
    )
    return decision, before, route(change, decision, before, GATE_MS)


def name_of(record: Record) -> str:
    return case_id_of(Position(record.topic, 3, 44))


def line(record: Record, kind: str, **told: Any) -> Outgoing:
    """A line of the trail about a record, as a reader of the trail gets it."""
    body = {
        "kind": kind,
        "object": "customer",
        "key": b"C-1",
        "system": record.topic.split(".")[1],
        "event_id": dict(record.headers)["ce_id"].decode(),
        "topic": record.topic,
        "partition": 3,
        "offset": 44,
        "reason": "",
        "fields": [],
        "revision": 0,
        "map_version": 7,
        "received_ms": record.timestamp,
        "gate_time_ms": GATE_MS,
        "case_id": None,
        "by": None,
        "note": None,
        "result": None,
    }
    return Outgoing(Destination.TRAIL, b"C-1", body | told)


def test_a_case_and_its_refusal_in_full() -> None:
    # I6
    bench = with_ada(bench_of())
    record = bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"])
    _, before, records = placed(bench, record)
    kinds = [r.destination.value for r in records]
    assert kinds == ["authoritative", "state", "quarantine", "refusals", "trail"]
    case, refusal, again = records[2:]
    assert record.value is not None
    body: dict[str, Any] = {
        "case_id": name_of(record),
        "object": "customer",
        "key": b"C-1",
        "system": "erp",
        "event_id": "x",
        "deletes": False,
        "source_time_ms": record.timestamp - 510,
        "received_ms": record.timestamp,
        "gate_time_ms": GATE_MS,
        "topic": "changes.erp.customer",
        "partition": 3,
        "offset": 44,
        "sha256": hashlib.sha256(record.value).digest(),
        "outcome": "quarantined",
        "reason": "not_owner",
        "detail": "",
        "map_version": 7,
        "verdicts": [
            {
                "field": "name",
                "verdict": "held",
                "reason": "not_owner",
                "owner": "crm",
                "epoch": 1,
                "authoritative": '"Ada"',
                "attempted": '"Eve"',
            }
        ],
        "headers": dict(record.headers),
        "value": record.value,
        "by_reference": False,
        "authoritative": before.value,
        "revision": 1,
    }
    dead_letter = {
        "topic": "changes.erp.customer",
        "partition": 3,
        "offset": 44,
        "connector.name": "solesource",
        "exception.class.name": "not_owner",
        "exception.message": Reason.NOT_OWNER.sentence,
    }
    headers = [(f"__connect.errors.{name}", str(value).encode()) for name, value in dead_letter.items()]
    assert case == Outgoing(Destination.QUARANTINE, b"C-1", body, headers)
    told = {
        "case_id": name_of(record),
        "object": "customer",
        "key": b"C-1",
        "event_id": "x",
        "reason": "not_owner",
        "rule": "crm is the system of record of customer name. Another system owns this field.",
        "what_to_do": Reason.NOT_OWNER.what_to_do,
        "fields": ["name"],
        "owners": {"name": "crm"},
        "outcome": "quarantined",
        "map_version": 7,
        "refused_ms": GATE_MS,
    }
    assert refusal == Outgoing(Destination.REFUSALS, b"C-1", told, target="erp")
    assert again == line(record, "reasserted", reason="not_owner", fields=["name"], revision=2)


def test_a_case_of_what_cannot_be_read() -> None:
    bench = bench_of()
    record = bench.delete("crm", "seq:0:01")
    for reason, by_reference in ((Reason.UNREADABLE, False), (Reason.TOO_LARGE, True)):
        told: dict[str, Any] = {
            "event_id": "",
            "time_ms": 0,
            "value": b"v",
            "fault": Fault(reason, "cut off"),
        }
        _, _, (case, refusal) = placed(bench, record, **told)
        body = case.body
        assert isinstance(body, dict) and isinstance(refusal.body, dict)
        assert (body["event_id"], body["source_time_ms"], body["deletes"]) == (None, None, True)
        assert (body["detail"], body["verdicts"], body["authoritative"]) == ("cut off", [], None)
        assert (body["value"], body["by_reference"]) == ((None, True) if by_reference else (b"v", False))
        assert body["sha256"] == hashlib.sha256(b"v").digest()
        assert (refusal.body["fields"], refusal.body["owners"], refusal.body["event_id"]) == ([], {}, None)
        assert refusal.body["rule"] == reason.sentence
    many = tuple((f"h{n}", None if n == 1 else b"x") for n in range(200))
    _, _, (case, _) = placed(bench, record, headers=many, value=None, fault=Fault(Reason.UNREADABLE, ""))
    assert isinstance(case.body, dict) and case.body["sha256"] == b""
    assert list(case.body["headers"])[:3] == ["h0", "h1", "h2"] and case.body["headers"]["h1"] == b""
    assert len(case.body["headers"]) < 200


def test_a_refusal_without_a_case() -> None:
    bench = with_ada(bench_of(systems=POLICIES | {"billing": {"read": "none", "on_violation": "reject"}}))
    record = bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"])
    decision, _, records = placed(bench, record)
    assert [r.destination.value for r in records] == ["state", "refusals", "trail"]
    memory = memory_record(decision.state.memory)
    assert records[0] == Outgoing(Destination.STATE, b"C-1", memory, target="customer")
    assert records[2] == line(record, "refused", reason="not_owner", fields=["name"])


def test_a_partly_accepted_change_is_told_by_its_case_or_else_by_a_line() -> None:
    fields = ["name", "credit_limit"]
    for policy, told in (("reject", ["refusals"]), ("propose", ["proposals"]), ("quarantine", None)):
        erp = {"read": "all", "on_violation": policy}
        bench = with_ada(bench_of(systems=POLICIES | {"erp": erp}))
        some = bench.upsert("erp", "y", {"name": "Eve", "credit_limit": money(1)}, fields=fields)
        decision, _, records = placed(bench, some)
        assert decision.outcome is Outcome.PARTLY_ACCEPTED
        kinds = [r.destination.value for r in records]
        again = line(some, "reasserted", reason="not_owner", fields=["name"], revision=2)
        if told is None:
            assert kinds == ["authoritative", "state", "quarantine", "refusals", "trail"]
            assert records[-1] == again
        else:
            assert kinds == ["authoritative", "state", *told, "trail", "trail"]
            partly = line(some, "partly_accepted", reason="not_owner", fields=["name"])
            assert records[-2:] == [partly, again]


def test_a_question_in_full_and_its_answer() -> None:
    bench = with_ada(bench_of(systems=POLICIES | {"billing": {"read": "none", "on_violation": "propose"}}))
    record = bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"])
    _, _, records = placed(bench, record)
    body = {
        "proposal_id": f"{name_of(record)}.name",
        "object": "customer",
        "key": b"C-1",
        "proposer": "billing",
        "by": "policy",
        "note": Reason.NOT_OWNER.sentence,
        "fields": [{"field": "name", "current": '"Ada"', "proposed": '"Eve"'}],
        "case_id": None,
        "opened_ms": GATE_MS,
        "expires_ms": GATE_MS + WEEK_MS,
    }
    assert [r.destination.value for r in records] == ["state", "proposals", "trail"]
    assert records[1] == Outgoing(Destination.PROPOSALS, b"C-1", body, target="crm")
    assert records[2] == line(record, "proposed", reason="not_owner", fields=["name"])
    bench.judge(record)
    _, _, records = placed(bench, bench.upsert("billing", "y", {"email": "e"}, fields=["email"]))
    asked = [r.body for r in records if r.destination is Destination.PROPOSALS]
    assert [b["fields"][0]["field"] for b in asked if isinstance(b, dict)] == ["email"], "only what is new"
    answer = bench.upsert("crm", "seq:0:03", {"name": "Eve"}, fields=["name"])
    _, _, records = placed(bench, answer)
    told = {"system": "crm", "event_id": None, "fields": ["name"], "revision": 2, "result": "accepted"}
    assert records[-1] == line(answer, "proposal_closed", **told)


def test_a_question_about_a_sum_is_told_as_text() -> None:
    bench = with_ada(bench_of())
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money(1)}, fields=["credit_limit"]))
    record = bench.upsert("billing", "x", {"credit_limit": money(2)}, fields=["credit_limit"])
    (body,) = [r.body for r in placed(bench, record)[2] if r.destination is Destination.PROPOSALS]
    assert isinstance(body, dict)
    assert body["fields"] == [{"field": "credit_limit", "current": '"1.00"', "proposed": '"2.00"'}]


def test_a_case_tells_what_was_accepted_beside_it() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("crm", "seq:0:03", {"name": "Eve"}, fields=["name", "nonsense"])
    (body,) = [r.body for r in placed(bench, record)[2] if r.destination is Destination.QUARANTINE]
    assert isinstance(body, dict)
    assert [(v["field"], v["reason"]) for v in body["verdicts"]] == [
        ("name", ""),
        ("nonsense", "unknown_field"),
    ]


def test_lines_of_the_neutral() -> None:
    bench = with_ada(bench_of())
    echo = bench.upsert("erp", "x", {"name": "Ada"}, fields=["name"])
    assert placed(bench, echo)[2] == [line(echo, "echo", reason="echo", fields=["name"], revision=1)]
    stale = bench.upsert("crm", "seq:0:01", {"name": "Eve"}, fields=["name"])
    assert placed(bench, stale)[2] == [line(stale, "stale", reason="stale", fields=["name"])]
    same = bench.upsert("crm", "seq:0:02", {"name": "Ada"})
    assert placed(bench, same)[2] == []


def test_a_line_of_what_was_merged() -> None:
    bench = bench_of(fields=PHONES)
    early = bench.upsert("erp", "seq:0:01", {"phone": "1"}, fields=["phone"])
    decision, _, records = placed(bench, early)
    assert [r.destination.value for r in records] == ["state", "trail"]
    assert records[1] == line(early, "parked", reason="record_not_yet", fields=["phone"])
    bench.memory.states["customer", 0] = {b"C-1": decision.state}
    born = bench.upsert("crm", "seq:0:01", {"name": "Ada"})
    _, _, records = placed(bench, born)
    assert [r.destination.value for r in records] == ["authoritative", "state", "trail"]
    merged = line(born, "parked_merged", system="erp", event_id="seq:0:01", revision=1)
    assert isinstance(merged.body, dict)
    place = {"topic": "changes.erp.customer", "partition": 3, "offset": 44}
    assert records[2] == merged._replace(body=merged.body | place)


def test_a_line_of_what_is_only_watched() -> None:
    bench = with_ada(bench_of(systems=POLICIES | {"erp": {"read": "all", "state": "observe"}}))
    record = bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"])
    told = {"reason": "not_owner", "fields": ["name"], "result": "quarantined"}
    assert placed(bench, record)[2] == [line(record, "observed", **told)]


def test_a_revision_in_full() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("crm", "seq:0:03", {"name": "Eve", "email": "e"})
    decision, _, (revision,) = placed(bench, record)
    assert (revision.destination, revision.key, revision.target) == (
        Destination.AUTHORITATIVE,
        b"C-1",
        "customer",
    )
    assert revision.body == decision.state.value
    headers = dict(revision.headers)
    sent = dict(record.headers)
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"customer/C-1@2",
        "ce_source": b"/solesource",
        "ce_type": b"customer.authoritative",
        "ce_time": sent["ce_time"],
        "ce_causationid": b"crm/seq:0:03",
        "ce_revision": b"2",
        "ce_changed": b"email,name",
        "ce_owners": b"crm@seq:0:03;erp@=credit_limit",
        "ce_decision": b"7:%d" % record.timestamp,
    }
    _, _, (revision, _) = placed(bench, bench.delete("crm", "seq:0:04"))
    headers = dict(revision.headers)
    assert revision.body is None and headers["ce_type"] == b"customer.deleted"
    _, _, records = placed(
        bench, bench.upsert("erp", "x", {"name": "Eve", "email": "e"}, fields=["name", "email"])
    )
    assert dict(records[0].headers)["ce_reassert"] == b"erp:email,name"
    assert isinstance(records[-1].body, dict) and records[-1].body["fields"] == ["email", "name"]


def test_values_and_rules_as_people_read_them() -> None:
    assert json_text(None) is None and json_text(b"\x0f") == '"0f"' and json_text(money(1)) == '"1.00"'
    assert json_text({"b": "Zoë", "a": 1}) == '{"a": 1, "b": "Zoë"}'
    bench = with_ada(bench_of())
    fields = ["name", "email", "credit_limit", "nonsense"]
    record = bench.upsert(
        "billing", "x", {"name": "E", "email": "e", "credit_limit": money(1)}, fields=fields
    )
    decision, _, _ = placed(bench, record)
    assert rule_sentence("customer", decision.verdicts, Reason.UNKNOWN_FIELD) == (
        "crm is the system of record of customer name, email. "
        "erp is the system of record of customer credit_limit. The record has a field that nobody knows."
    )
    assert NO_RECORD.value is None
