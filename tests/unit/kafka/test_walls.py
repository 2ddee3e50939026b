"""The three walls from one map: whatever one of them says otherwise is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.probe import taken
from broker.kafka.admin import acls_of
from broker.kafka.walls import disagreements
from broker.rules import rules_of
from connectors.sdk.writing import writing_of
from ownership.map import OwnershipMap
from ownership.writing import told_to
from schemas.registry import envelopes
from tests.gate_parts import FIELDS, SYSTEMS, T0, map_texts, object_document

LATER_MS = 4_070_908_800_000
HANDOVER = [{"field": "email", "to": "erp", "valid_from": "2099-01-01T00:00:00Z"}]


def compiled(**document: Any) -> OwnershipMap:
    return rules_of(map_texts(object_document(**document)), 3).ownership_map


def said_of(ownership_map: OwnershipMap) -> dict[tuple[str, str], dict[str, Any]]:
    """What systems are told, as it comes out of Kafka."""
    codec = envelopes().codec
    return {
        whose: dict(codec.decode(codec.encode(envelopes().id_of("writing"), said)))
        for whose, said in told_to(ownership_map).items()
    }


MAP = compiled(handover=HANDOVER)
SAID = said_of(MAP)


def allowed(user: str, topic: str, *, prefixed: bool = False, **other: Any) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    operation = other.get("operation", AclOperation.WRITE)
    permission = other.get("permission", AclPermissionType.ALLOW)
    return AclBinding(ResourceType.TOPIC, topic, pattern, f"User:{user}", "*", operation, permission)


def test_they_agree() -> None:
    assert list(disagreements(MAP, acls_of(MAP), SAID)) == []
    assert {whose for whose, _ in SAID.items()} == {(system, "customer") for system in (*SYSTEMS, "ghost")}


@pytest.mark.parametrize(
    "binding",
    [
        allowed("shop", "changes.crm.customer"),
        allowed("shop", "changes.crm.", prefixed=True),
        allowed("shop", "", prefixed=True),
        allowed("shop", "*"),
        allowed("*", "changes.crm.customer"),
        allowed("erp", "changes.crm.customer", operation=AclOperation.ALL),
    ],
    ids=str,
)
def test_who_may_write_in_the_name_of_another_is_named(binding: AclBinding) -> None:
    (found, *_) = disagreements(MAP, [*acls_of(MAP), binding], SAID)
    who = binding.principal.removeprefix("User:")
    assert found.detail == f"Kafka lets {who} send changes in its name"


def test_what_lets_nobody_write_is_no_breach() -> None:
    harmless = [
        allowed("shop", "changes.crm.customer", operation=AclOperation.READ),
        allowed("shop", "changes.crm.customer", permission=AclPermissionType.DENY),
        allowed("shop", "changes.crm.customers"),
        allowed("shop", "changes.shop.", prefixed=True),
    ]
    assert list(disagreements(MAP, [*acls_of(MAP), *harmless], SAID)) == []


def test_a_right_that_is_missing_is_named() -> None:
    kept = [one for one in acls_of(MAP) if one.name != "changes.erp.customer"]
    (found,) = disagreements(MAP, kept, SAID)
    assert (found.system, found.detail) == ("erp", "Kafka does not let it send changes")


def _other(word: str, value: Any, *, terms: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    said = copy.deepcopy(SAID)
    said["crm", "customer"]["terms"][terms][word] = value
    return said


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (_other("owners", {"email": "erp", "name": "crm", "phone": "crm"}), "email is not its own"),
        (_other("owners", dict.fromkeys(FIELDS, "crm")), "credit_limit is its own"),
        (
            _other("owners", dict.fromkeys(FIELDS, "crm") | {"credit_limit": "erp"}, terms=1),
            "email is its own",
        ),
        (_other("create", "erp"), "not told that it creates"),
        (_other("delete", "erp"), "not told that it ends"),
        (_other("observed", True), "told that it is only watched"),
        (_other("since_ms", 7), "other handovers"),
        ({whose: one for whose, one in SAID.items() if whose[0] != "crm"}, "has not been told"),
        (SAID | {("shop", "customer"): SAID["crm", "customer"]}, "the map does not list it"),
    ],
)
def test_whoever_was_told_otherwise_is_named(said: dict[Any, Any], detail: str) -> None:
    (found,) = disagreements(MAP, acls_of(MAP), said)
    assert detail in found.detail, found


READABLE = st.sampled_from(("all", "name", "email phone")).map(
    lambda said: said if said == "all" else ["customer_id", *said.split()]
)


@st.composite
def maps(draw: Any) -> OwnershipMap:
    owners = st.sampled_from(SYSTEMS)
    others = FIELDS[1:]
    fields = {name: {"system_of_record": draw(owners)} for name in draw(st.sets(st.sampled_from(others)))}
    states = {
        name: {
            "read": draw(READABLE),
            "on_violation": draw(st.sampled_from(("quarantine", "reject", "propose"))),
        }
        | ({"state": "observe"} if draw(st.booleans()) and name == "billing" else {})
        for name in SYSTEMS
    }
    fields = {
        name: rule for name, rule in fields.items() if states[rule["system_of_record"]].get("state") is None
    }
    movable = sorted(set(others) - fields.keys())
    handover = HANDOVER if "email" in movable and draw(st.booleans()) else []
    return compiled(fields=fields, systems=states, handover=handover)


@given(maps())
def test_connectors_know_what_the_gate_takes(ownership_map: OwnershipMap) -> None:
    """I1: the SDK's reading of what it was told is the gate's own decision, at every time."""
    entry = ownership_map.objects["customer"]
    said = said_of(ownership_map)
    assert list(disagreements(ownership_map, acls_of(ownership_map), said)) == []
    for system in (*SYSTEMS, "ghost"):
        writing = writing_of(said[system, "customer"])
        for at_ms in (0, T0, LATER_MS - 1, LATER_MS):
            takes = taken(entry.at(at_ms), system)
            foreign = writing.foreign(FIELDS[1:], at_ms)
            assert set(FIELDS[1:]) - foreign.keys() == takes.own
            assert writing.creates(at_ms) == takes.creates and writing.deletes(at_ms) == takes.deletes
            known = entry.at(at_ms).readers.get(system, frozenset())
            for name, owner in foreign.items():
                may_know = known is None or name in known
                assert owner == (entry.at(at_ms).owner_of(name) if may_know else "")
