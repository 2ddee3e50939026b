"""Versions of a record through its lives: deleted, created again, and what is sent late or twice (I4)."""

from __future__ import annotations

import pytest

from broker.gate.outgoing import Destination
from broker.rules import rules_of
from tests.gate_parts import Bench, map_texts, money, object_document

ADA, EVE = {"name": "Ada"}, {"name": "Eve"}
LIMIT = {"credit_limit": money(5)}
ONLY_LIMIT = ["credit_limit"]


def bench_where(deleter: str) -> Bench:
    document = object_document(delete={"authority": deleter, "consumers": "soft"})
    return Bench(rules=rules_of(map_texts(document), 1))


def outcome(bench: Bench, record: object) -> tuple[str, str]:
    seen = bench.see(record)  # type: ignore[arg-type]
    return seen.outcome, seen.reason


def test_a_strict_version_with_two_contents_is_a_conflict() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01/a", ADA))
    assert outcome(bench, bench.upsert("crm", "seq:0:01/b", EVE)) == ("quarantined", "version_conflict")
    assert outcome(bench, bench.upsert("crm", "seq:0:01/c", ADA)) == ("echo", "echo")
    assert outcome(bench, bench.upsert("crm", "time:0:01/d", EVE)) == ("accepted", "")
    assert outcome(bench, bench.upsert("crm", "time:0:01/e", ADA)) == ("accepted", ""), "coarse: as they come"


@pytest.mark.parametrize("deleter", ["crm", "erp", "billing"])
def test_the_same_delete_again_does_not_end_the_next_life(deleter: str) -> None:
    bench = bench_where(deleter)
    bench.judge(bench.upsert("crm", "seq:0:01", ADA))
    assert outcome(bench, bench.delete(deleter, "plain-delete")) == ("accepted", "")
    assert outcome(bench, bench.delete(deleter, "plain-delete")) == ("duplicate", "duplicate")
    assert outcome(bench, bench.upsert("crm", "seq:0:02", EVE)) == ("accepted", "")
    assert outcome(bench, bench.delete(deleter, "plain-delete")) == ("duplicate", "duplicate")
    assert bench.values()["name"] == "Eve" and bench.state().revision == 3


def test_a_creation_from_before_the_delete_is_not_a_new_life() -> None:
    bench = bench_where("erp")
    for number in (1, 2):
        bench.judge(bench.upsert("crm", f"seq:0:0{number}", {"name": f"v{number}"}))
    bench.judge(bench.delete("erp", "seq:0:01"))
    assert outcome(bench, bench.upsert("crm", "seq:0:01", {"name": "v1"})) == ("stale", "stale")
    assert outcome(bench, bench.upsert("crm", "seq:0:02", {"name": "v2"})) == ("duplicate", "duplicate")
    assert outcome(bench, bench.upsert("crm", "seq:0:02/x", EVE)) == ("quarantined", "version_conflict")
    assert outcome(bench, bench.upsert("crm", "seq:0:03", {"name": "v3"})) == ("accepted", "")


def test_an_owners_versions_go_on_in_the_next_life() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", ADA))
    bench.judge(bench.upsert("erp", "seq:0:05", LIMIT, fields=ONLY_LIMIT))
    bench.judge(bench.delete("crm", "seq:0:02"))
    bench.judge(bench.upsert("crm", "seq:0:03", ADA))
    late = {"credit_limit": money(4)}
    assert outcome(bench, bench.upsert("erp", "seq:0:04", late, fields=ONLY_LIMIT)) == ("stale", "stale")
    assert bench.state().version_of("erp", "credit_limit") == "seq:0:05"
    assert outcome(bench, bench.upsert("erp", "seq:0:06", late, fields=ONLY_LIMIT)) == ("accepted", "")


def test_a_delete_is_compared_with_the_newest_of_its_writer() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:03", ADA))
    bench.judge(bench.upsert("crm", "seq:0:05", {"phone": "1"}, fields=["phone"]))
    assert outcome(bench, bench.delete("crm", "seq:0:04")) == ("stale", "stale")
    assert outcome(bench, bench.delete("crm", "seq:0:06")) == ("accepted", "")


def test_a_delete_under_the_id_of_an_upsert_is_a_conflict() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:03", ADA))
    seen = bench.see(bench.delete("crm", "seq:0:03"))
    assert (seen.outcome, seen.reason) == ("quarantined", "version_conflict")
    (case,) = seen.to(Destination.QUARANTINE)
    assert case["deletes"] and case["value"] is None


def test_a_delete_of_what_does_not_exist() -> None:
    bench = Bench()
    assert outcome(bench, bench.delete("erp", "seq:0:01")) == ("echo", "already_deleted")
    assert bench.state().revision == 0


def test_what_waits_for_a_case_survives_a_delete() -> None:
    bench = Bench()
    bench.judge(bench.upsert("erp", "seq:0:01", LIMIT, fields=ONLY_LIMIT))
    bench.now_ms += 25 * 3_600_000
    bench.judge(bench.upsert("crm", "seq:0:01", ADA))
    assert bench.values()["credit_limit"] is None, "it has waited for too long"
    bench.judge(bench.delete("crm", "seq:0:02"))
    (case,) = bench.see(bench.tick()).to(Destination.QUARANTINE)
    assert case["reason"] == "parked_expired" and case["system"] == "erp"  # I6
