"""Records that do not exist yet: creation, what is lacking, and what waits for it."""

from __future__ import annotations

from typing import Any

from broker.gate.outgoing import Destination
from broker.rules import rules_of
from schemas.codec import frame
from tests.gate_parts import CUSTOMER, Bench, encoded, map_texts, money, object_document

TERMS = {**CUSTOMER, "fields": [*CUSTOMER["fields"], {"name": "terms", "type": ["null", "string"]}]}
ERP_TERMS = object_document(
    fields={"credit_limit": {"system_of_record": "erp"}, "terms": {"system_of_record": "erp"}}
)


def erp_bench() -> Bench:
    return Bench(rules=rules_of(map_texts(ERP_TERMS, [TERMS]), 1))


def parked(bench: Bench, event: str, values: dict[str, Any], **more: Any) -> str:
    return bench.see(bench.upsert("erp", event, values, **more)).outcome


def test_a_creation_writes_nothing_but_the_record() -> None:
    bench = Bench()
    seen = bench.see(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert [o.destination for o, _ in seen.judged.outgoing] == [Destination.AUTHORITATIVE]


def test_what_waits_is_merged() -> None:
    bench = Bench()
    assert parked(bench, "seq:0:01", {"credit_limit": money(5)}, fields=["credit_limit"]) == "parked"
    seen = bench.see(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    ((envelope, _),) = seen.revisions
    assert bench.values()["credit_limit"] == money(5)
    assert envelope.changed == {"customer_id", "name", "credit_limit"}
    assert envelope.owned_by("erp", ["name", "credit_limit"]) == {"credit_limit"}
    (line,) = seen.to(Destination.TRAIL)
    assert (line["kind"], line["system"], line["event_id"]) == ("parked_merged", "erp", "seq:0:01")
    assert not bench.state().memory.parked


def test_an_unavailable_field_is_not_merged_as_null() -> None:
    # I6: the bytes of an unavailable field mean nothing
    bench = erp_bench()
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money(5)}))
    image = {"terms": "30 days", "credit_limit": None}
    assert parked(bench, "seq:0:02", image, unavailable=["credit_limit"]) == "parked"
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert (bench.values()["credit_limit"], bench.values()["terms"]) == (money(5), "30 days")


def test_only_unavailable_fields_of_ones_own_are_a_violation() -> None:
    bench = Bench()
    seen = bench.see(bench.upsert("erp", "seq:0:01", {"name": "Ada"}, unavailable=["credit_limit"]))
    assert (seen.outcome, seen.reason) == ("quarantined", "not_create_authority")


def test_a_later_wait_does_not_push_out_other_fields() -> None:
    bench = erp_bench()
    assert parked(bench, "seq:0:01", {"credit_limit": money(5)}, fields=["credit_limit"]) == "parked"
    assert parked(bench, "seq:0:02", {"terms": "30 days"}, fields=["terms"]) == "parked"
    assert len(bench.state().memory.parked) == 2
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert (bench.values()["credit_limit"], bench.values()["terms"]) == (money(5), "30 days")
    assert bench.state().version_of("erp", "terms") == "seq:0:02"
    assert bench.state().version_of("erp", "credit_limit") == "seq:0:01"


def test_a_later_wait_replaces_what_it_writes_again() -> None:
    bench = erp_bench()
    parked(bench, "seq:0:01", {"credit_limit": money(5), "terms": "30 days"})
    parked(bench, "seq:0:02", {"credit_limit": money(6)}, fields=["credit_limit"])
    assert [sorted(p.fields or ()) for p in bench.state().memory.parked] == [["terms"], ["credit_limit"]]
    parked(bench, "seq:0:03", {"credit_limit": money(7), "terms": "10 days"})
    assert [p.event_id for p in bench.state().memory.parked] == ["seq:0:03"]


def test_an_older_write_does_not_replace_what_waits() -> None:
    bench = erp_bench()
    limit = ["credit_limit"]
    parked(bench, "seq:0:02", {"credit_limit": money(6)}, fields=limit)
    assert parked(bench, "seq:0:01", {"credit_limit": money(5)}, fields=limit) == "stale"
    assert parked(bench, "seq:0:02", {"credit_limit": money(6)}, fields=limit) == "duplicate"
    assert parked(bench, "seq:0:01", {"credit_limit": money(5), "terms": "30 days"}) == "parked"
    clash = bench.see(bench.upsert("erp", "seq:0:02/x", {"credit_limit": money(9)}, fields=limit))
    assert (clash.outcome, clash.reason) == ("quarantined", "version_conflict")
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert (bench.values()["credit_limit"], bench.values()["terms"]) == (money(6), "30 days")


def test_writes_of_two_systems_wait_side_by_side() -> None:
    owners = {"credit_limit": {"system_of_record": "erp"}, "phone": {"system_of_record": "billing"}}
    bench = Bench(rules=rules_of(map_texts(object_document(fields=owners)), 1))
    for number in (1, 2):
        parked(bench, f"seq:0:0{number}", {"credit_limit": money(number)}, fields=["credit_limit"])
        bench.judge(bench.upsert("billing", f"seq:0:0{number}", {"phone": str(number)}, fields=["phone"]))
    assert len(bench.state().memory.parked) == 2
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert (bench.values()["phone"], bench.values()["credit_limit"]) == ("2", money(2))


def test_the_same_write_of_the_former_life_does_not_wait() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    limit = {"credit_limit": money(5)}
    bench.judge(bench.upsert("erp", "seq:0:07", limit, fields=["credit_limit"]))
    bench.judge(bench.delete("crm", "seq:0:02"))
    assert parked(bench, "seq:0:07", limit, fields=["credit_limit"]) == "duplicate"
    assert parked(bench, "seq:0:06", limit, fields=["credit_limit"]) == "stale"
    assert parked(bench, "seq:0:08", limit, fields=["credit_limit"]) == "parked"


def test_what_its_writer_no_longer_owns_becomes_a_case() -> None:
    bench = Bench()
    parked(bench, "seq:0:01", {"credit_limit": money(5)}, fields=["credit_limit"])
    bench.rules = rules_of(map_texts(object_document(fields={})), 2)
    seen = bench.see(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    assert seen.outcome == "accepted" and bench.values()["credit_limit"] is None  # I1
    assert len(bench.state().memory.parked) == 1
    bench.now_ms += 25 * 3_600_000
    (case,) = bench.see(bench.tick()).to(Destination.QUARANTINE)
    assert case["reason"] == "parked_expired" and case["value"].startswith(frame(100))


def test_a_creation_without_its_key_is_incomplete() -> None:
    bench = Bench()
    seen = bench.see(bench.upsert("crm", "seq:0:01", {"name": "Ada"}, fields=["name"]))
    assert (seen.outcome, seen.reason) == ("quarantined", "incomplete_record")
    assert bench.values() is None


def test_a_creation_that_lacks_what_cannot_be_null_is_incomplete() -> None:
    required = {**CUSTOMER, "fields": [*CUSTOMER["fields"], {"name": "country", "type": "string"}]}
    bench = Bench(rules=rules_of(map_texts(contracts=[required]), 1))
    whole = {"name": "Ada", "country": "GB"}
    seen = bench.see(bench.upsert("crm", "seq:0:01", whole, fields=["customer_id", "name"]))
    assert (seen.outcome, seen.reason) == ("quarantined", "incomplete_record")
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)
    assert bench.values() is None and bench.state().revision == 0
    assert bench.see(bench.upsert("crm", "seq:0:02", whole)).outcome == "accepted"
