"""What meets a write by somebody who does not own the field: policy, re-assertion under its brake, questions."""

from __future__ import annotations

from typing import Any

import pytest

from broker.gate.outgoing import Destination
from broker.rules import rules_of
from tests.gate_parts import Bench, encoded, map_texts, money, object_document

HOUR = 3_600_000


def bench_where(policy: str, read: Any = "all") -> Bench:
    systems = object_document()["systems"] | {"billing": {"read": read, "on_violation": policy}}
    bench = Bench(rules=rules_of(map_texts(object_document(systems=systems)), 1))
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada", "phone": "1"}))
    return bench


@pytest.mark.parametrize(
    ("policy", "outcome", "destinations"),
    [
        ("quarantine", "quarantined", {"authoritative", "state", "quarantine", "refusals", "trail"}),
        ("reject", "refused", {"authoritative", "state", "refusals", "trail"}),
        ("propose", "proposed", {"authoritative", "state", "proposals", "trail"}),
    ],
)
def test_each_policy(policy: str, outcome: str, destinations: set[str]) -> None:
    bench = bench_where(policy)
    seen = bench.see(bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"]))
    assert (seen.outcome, seen.reason) == (outcome, "not_owner")
    assert {o.destination.value for o, _ in seen.judged.outgoing} == destinations
    assert bench.values()["name"] == "Ada"  # I1
    ((envelope, _),) = seen.revisions
    assert envelope.reassert == ("billing", frozenset({"name"})) and envelope.changed == frozenset()


def test_the_case_carries_everything_a_reviewer_needs() -> None:
    bench = bench_where("quarantine")
    record = bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"])
    (case,) = bench.see(record).to(Destination.QUARANTINE)
    assert case["value"] == record.value and case["headers"] == dict(record.headers)  # I6
    assert (case["topic"], case["partition"], case["offset"]) == ("changes.billing.customer", 0, 0)
    (verdict,) = case["verdicts"]
    assert (verdict["authoritative"], verdict["attempted"], verdict["owner"]) == ('"Ada"', '"Eve"', "crm")


def test_only_fields_it_may_read_are_sent_again() -> None:
    bench = bench_where("quarantine", read=["name"])
    seen = bench.see(bench.upsert("billing", "x", {"name": "Eve", "phone": "2"}, fields=["name", "phone"]))
    assert seen.revisions[0][0].reassert == ("billing", frozenset({"name"}))
    seen = bench.see(bench.delete("billing", "y"))
    assert seen.after.memory.reassertions[0].pending and len(seen.after.memory.reassertions) == 1


def test_nothing_is_sent_again_to_a_system_that_reads_nothing() -> None:
    bench = bench_where("quarantine", read="none")
    assert not bench.see(bench.upsert("billing", "x", {"name": "Eve"}, fields=["name"])).revisions
    assert not bench.see(bench.delete("billing", "y")).revisions


def test_the_brake_doubles_and_forgets() -> None:
    bench = bench_where("quarantine")

    def sent(event: str, wait_ms: int) -> bool:
        bench.now_ms += wait_ms
        return bool(bench.see(bench.upsert("billing", event, {"name": event}, fields=["name"])).revisions)

    assert sent("a", 0) and not sent("b", 1_000)
    assert bench.state().memory.reassertions[0].pending
    assert sent("c", 1_000), "two seconds are over"
    assert not sent("d", 3_000) and sent("e", 1_000), "now it is four"
    assert sent("f", 3 * HOUR) and bench.state().memory.reassertions[0].count == 1, "a quiet time"


def test_what_is_owed_is_sent_when_the_pause_ends() -> None:
    bench = bench_where("quarantine")
    bench.judge(bench.upsert("billing", "a", {"name": "Eve"}, fields=["name"]))
    bench.judge(bench.upsert("billing", "b", {"name": "Eva"}, fields=["name"]))
    assert not bench.see(bench.tick()).revisions
    bench.now_ms += 2_000
    seen = bench.see(bench.tick())
    ((envelope, outgoing),) = seen.revisions
    assert envelope.reassert == ("billing", frozenset({"name"})) and envelope.causation[0] == "solesource"
    assert envelope.revision == 3 and outgoing.body == bench.state().value
    for record, _ in seen.judged.outgoing:
        encoded(record)
    bench.now_ms += HOUR
    assert not bench.see(bench.tick()).judged.outgoing, "once"


def test_a_late_echo_is_no_violation_for_an_hour() -> None:
    bench = bench_where("quarantine")
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Ada L", "phone": "1"}))
    seen = bench.see(bench.upsert("billing", "a", {"name": "Ada"}, fields=["name"]))
    assert (seen.outcome, seen.reason) == ("echo", "late_echo")
    assert seen.revisions[0][0].reassert == ("billing", frozenset({"name"}))
    bench.now_ms += HOUR
    seen = bench.see(bench.upsert("billing", "b", {"name": "Ada"}, fields=["name"]))
    assert (seen.outcome, seen.reason) == ("quarantined", "not_owner")


def test_sent_again_with_nothing_new_is_a_duplicate() -> None:
    bench = bench_where("quarantine")
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Ada", "phone": "2"}))
    bench.judge(bench.upsert("crm", "seq:0:03", {"phone": "3"}, fields=["phone"]))
    seen = bench.see(bench.upsert("crm", "seq:0:02", {"name": "Ada", "phone": "2"}))
    assert (seen.outcome, seen.reason) == ("duplicate", "duplicate"), "although a part of it is stale by now"
    assert not seen.judged.outgoing


def test_the_same_question_is_asked_once() -> None:
    bench = bench_where("propose")
    asked = [
        len(
            bench.see(bench.upsert("billing", event, {"name": name}, fields=["name"])).to(
                Destination.PROPOSALS
            )
        )
        for event, name in (("a", "Eve"), ("b", "Eve"), ("c", "Eva"), ("d", "Eve"))
    ]
    assert asked == [1, 0, 1, 0] and len(bench.state().memory.proposals) == 2


def test_the_owner_answers_a_question() -> None:
    bench = bench_where("propose")
    for event, name in (("a", "Eve"), ("b", "Eva")):
        bench.judge(bench.upsert("billing", event, {"name": name}, fields=["name"]))
    seen = bench.see(bench.upsert("crm", "seq:0:02", {"name": "Eve"}, fields=["name"]))
    closed = [line["result"] for line in seen.to(Destination.TRAIL) if line["kind"] == "proposal_closed"]
    assert closed == ["accepted", "answered_otherwise"] and not bench.state().memory.proposals


def test_a_question_that_nobody_answers_expires() -> None:
    bench = bench_where("propose")
    bench.judge(bench.upsert("billing", "a", {"credit_limit": money(1)}, fields=["credit_limit"]))
    bench.now_ms += 8 * 24 * HOUR
    (line,) = [
        line for line in bench.see(bench.tick()).to(Destination.TRAIL) if line["kind"] == "proposal_closed"
    ]
    assert (line["result"], line["system"]) == ("expired", "erp")


def test_neither_a_creation_nor_a_deletion_can_be_proposed() -> None:
    bench = bench_where("propose")
    assert bench.see(bench.delete("billing", "a")).outcome == "quarantined"
    record = bench.upsert("billing", "b", {"name": "Eve"}, key="C-9")
    assert bench.see(record).outcome == "quarantined"


def test_a_violation_beside_an_own_field() -> None:
    bench = bench_where("quarantine")
    both = {"name": "Eve", "credit_limit": money(9)}
    seen = bench.see(bench.upsert("erp", "seq:0:01", both, fields=["name", "credit_limit"]))
    assert (seen.outcome, seen.reason) == ("partly_accepted", "not_owner")
    ((envelope, _),) = seen.revisions
    assert envelope.changed == {"credit_limit"} and envelope.reassert == ("erp", frozenset({"name"}))
    assert bench.values()["name"] == "Ada" and bench.values()["credit_limit"] == money(9)
    again = bench.see(bench.upsert("erp", "seq:0:01", both, fields=["name", "credit_limit"]))
    assert again.outcome == "duplicate"


def test_a_change_of_two_kinds_of_violation_is_held() -> None:
    bench = bench_where("propose")
    seen = bench.see(bench.upsert("billing", "a", {"name": "Eve"}, fields=["name", "nonsense"]))
    assert (seen.outcome, seen.reason) == ("quarantined", "unknown_field")
    assert len(seen.to(Destination.PROPOSALS)) == 1 and len(seen.to(Destination.QUARANTINE)) == 1
