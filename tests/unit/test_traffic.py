"""Records as they come from Kafka, counted: what each sets, what the contract lacks, and why one cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.cli.traffic import _reader, _topics, take
from broker.rules import rules_of
from ownership.inference import Traffic, TrafficFold
from schemas.codec import FRAME_LENGTH, SCHEMA_HEADER, Codec
from schemas.keys import partition_of
from schemas.learned import LEARNED, learned_from, written
from schemas.registry import FileRegistry
from tests.gate_parts import CUSTOMER, Bench, Record, map_texts, money, object_document, registry_document

OLDER = {**CUSTOMER, "fields": CUSTOMER["fields"][:3]}
LONGER = {
    **CUSTOMER,
    "fields": [*CUSTOMER["fields"], {"name": "fax", "type": ["null", "string"], "default": None}],
}
BENCH = Bench()


def counted(*records: Record, texts: dict[str, str] | None = None, partitions: int = 0) -> Traffic:
    registry = FileRegistry(documents=texts or registry_document(CUSTOMER), own=False)
    fold, reader = TrafficFold("customer"), _reader(registry, "customer")
    for record in records:
        take(fold, record, reader, partitions)
    return fold.traffic


def said(traffic: Traffic, system: str = "crm") -> dict[str, int]:
    """Field to how often the system said it."""
    return {name: found[system].said for name, found in traffic.fields.items() if system in found}


def test_only_the_fields_that_a_change_sets_are_counted() -> None:
    one = BENCH.upsert("crm", "e1", {"name": "Ada", "phone": "1"}, fields=["name"])
    assert said(counted(one)) == {"name": 1}
    whole = BENCH.upsert("crm", "e2", {"name": "Ada"}, unavailable=["phone"])
    assert said(counted(whole)) == dict.fromkeys(("customer_id", "name", "email", "credit_limit"), 1)


def test_a_change_that_sets_what_a_record_needs_may_be_what_created_it() -> None:
    whole = BENCH.upsert("crm", "e1", {"name": "Ada"})
    assert counted(whole).created == {"crm": 1} and counted(whole).named_by == {"customer_id"}
    part = BENCH.upsert("crm", "e2", {"name": "Ada"}, fields=["name"])
    assert counted(part).created == {} and counted(part).named_by is None


def test_a_value_in_an_older_contract_says_nothing_of_what_it_lacks() -> None:
    texts = registry_document(OLDER, CUSTOMER)
    value = Codec.of_document(100, OLDER).encode(100, {"customer_id": "C-1", "name": "Ada", "email": None})
    assert said(counted(BENCH.upsert("crm", "e1", {}, value=value), texts=texts)) == {
        "customer_id": 1,
        "name": 1,
        "email": 1,
    }


def test_what_the_contract_lacks_is_counted_apart() -> None:
    contract = FileRegistry(documents=registry_document(CUSTOMER), own=False).contract("customer")
    texts = registry_document(CUSTOMER) | {LEARNED: written([learned_from("customer", contract, 7, LONGER)])}
    values = dict.fromkeys([field["name"] for field in LONGER["fields"]]) | {"customer_id": "C-1", "fax": "9"}
    whole = BENCH.upsert("crm", "e1", {}, value=Codec.of_document(7, LONGER).encode(7, values))
    found = counted(whole, BENCH.upsert("crm", "e2", {}, fields=["fax", "name"]), texts=texts)
    assert found.lacking == {("crm", "fax"): 2} and "fax" not in found.fields and said(found)["name"] == 2


def test_a_schema_that_a_header_names_is_read() -> None:
    record = BENCH.upsert("crm", "e1", {"name": "Ada"})
    assert record.value is not None
    named = (SCHEMA_HEADER, record.value[:FRAME_LENGTH])
    bare = replace(record, value=record.value[FRAME_LENGTH:], headers=(*record.headers, named))
    assert said(counted(bare)) == said(counted(record))
    strange = replace(record, headers=(*record.headers, (SCHEMA_HEADER, b"?")))
    assert counted(strange).unreadable == {("crm", "unreadable"): 1}


def test_a_delete_is_counted() -> None:
    found = counted(BENCH.upsert("crm", "e1", {}), BENCH.delete("erp", "e2"))
    assert found.deleted == {"erp": 1} and found.changes == {"crm": 1, "erp": 1}


def test_the_place_and_the_times_are_the_record_s() -> None:
    records = [
        BENCH.upsert(system, f"t{n}", {"name": str(n)}) for n, system in enumerate(("crm", "erp", "crm"))
    ]
    found = counted(*records)
    assert found.fields["name"]["crm"].samples == {"erp": f"changes.crm.customer/0/{records[2].offset}"}
    assert found.fields["name"]["crm"].last_ms == records[2].timestamp


def changed(record: Record, name: str, text: bytes) -> Record:
    return replace(record, headers=tuple((n, text if n == name else value) for n, value in record.headers))


def test_what_cannot_be_read_is_counted_by_reason() -> None:
    good, gone = BENCH.upsert("crm", "e1", {"credit_limit": money(1)}), BENCH.delete("crm", "e2")
    assert good.value is not None
    cases: dict[str, Any] = {
        "bad_key": [replace(good, key=None), replace(good, key=b"")],
        "malformed_envelope": [
            replace(good, headers=()),
            replace(good, value=None),
            replace(gone, value=good.value),
        ],
        "claim_mismatch": [changed(good, "ce_source", b"/erp"), changed(good, "ce_type", b"order.upsert")],
        "unknown_schema": [replace(good, value=b"\0\0\0\0\x07" + good.value[FRAME_LENGTH:])],
        "unreadable": [replace(good, value=b"{}"), replace(good, value=good.value + b"x")],
    }
    for reason, records in cases.items():
        found = counted(*records)
        assert found.unreadable == {("crm", reason): len(records)}, reason
        assert not found.changes and not found.fields


def test_a_key_in_the_wrong_partition_is_not_counted_unless_all_are_read_together() -> None:
    record = BENCH.upsert("crm", "e1", {}, key="C-1")
    right = partition_of(b"C-1", 4)
    assert counted(replace(record, partition=right), partitions=4).changes == {"crm": 1}
    wrong = replace(record, partition=(right + 1) % 4)
    assert counted(wrong, partitions=4).unreadable == {("crm", "misrouted_key"): 1}
    assert counted(wrong).changes == {"crm": 1}


@pytest.mark.parametrize(("generation", "stream"), [(1, "customer"), (2, "customer.2")])
def test_topics_are_those_of_the_generation_in_force_or_of_the_newest(generation: int, stream: str) -> None:
    document = object_document(**({"generation": 2, "partitions": 4} if generation == 2 else {}))
    ownership_map = rules_of(map_texts(document), 1).ownership_map
    existing = {
        f"changes.{system}.{name}"
        for system in ("crm", "erp")
        for name in ("customer", "customer.2", "order", "order.2", "order.10")
    } | {"ledger", "authoritative.customer"}
    found = _topics(existing, ownership_map, [])
    assert found == {
        "customer": (f"changes.crm.{stream}", f"changes.erp.{stream}"),
        "order": ("changes.crm.order.10", "changes.erp.order.10"),
    }
    assert _topics(existing, ownership_map, ["order"]).keys() == {"order"}
