"""The path of changes through a real gate on a real, secured Kafka: each outcome, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Producer

from broker.lane.ledger import verify
from schemas.authoritative import parse_authoritative
from tests.estate import Estate, estate_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    for estate in estate_of(tmp_path_factory.mktemp("path")):
        estate.start_gate()
        yield estate


def revisions(estate: Estate, key: str) -> list[tuple[Any, Any]]:
    """(envelope, values) of every authoritative record of a key."""
    return [
        (parse_authoritative(m.headers()), estate.registry.codec.decode(m.value()) if m.value() else None)
        for m in estate.read("authoritative.customer")
        if m.key() == key.encode()
    ]


def cases(estate: Estate, key: str) -> list[dict[str, Any]]:
    return [case for case in estate.envelopes("quarantine") if case["key"] == key.encode()]


def test_every_outcome_of_a_change(estate: Estate) -> None:
    send = estate.send
    before = estate.account()["received"]
    send("erp", "C-1", {"credit_limit": Decimal("500.00")}, fields=["credit_limit"])
    send("crm", "C-1", {"name": "Ada", "email": "ada@example.com"}, event_id="seq:0:0000000000000100")
    estate.settle(before + 2)
    send(
        "crm",
        "C-1",
        {"name": "Ada L", "email": "ada@example.com", "credit_limit": Decimal("500.00")},
        event_id="seq:0:0000000000000101",
    )
    send(
        "crm",
        "C-1",
        {"name": "Ada L", "email": "ada@example.com", "credit_limit": Decimal("500.00")},
        event_id="seq:0:0000000000000101",
    )
    send("crm", "C-1", {"name": "Old"}, fields=["name"], event_id="seq:0:0000000000000099")
    estate.settle(before + 5)
    send("erp", "C-1", {"name": "Ada L", "credit_limit": Decimal("500.00")}, fields=["name", "credit_limit"])
    send("erp", "C-1", {"name": "Eve", "credit_limit": Decimal("900.00")}, fields=["name", "credit_limit"])
    account = estate.settle(before + 7)
    expected = {
        "received": before + 7,
        "parked": 1,
        "accepted": 2,
        "duplicate": 1,
        "stale": 1,
        "echo": 1,
        "partly_accepted": 1,
    }
    assert account == expected
    history = revisions(estate, "C-1")
    assert [envelope.revision for envelope, _ in history] == [1, 2, 3]
    assert history[0][1]["credit_limit"] == Decimal("500.00")
    last, values = history[-1]
    assert values["name"] == "Ada L" and values["credit_limit"] == Decimal("900.00")
    assert last.changed == {"credit_limit"} and last.reassert == ("erp", frozenset({"name"}))
    assert last.owned_by("erp", values) == {"credit_limit"}
    (case,) = cases(estate, "C-1")
    held = [verdict for verdict in case["verdicts"] if verdict["verdict"] == "held"]
    assert [(v["field"], v["reason"], v["owner"], v["authoritative"], v["attempted"]) for v in held] == [
        ("name", "not_owner", "crm", '"Ada L"', '"Eve"')
    ]
    refusal = next(r for r in estate.envelopes("refusals.erp") if r["case_id"] == case["case_id"])
    assert "crm is the system of record of customer name." in refusal["rule"]


def test_what_cannot_be_accepted_is_held_and_nothing_else_stops(estate: Estate) -> None:
    before = estate.account()["received"]
    send = estate.send
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"x"),
        ("ce_source", b"/erp"),
        ("ce_type", b"customer.upsert"),
        ("ce_time", b"2026-11-24T10:00:00Z"),
        ("ce_fields", b"*"),
    ]
    send("crm", "B-1", {"name": "x"}, headers=headers)
    send("billing", "B-1", {"name": "x"})
    send("crm", "B-1", None, value=b"\x00\x00\x00\x00\x64\xff\xff\xff\xff\xff")
    send("crm", "B-1", None, value=b"\x00\x00\x00\x03\xe7\x02a")
    send("crm", "B-1", None, value=b"\x00" * (2 * 1024 * 1024))
    send("crm", "B-1", {"name": "x"}, headers=[h for h in headers if h[0] != "ce_time"])
    send("crm", "B-1", {"name": "x"}, headers=[(n, b"noon" if n == "ce_time" else v) for n, v in headers])
    send("crm", "B-1", {"name": "x"}, raw_key=b"", partition=0)
    send("erp", "C-unknown", {"name": "x"}, fields=["name"])
    send("crm", "B-2", {"name": "Good"})
    send("crm", "B-2", {"name": "x"}, fields=["nonsense"])
    account = estate.settle(before + 11)
    assert sum(v for k, v in account.items() if k != "received") == account["received"]  # I2
    held = [
        case["reason"]
        for case in estate.envelopes("quarantine")
        if case["key"] in (b"B-1", b"B-2", b"", b"C-unknown")
    ]
    assert sorted(held) == sorted(
        [
            "bad_key",
            "claim_mismatch",
            "malformed_envelope",
            "malformed_envelope",
            "not_create_authority",
            "system_not_listed",
            "too_large",
            "unknown_field",
            "unknown_schema",
            "unreadable",
        ]
    )
    large = next(c for c in estate.envelopes("quarantine") if c["reason"] == "too_large")
    assert large["by_reference"] and large["value"] is None and len(large["sha256"]) == 32
    assert revisions(estate, "B-2")[0][1]["name"] == "Good"


def test_a_misrouted_key_is_held(estate: Estate) -> None:
    from schemas.keys import partition_of

    before = estate.account()["received"]
    wrong = (partition_of(b"M-1", 4) + 1) % 4
    estate.send("crm", "M-1", {"name": "x"}, partition=wrong)
    estate.settle(before + 1)
    (case,) = cases(estate, "M-1")
    assert case["reason"] == "misrouted_key"


def test_a_tombstone_from_a_non_owner_is_held_and_the_record_restored(estate: Estate) -> None:
    before = estate.account()["received"]
    estate.send("crm", "T-1", {"name": "Tom"})
    estate.settle(before + 1)
    estate.send("erp", "T-1", None, deletes=True)
    estate.send("erp", "T-1", None, headers=[])
    estate.settle(before + 3)
    assert [case["reason"] for case in cases(estate, "T-1")] == ["not_delete_authority", "malformed_envelope"]
    last, values = revisions(estate, "T-1")[-1]
    assert values["name"] == "Tom" and last.reassert is not None and last.reassert[0] == "erp"
    estate.send("crm", "T-1", None, deletes=True)
    estate.settle(before + 4)
    last, values = revisions(estate, "T-1")[-1]
    assert values is None and last.deleted and last.revision == 3
    estate.send("crm", "T-1", {"name": "Tom again"})
    estate.settle(before + 5)
    assert revisions(estate, "T-1")[-1][0].revision == 4


def test_kafka_refuses_a_foreign_principal(estate: Estate) -> None:
    producer = Producer(estate.access("erp").librdkafka_options())
    failed: list[str] = []
    producer.produce("changes.crm.customer", b"x", b"k", on_delivery=lambda e, _: failed.append(e.name()))
    producer.flush(15)
    assert failed == ["TOPIC_AUTHORIZATION_FAILED"]
    for user in ("crm", "control", "console"):
        producer = Producer(estate.access(user).librdkafka_options())
        producer.produce(
            "authoritative.customer", b"x", b"k", on_delivery=lambda e, _: failed.append(e.name())
        )
        producer.flush(15)
    assert failed == ["TOPIC_AUTHORIZATION_FAILED"] * 4


def test_a_restarted_gate_goes_on_where_it_was(estate: Estate) -> None:
    before = estate.account()["received"]
    estate.send("crm", "R-1", {"name": "One"}, event_id="seq:0:0000000000000001")
    estate.send("erp", "R-1", {"name": "Eve"}, fields=["name"], event_id="any:0:r1")
    estate.settle(before + 2)
    estate.workers[-1].kill()
    estate.workers[-1].wait()
    estate.send("crm", "R-1", {"name": "Two"}, event_id="seq:0:0000000000000002")
    estate.start_gate()
    estate.send("erp", "R-1", {"name": "One"}, fields=["name"], event_id="any:0:r2")
    estate.send("erp", "R-1", {"name": "Eve"}, fields=["name"], event_id="any:0:r1")
    account = estate.settle(before + 5)
    assert [e.revision for e, _ in revisions(estate, "R-1")][:3] == [1, 2, 3]  # I3, I4: through a kill
    assert len(cases(estate, "R-1")) == 1, "the same event is held once"
    assert account["received"] == sum(v for k, v in account.items() if k != "received")
    by_slot: dict[int, list[Any]] = {}
    for record in estate.envelopes("ledger"):
        by_slot.setdefault(record["slot"], []).append(record)
    assert [fault for records in by_slot.values() for fault in verify(records)] == []
