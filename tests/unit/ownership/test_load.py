"""Documents to map: what is compiled, and that a question without an answer is answered "nobody" (I7)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ownership.access import Grant, Operation, Purpose, grants
from ownership.errors import MapRefused
from ownership.lines import DOCUMENT_LENGTH_MAX, read_yaml
from ownership.load import digest_of, load_map
from ownership.map import ObjectMap, OnViolation, OwnershipMap
from ownership.reading import mask_keys
from tests.gate_parts import FIELDS, object_document, systems_document

SLA = {
    "connection": "crm -> erp",
    "latency": {"p99": "5s", "max": "60s"},
    "errors": {"alert_above": "1%", "window": "10m", "retries_before_review": 5},
    "recovery": {"healthy_within": "30m", "confirm": "canary"},
    "alert": {"path": "customer-sync"},
}


def documents(**changed: Any) -> dict[str, str]:
    return {
        "systems.yaml": yaml.safe_dump(systems_document(billing=["customer"])),
        "customer.yaml": yaml.safe_dump(object_document(**changed)),
    }


def loaded(**changed: Any) -> OwnershipMap:
    return load_map(documents(**changed), {"customer": dict.fromkeys(FIELDS)}, version=7)


def customer(**changed: Any) -> ObjectMap:
    return loaded(**changed).objects["customer"]


def codes(texts: dict[str, str]) -> list[str]:
    with pytest.raises(MapRefused) as refused:
        load_map(texts, {"customer": dict.fromkeys(FIELDS)}, version=1)
    assert refused.value.code == "map.refused" and all(
        str(f) in str(refused.value) for f in refused.value.findings
    )
    return [finding.code for finding in refused.value.findings]


def test_who_owns_what() -> None:
    entry = customer()
    assert entry.owner_of("name") == "crm" and entry.owner_of("credit_limit") == "erp"
    assert entry.owner_of("nonsense") is None  # I7
    assert entry.sole_owner is None and customer(fields={}).sole_owner == "crm"
    assert entry.writers == {"crm", "erp"} and entry.systems == {"crm", "erp", "billing"}


def test_what_a_field_is_is_said_by_its_contract_or_by_the_map() -> None:
    contracts = {"customer": {**dict.fromkeys(FIELDS), "email": "pii", "phone": "pii"}}
    texts = documents(fields={"email": {"class": "pii"}, "credit_limit": {"class": "internal"}})
    found = load_map(texts, contracts, version=1).objects["customer"]
    assert found.classes == {"email": "pii", "phone": "pii", "credit_limit": "internal"}
    assert found.fields == FIELDS


def test_the_key_belongs_to_the_system_that_creates() -> None:
    # otherwise nobody could ever create a record
    entry = customer(create="erp", fields={})
    assert entry.owner_of("customer_id") == "erp" and entry.owner_of("name") == "crm"
    assert entry.sole_owner is None


def test_who_reads_what() -> None:
    systems = {"erp": {"read": "none"}, "billing": {"read": ["name"]}, "ghost": {"read": "none"}}
    texts = documents(systems=systems) | {
        "systems.yaml": yaml.safe_dump(systems_document(names=("crm", "erp", "billing", "ghost")))
    }
    entry = load_map(texts, {"customer": dict.fromkeys(FIELDS)}, version=1).objects["customer"]
    assert entry.readers == {"crm": None, "erp": None, "billing": {"name"}}, "an owner reads everything"
    assert entry.readable("crm") == set(FIELDS) and entry.readable("billing") == {"name"}
    assert entry.readable("ghost") == entry.readable("stranger") == frozenset()  # I7


def test_what_a_violation_meets() -> None:
    entry = customer(systems={"billing": {"on_violation": "propose"}})
    assert entry.policy_of("billing") is OnViolation.PROPOSE
    assert entry.policy_of("crm") is entry.policy_of("stranger") is OnViolation.QUARANTINE


def test_a_promise() -> None:
    promised = {**SLA, "freshness": {"expect_every": "15m"}, "failover": {"after": "10m", "to": "standby"}}
    (sla,) = customer(slas=[promised]).slas
    assert (sla.source, sla.sink, sla.latency_p99_ms, sla.latency_max_ms) == ("crm", "erp", 5_000, 60_000)
    assert (sla.expect_every_ms, sla.alert_above, sla.alert_path) == (900_000, 0.01, "customer-sync")
    (bare,) = customer(slas=[SLA]).slas
    assert bare.expect_every_ms is None


def test_the_authority_to_delete_has_a_part() -> None:
    promised = {**SLA, "connection": "billing -> erp"}
    document = {"slas": [promised], "systems": {}, "delete": {"authority": "billing"}}
    assert len(customer(**document).slas) == 1


def test_every_fault_is_told_at_once() -> None:
    found = codes(documents(create="sap", fields={"nonsense": {}}) | {"systems.yaml": "systems: {}"})
    assert found.count("map.unlisted_system") == 6 and found.count("map.unknown_field") == 1


def test_without_systems_nothing_can_be_compared() -> None:
    assert codes(documents(create="sap") | {"systems.yaml": "systems: []"}) == ["map.dict_type"]


def test_the_key_must_be_a_field() -> None:
    assert codes(documents(key="id")) == ["map.unknown_field"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "map.model_type"),
        ("[]", "map.model_type"),
        ("a: 1\n---\nb: 2", "map.yaml"),
        ("review: 2026-02-30", "map.yaml"),
        ("a: !!python/object:os.system x", "map.yaml"),
        ("? [a]\n: b", "map.yaml"),
        ("a: \x00", "map.yaml"),
        ("a: \t- b", "map.yaml"),
        ("[" * 100_000, "map.too_deep"),
        ("a: " * 40 + "b", "map.yaml"),
        ("- a\n- {b: 1, b: 2}", "map.repeated_key"),
        ("#" * (DOCUMENT_LENGTH_MAX + 1), "map.too_long"),
    ],
)
def test_whatever_a_file_holds_it_is_a_map_or_refused(text: str, code: str) -> None:
    assert code in codes(documents() | {"customer.yaml": text})


def test_lines_of_lists() -> None:
    values, lines = read_yaml("a:\n  - b\n  - c: 1\n", "x.yaml")
    assert values == {"a": ["b", {"c": 1}]}
    assert lines[("a", 1, "c")] == 3 and lines[("a",)] == 1


def test_a_map_knows_its_texts() -> None:
    one, other = documents(), documents(description="Another.")
    assert digest_of(one) == digest_of(dict(reversed(one.items()))) != digest_of(other)
    assert loaded().digest == digest_of(documents()) and loaded().version == 7


def test_what_each_system_may_do_on_kafka() -> None:
    found = set(grants(loaded(systems={"erp": {"read": "all"}})))
    changes = {g.system for g in found if g.purpose is Purpose.CHANGES}
    assert changes == {"crm", "erp", "billing"}, (
        "billing publishes without having a part: each change is held"
    )
    assert {g.system for g in found if g.purpose is Purpose.AUTHORITATIVE} == {"crm", "erp"}
    idle = documents() | {
        "systems.yaml": yaml.safe_dump(systems_document(names=("crm", "erp", "billing", "ghost")))
    }
    nothing = {
        g.purpose
        for g in grants(load_map(idle, {"customer": dict.fromkeys(FIELDS)}, version=1))
        if g.system == "ghost"
    }
    told = {Purpose.REFUSALS, Purpose.PROPOSALS, Purpose.WRITINGS}
    assert nothing == told | {Purpose.ACKNOWLEDGEMENTS}
    assert Grant("billing", Operation.READ, Purpose.REFUSALS) in found
    assert not any(g.purpose is Purpose.AUTHORITATIVE and g.operation is Operation.WRITE for g in found)  # I1


def test_restricted_readers_get_deliveries_and_keys_for_their_digests() -> None:
    some = {"billing": {"read": ["name", "phone"], "masked": ["phone"], "mask_key": 7}}
    law = loaded(systems=some)
    mine = [g for g in grants(law) if g.system == "billing" and g.purpose is Purpose.DELIVERIES]
    assert [(g.operation, g.object) for g in mine] == [(Operation.READ, "customer")]
    assert mask_keys(law) == {7} and mask_keys(loaded()) == frozenset()


def test_a_handover_of_the_key_or_of_no_field() -> None:
    rules = [
        {"field": name, "to": "erp", "valid_from": "2026-12-01T00:00:00Z"} for name in ("customer_id", "id")
    ]
    assert codes(documents(handover=rules)) == ["map.key_owner", "map.unknown_field"]
