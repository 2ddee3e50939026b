"""Reading a change: whatever a writer sends becomes a change, with a fault where it cannot be judged (I6, I7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.gate.change import Fault
from broker.gate.outgoing import Destination
from broker.gate.reason import Reason
from broker.rules import rules_of
from schemas.codec import SCHEMA_HEADER, VALUE_LENGTH_MAX, frame, guid_of, guid_text
from schemas.errors import ContractsClash
from schemas.learned import LEARNED, learned_from
from schemas.learned import written as written_down
from schemas.registry import FileRegistry
from tests.gate_parts import CUSTOMER, Bench, Record, Seen, encoded, map_texts, money, object_document

PHONELESS = {**CUSTOMER, "fields": [f for f in CUSTOMER["fields"] if f["name"] != "phone"]}
NULLABLE_KEY = {
    **CUSTOMER,
    "fields": [{"name": "customer_id", "type": ["null", "string"]}, *CUSTOMER["fields"][1:]],
}
ADA = {"name": "Ada", "email": "a", "phone": "1", "credit_limit": None}


def altered(record: Record, **changed: Any) -> Record:
    for name, value in changed.items():
        setattr(record, name, value)
    return record


def header(record: Record, name: str, value: bytes | None) -> Record:
    kept = tuple(pair for pair in record.headers if pair[0] != name)
    return altered(record, headers=(*kept, (name, value)))


def written(bench: Bench, contract: int, values: dict[str, Any]) -> bytes:
    """A value in an older version of the contract."""
    return bench.rules.codec.encode(contract, values)


def see(bench: Bench, record: Record) -> Seen:
    seen = bench.see(record)
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)
    return seen


VIP: dict[str, Any] = {"type": ["null", "boolean"], "default": None}
GUID = guid_of("89791762-2336-4186-9674-299b90a802e2")
BENCH = Bench()
GOOD = BENCH.upsert("crm", "seq:0:01", ADA)
HOSTILE: list[tuple[str, dict[str, Any], str, str]] = [
    ("too long", {"value": frame(100) + b"x" * VALUE_LENGTH_MAX}, "unreadable", "too_large"),
    ("no key", {"key": None}, "unreadable", "bad_key"),
    ("empty key", {"key": b""}, "unreadable", "bad_key"),
    ("key in pieces", {"key": "Zoe\u0308".encode()}, "unreadable", "bad_key"),
    ("no headers", {"headers": ()}, "unreadable", "malformed_envelope"),
    ("no value", {"value": None}, "quarantined", "not_hydrated"),
    ("another's topic", {"topic": "changes.erp.customer"}, "quarantined", "claim_mismatch"),
    ("another object", {"topic": "changes.crm.order"}, "quarantined", "claim_mismatch"),
    ("cut off", {"value": GOOD.value[:-1]}, "unreadable", "unreadable"),
    ("no schema", {"value": frame(999)}, "unreadable", "unknown_schema"),
    ("an envelope", {"value": frame(1)}, "unreadable", "unknown_schema"),
    ("no frame", {"value": b"{}"}, "unreadable", "unreadable"),
    ("spelled otherwise", {"value": frame(100) + b"\x86\x00" + GOOD.value[6:]}, "unreadable", "unreadable"),
    ("another key", {"key": b"C-2"}, "quarantined", "key_mismatch"),
]


@pytest.mark.parametrize(("_", "changed", "outcome", "reason"), HOSTILE, ids=[row[0] for row in HOSTILE])
def test_what_cannot_be_read_is_held_as_it_came(
    _: str, changed: dict[str, Any], outcome: str, reason: str
) -> None:
    bench = Bench()
    record = altered(bench.upsert("crm", "seq:0:01", ADA), **changed)
    seen = see(bench, record)
    assert (seen.outcome, seen.reason) == (outcome, reason)
    (case,) = seen.to(Destination.QUARANTINE)
    assert case["detail"] and case["headers"] == dict(record.headers)
    assert case["value"] == (None if reason == "too_large" else record.value)  # I6
    assert case["by_reference"] == (reason == "too_large")
    assert not seen.revisions and seen.after is seen.before


def test_an_object_without_a_map() -> None:
    bench = Bench()
    record = altered(bench.upsert("crm", "seq:0:01", ADA), topic="changes.crm.order")
    assert see(bench, header(record, "ce_type", b"order.upsert")).reason == "unknown_object"


def test_a_system_that_may_publish_but_has_no_part() -> None:
    bench = Bench()
    seen = see(bench, bench.upsert("ghost", "seq:0:01", ADA))
    assert (seen.outcome, seen.reason) == ("quarantined", "system_not_listed")
    assert len(seen.to(Destination.REFUSALS)) == 1, "it is told so"


def test_a_system_that_nobody_lists_gets_no_answer() -> None:
    bench = Bench()
    seen = see(bench, bench.upsert("stranger", "seq:0:01", ADA))
    assert seen.reason == "system_not_listed" and not seen.to(Destination.REFUSALS)


def test_null_headers_are_held_not_raised() -> None:
    bench = Bench()
    record = header(bench.upsert("crm", "seq:0:01", ADA), "ce_id", None)
    seen = see(bench, header(record, "extra", None))
    assert seen.reason == "malformed_envelope"


@pytest.mark.parametrize("time", [b"9999-12-31T23:59:59.999999Z", b"0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_written_again_is_held(time: bytes) -> None:
    bench = Bench()
    assert see(bench, header(bench.upsert("crm", "x", ADA), "ce_time", time)).reason == "malformed_envelope"


def test_a_time_goes_on_as_it_was_sent() -> None:
    bench = Bench()
    sent = b"2026-11-24T11:00:00.123456+01:00"
    seen = see(bench, header(bench.upsert("crm", "seq:0:01", ADA), "ce_time", sent))
    assert dict(seen.revisions[0][1].headers)["ce_time"] == sent  # I6


def test_a_delete_with_a_value_is_held() -> None:
    bench = Bench()
    assert see(bench, altered(bench.delete("crm", "x"), value=b"x")).reason == "malformed_envelope"


def test_a_change_that_sets_nothing_is_held() -> None:
    bench = Bench()
    everything = ["customer_id", *ADA]
    assert see(bench, bench.upsert("crm", "1", ADA, unavailable=everything)).reason == "malformed_envelope"
    some = bench.upsert("crm", "2", ADA, fields=["name"], unavailable=["name"])
    assert see(bench, some).reason == "malformed_envelope"


def test_a_null_key_is_nobodys() -> None:
    bench = Bench(rules=rules_of(map_texts(contracts=[NULLABLE_KEY]), 1))
    record = bench.upsert("crm", "seq:0:01", ADA | {"customer_id": None}, key="None")
    assert see(bench, record).reason == "key_mismatch"


class TestContractsOfTwoVersions:
    """A contract got a field; some still write, and the log still holds, the version before."""

    def bench(self) -> Bench:
        bench = Bench(rules=rules_of(map_texts(contracts=[PHONELESS]), 1))
        value = written(bench, 100, {"customer_id": "C-1", "name": "Ada", "email": "a", "credit_limit": None})
        assert see(bench, bench.upsert("crm", "seq:0:01", {}, value=value)).outcome == "accepted"
        bench.rules = rules_of(map_texts(contracts=[PHONELESS, CUSTOMER]), 2)
        return bench

    def test_a_stored_value_is_merged_into_in_the_new_one(self) -> None:
        bench = self.bench()
        limit = {"credit_limit": money(5)}
        seen = see(bench, bench.upsert("erp", "seq:0:01", limit, fields=["credit_limit"]))
        assert seen.outcome == "accepted" and seen.after.value.startswith(frame(101))
        assert bench.values() == {"customer_id": "C-1", "name": "Ada", "email": "a", "phone": None} | limit

    def test_a_field_that_the_writers_contract_lacks_is_not_told_as_null(self) -> None:
        bench = self.bench()
        see(bench, bench.upsert("crm", "seq:0:02", {"phone": "1"}, fields=["phone"]))
        old = {"customer_id": "C-1", "name": "Eve", "email": "a", "credit_limit": None}
        seen = see(bench, bench.upsert("crm", "seq:0:03", {}, value=written(bench, 100, old)))
        assert seen.outcome == "accepted" and seen.revisions[0][0].changed == {"name"}
        assert bench.values()["phone"] == "1"
        assert seen.after.version_of("crm", "phone") == "seq:0:02"

    def test_a_field_listed_that_the_writers_contract_lacks_is_held(self) -> None:
        bench = self.bench()
        old = {"customer_id": "C-1", "name": "Eve", "email": "a", "credit_limit": None}
        record = bench.upsert("crm", "seq:0:03", {}, value=written(bench, 100, old), fields=["name", "phone"])
        seen = see(bench, record)
        assert (seen.outcome, seen.reason) == ("unreadable", "malformed_envelope")
        (case,) = seen.to(Destination.QUARANTINE)
        assert "phone" in case["detail"]

    def test_a_contract_in_force_that_could_not_hold_a_value_is_not_put_in_force(self) -> None:
        stricter = {**PHONELESS, "fields": [*PHONELESS["fields"], {"name": "since", "type": "int"}]}
        with pytest.raises(ContractsClash, match="customer: since: has no default"):
            rules_of(map_texts(contracts=[PHONELESS, stricter]), 1)


class TestALearnedSchema:
    """A system writes by a schema of a company's registry: another name of the record, fields more or fewer."""

    def bench(self, **more: Any) -> Bench:
        contract = rules_of(map_texts(), 1).readers["customer"].contract
        fields = [field for field in CUSTOMER["fields"] if field["name"] != "phone"]
        theirs = {**CUSTOMER, "name": "com.shop.Buyer", "fields": [*fields, {"name": "vip", **VIP, **more}]}
        learned = learned_from("customer", contract, 7, theirs)
        return Bench(rules=rules_of({**map_texts(), LEARNED: written_down([learned])}, 1))

    def change(self, bench: Bench, event: str, vip: bool | None, **values: Any) -> Record:
        told = {"customer_id": "C-1", "name": "Ada", "email": "a", "credit_limit": None, **values, "vip": vip}
        return bench.upsert("crm", event, {}, value=written(bench, 7, told))

    def test_it_is_read_and_never_written(self) -> None:
        bench = self.bench()
        seen = see(bench, self.change(bench, "seq:0:01", None))
        assert seen.outcome == "accepted" and seen.after.value.startswith(frame(100))
        assert bench.values() == {"customer_id": "C-1"} | ADA | {"phone": None}

    def test_a_field_more_is_held_alone(self) -> None:
        bench = self.bench()
        see(bench, self.change(bench, "seq:0:01", None))
        seen = see(bench, self.change(bench, "seq:0:02", True, name="Eve"))
        assert (seen.outcome, seen.reason) == ("partly_accepted", "unknown_field")
        assert bench.values()["name"] == "Eve" and "vip" not in bench.values()
        (case,) = seen.to(Destination.QUARANTINE)
        (shown,) = [verdict for verdict in case["verdicts"] if verdict["field"] == "vip"]
        assert (shown["verdict"], shown["owner"]) == ("held", None)
        assert shown["attempted"] is None, "nobody has said whether it is secret"
        assert case["value"].startswith(frame(7)), "with its bytes (I6)"

    def test_a_field_more_that_is_null_is_nothing(self) -> None:
        bench = self.bench()
        assert see(bench, self.change(bench, "seq:0:01", None)).outcome == "accepted"
        assert see(bench, self.change(bench, "seq:0:02", None, name="Eve")).outcome == "accepted"

    def test_of_a_record_that_is_not_there_yet_it_is_held_as_well(self) -> None:
        bench = self.bench()
        seen = see(bench, self.change(bench, "seq:0:01", True))
        assert seen.outcome == "partly_accepted" and bench.values()["name"] == "Ada"

    def test_a_field_it_lacks_is_not_told_as_null(self) -> None:
        bench = self.bench()
        see(bench, bench.upsert("crm", "seq:0:01", ADA))
        see(bench, self.change(bench, "seq:0:02", None, name="Eve"))
        assert bench.values()["phone"] == "1"

    def test_a_field_more_stops_no_input(self) -> None:
        bench = self.bench()
        see(bench, self.change(bench, "seq:0:01", None))
        for number in range(2, 9):
            record = self.change(bench, f"seq:0:{number:02}", True, name=f"Eve {number}")
            assert see(bench, record).judged.watches["changes.crm.customer/0"].held == 0


class TestAFieldUnderAnotherName:
    """A version may call a field otherwise and say so; who writes the version before tells it all the same."""

    def test_it_is_told(self) -> None:
        renamed = [
            {**field, "name": "mail", "aliases": ["email"]} if field["name"] == "email" else field
            for field in CUSTOMER["fields"]
        ]
        document = object_document(fields={"credit_limit": {"system_of_record": "erp"}})
        bench = Bench(rules=rules_of(map_texts(document, [CUSTOMER, {**CUSTOMER, "fields": renamed}]), 1))
        see(
            bench,
            bench.upsert("crm", "seq:0:01", {}, value=written(bench, 100, {"customer_id": "C-1"} | ADA)),
        )
        assert bench.values()["mail"] == "a"


class TestSchemasNamedByAHeader:
    """Wire format V1: what goes on, and what is held, has the prefix all the same."""

    def bench(self) -> Bench:
        texts = map_texts()
        listed = json.loads(texts["registry.json"])
        listed["schemas"][0]["guid"] = guid_text(GUID)
        return Bench(rules=rules_of(texts | {"registry.json": json.dumps(listed)}, 1))

    def record(self, bench: Bench, system: str, event: str, named: bytes, **values: Any) -> Record:
        record = bench.upsert(system, event, {**ADA, **values})
        record.value = (record.value or b"")[5:]
        return header(record, SCHEMA_HEADER, named)

    def test_it_is_judged_as_any_other(self) -> None:
        bench = self.bench()
        prefixed = bench.upsert("crm", "seq:0:01", ADA).value
        seen = see(bench, self.record(bench, "crm", "seq:0:01", b"\x01" + GUID))
        assert seen.outcome == "accepted" and seen.after.value == prefixed
        assert SCHEMA_HEADER not in dict(seen.revisions[0][1].headers)
        assert see(bench, self.record(bench, "erp", "seq:0:01", frame(100))).outcome == "echo"

    def test_held_it_can_be_judged_again(self) -> None:
        bench = self.bench()
        see(bench, bench.upsert("crm", "seq:0:01", ADA))
        seen = see(bench, self.record(bench, "erp", "seq:0:01", b"\x01" + GUID, name="Eve"))
        (case,) = seen.to(Destination.QUARANTINE)
        assert case["value"].startswith(frame(100)) and SCHEMA_HEADER not in case["headers"]

    @pytest.mark.parametrize(
        ("named", "reason"),
        [(b"\x01" + bytes(16), "unknown_schema"), (frame(999), "unknown_schema"), (b"\x01", "unreadable")],
    )
    def test_what_it_does_not_name_well_is_held_as_it_came(self, named: bytes, reason: str) -> None:
        bench = self.bench()
        record = self.record(bench, "crm", "seq:0:01", named)
        seen = see(bench, record)
        (case,) = seen.to(Destination.QUARANTINE)
        assert seen.reason == reason and case["value"] == record.value
        assert case["headers"][SCHEMA_HEADER] == named

    def test_a_delete_needs_no_schema(self) -> None:
        bench = self.bench()
        see(bench, bench.upsert("crm", "seq:0:01", ADA))
        assert see(bench, header(bench.delete("crm", "seq:0:02"), SCHEMA_HEADER, b"")).outcome == "accepted"

    def test_bytes_that_only_look_prefixed_are_not_taken_for_it(self) -> None:
        """A bare datum may begin as a prefix does: then the header counts, on the short way as well."""
        bench = self.bench()
        record = header(bench.upsert("crm", "seq:0:01", ADA), SCHEMA_HEADER, frame(100))
        assert see(bench, record).reason == "unreadable"


def test_the_registry_of_these_tests_is_a_registry() -> None:
    texts = map_texts(object_document(), [PHONELESS, CUSTOMER])
    documents = {name: text for name, text in texts.items() if not name.endswith(".yaml")}
    assert FileRegistry(documents=documents).ids("customer") == {100, 101}


def test_what_is_in_the_way_is_held_whatever_its_headers_say() -> None:
    bench, fault = Bench(), Fault(Reason.NOT_DECIDABLE, "a defect")
    good = bench.upsert("crm", "seq:0:01", ADA)
    for record in (good, header(bench.upsert("crm", "seq:0:02", ADA), "ce_id", None)):
        seen = bench.see(record, fault)
        assert (seen.outcome, seen.reason) == ("quarantined", Reason.NOT_DECIDABLE.code)
