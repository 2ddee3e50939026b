"""What a map changes, in words: for each thing that can be otherwise a sentence, and none for what is not."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest

from ownership.changed import Kind
from ownership.changes import changes
from ownership.document import duration_ms, duration_text
from ownership.map import ConflictTerms, ObjectMap, OnViolation, OwnershipMap, Sla, System, Team
from tests.unit.ownership.test_load import SLA, loaded

DERIVED = {"writers", "systems", "sole_owner", "involved", "former", "epochs", "file"}
"""What follows from the rest, or is only where it stands."""


def said(before: OwnershipMap, after: OwnershipMap) -> list[str]:
    return [change.words for change in changes(before, after)]


def told(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return said(loaded(**before), loaded(**after))


def test_nothing_changes_nothing() -> None:
    assert told({"slas": [SLA]}, {"slas": [SLA]}) == []


def test_a_field_gets_another_owner() -> None:
    other = {"credit_limit": {"system_of_record": "erp"}, "email": {"system_of_record": "erp"}}
    assert told({}, {"fields": other}) == [
        "customer: email belongs to erp instead of crm; what crm writes to it is held for review from then on"
    ]


def test_fields_that_go_the_same_way_are_one_sentence() -> None:
    (sentence,) = told({}, {"fields": {}})
    assert sentence.startswith("customer: credit_limit belongs to crm instead of erp; what erp writes")
    whole = [
        c
        for c in changes(loaded(fields={}), loaded(fields={}, system_of_record="erp"))
        if c.kind is Kind.OWNER
    ]
    assert len(whole[0].fields) > 1 and whole[0].systems == ("crm", "erp")
    assert whole[1].words == "customer: fields that the contract gets later belong to erp instead of crm"


def test_a_handover_says_when() -> None:
    rule = {"field": "email", "to": "erp", "valid_from": "2026-12-01T00:00:00Z"}
    assert told({}, {"handover": [rule]}) == [
        "customer: email belongs to crm until 2026-12-01 00:00 UTC, then erp instead of crm"
    ]
    ends = {
        "fields": {"email": {"until": "2026-12-01T00:00:00Z"}, "credit_limit": {"system_of_record": "erp"}}
    }
    assert told({}, ends) == [
        "customer: email belongs to crm until 2026-12-01 00:00 UTC, then nobody instead of crm"
    ]


def test_who_reads_what() -> None:
    def systems(**billing: Any) -> dict[str, Any]:
        return {"systems": {"crm": {"read": "all"}, "erp": {"read": "all"}, "billing": billing}}

    none, some = systems(read="none"), systems(read=["name", "email"])
    anew = "billing's deliveries of customer begin anew, with every record that there is"
    assert told(none, some) == ["billing reads email and name of customer"]
    assert told(some, none) == ["billing no longer reads customer"]
    assert told(some, systems(read=["name", "phone"])) == [
        "billing also reads phone of customer; no longer reads email of customer",
        anew,
    ]
    masked = systems(read=["name", "email"], masked=["email"])
    assert told(some, masked) == ["billing gets a digest of email of customer instead of the value", anew]
    assert told(masked, some)[0] == "billing gets the value of email of customer instead of a digest"
    assert told(masked, systems(read=["name", "email"], masked=["email"], mask_key=2))[0] == (
        "billing gets digests of customer by key 2 instead of 1, which equal none of before"
    )
    (whole,) = told(some, systems(read="all"))
    assert "gets whole customer records" in whole and "instead of deliveries of its own" in whole


def test_what_a_violation_meets() -> None:
    def billing(**rule: Any) -> dict[str, Any]:
        return {
            "systems": {"crm": {"read": "all"}, "erp": {"read": "all"}, "billing": {"read": "none", **rule}}
        }

    assert told(billing(), billing(on_violation="propose")) == [
        (
            "what billing writes to somebody else's field of customer is put to the owner as a question "
            "instead of held for review"
        )
    ]
    assert told(billing(), billing(state="observe")) == [
        "billing is only watched: what it sends of customer has no effect"
    ]
    assert told(billing(state="observe"), billing()) == [
        "billing is no longer only watched: what it sends of customer counts"
    ]
    gone = {"systems": {"crm": {"read": "all"}, "erp": {"read": "all"}}}
    assert told(gone, billing(on_violation="reject")) == [
        "billing takes part in customer; what it writes to somebody else's field is refused"
    ]
    assert told(billing(), gone) == [
        "billing has no part in customer any more: whatever it still sends is held for review"
    ]


def test_promises() -> None:
    faster = SLA | {"latency": {"p99": "2s", "max": "60s"}}
    assert told({"slas": [SLA]}, {"slas": [faster]}) == [
        "crm -> erp of customer: promised is 2s for 99 of 100 changes instead of 5s for 99 of 100 changes"
    ]
    assert told({"slas": [SLA]}, {"slas": []}) == ["crm -> erp of customer: nothing is promised any more"]
    (new,) = told({"slas": []}, {"slas": [SLA]})
    assert new.startswith(
        "crm -> erp of customer: promised is 5s for 99 of 100 changes; 1m at most; nothing is expected"
    )


def test_a_new_object_is_said_whole_and_one_that_is_gone_too() -> None:
    full = loaded(slas=[SLA])
    empty = replace(full, objects={})
    new = list(changes(empty, full))
    assert new[0].words.startswith("customer is a new object: ")
    kinds = [change.kind for change in new]
    assert kinds.count(Kind.PROMISE) == 1 and kinds.count(Kind.OWNER) >= 2 and Kind.ACCESS in kinds
    assert any("credit_limit belongs to erp" in change.words for change in new)
    assert said(full, empty) == [
        "customer is no longer an object: nobody owns it, and whatever is sent of it is held"
    ]


def test_a_new_system() -> None:
    full = loaded()
    fewer = replace(full, systems={name: one for name, one in full.systems.items() if name != "billing"})
    assert said(fewer, full)[0].startswith("billing is a new system: ")
    assert said(fewer, full)[1].startswith("billing may send changes of customer; while it has no part in it")
    assert said(full, fewer) == [
        "billing is no longer a system: Kafka lets it in nowhere, and it owns nothing"
    ]


def test_who_may_no_longer_send() -> None:
    full = loaded()
    silent = replace(full.systems["billing"], publishes=frozenset())
    assert said(full, replace(full, systems={**full.systems, "billing": silent})) == [
        "billing may no longer send changes of customer unless it has a part in it"
    ]


def test_an_owner_that_has_no_part_any_more() -> None:
    gone = {"fields": {}, "systems": {"crm": {"read": "all"}}}
    assert any(
        "what erp writes to it is held for review: it has no part in the object any more" in sentence
        for sentence in told({}, gone)
    )


OTHERWISE: dict[str, Any] = {
    "key_field": "email",
    "create": "erp",
    "delete": "erp",
    "system_of_record": "erp",
    "delete_softly": False,
    "fields": ("customer_id", "name"),
    "owners": {},
    "classes": {"name": "pii"},
    "readers": {"erp": frozenset({"name"})},
    "policies": {"erp": OnViolation.REJECT},
    "slas": (),
    "conflict_process": ConflictTerms(decides="finance", within_ms=1, escalate_to="board"),
    "review_last": date(2026, 1, 1),
    "contract_id": 99,
    "generation": 2,
    "partitions": 3,
    "masked": {"billing": frozenset({"name"})},
    "mask_keys": {"billing": 7},
    "observed": frozenset({"erp"}),
}


def with_masks(entry: ObjectMap) -> ObjectMap:
    """Billing reads names as digests: so that another key means something."""
    return replace(
        entry,
        readers={**entry.readers, "billing": frozenset({"name", "phone"})},
        masked={"billing": frozenset({"phone"})},
        mask_keys={"billing": 1},
    )


@pytest.mark.parametrize(
    "name", [field.name for field in fields(ObjectMap) if field.name not in DERIVED | {"name", "later"}]
)
def test_nothing_that_an_object_says_changes_unsaid(name: str) -> None:
    before = loaded(slas=[SLA])
    entry = with_masks(before.objects["customer"])
    now = replace(entry, **{name: OTHERWISE.get(name, "something else")})
    one, other = (replace(before, objects={"customer": found}) for found in (entry, now))
    assert said(one, other), name
    assert said(other, one), name


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Sla) if field.name not in ("source", "sink")]
)
def test_nothing_that_a_promise_says_changes_unsaid(name: str) -> None:
    before = loaded(
        slas=[SLA | {"freshness": {"expect_every": "1d"}, "failover": {"after": "10m", "to": "standby"}}]
    )
    (sla,) = before.objects["customer"].slas
    value = getattr(sla, name)
    other = value + 1 if isinstance(value, int | float) else "something else"
    entry = replace(before.objects["customer"], slas=(replace(sla, **{name: other}),))
    assert len(said(before, replace(before, objects={"customer": entry}))) == 1, name


@pytest.mark.parametrize("name", [field.name for field in fields(System) if field.name != "name"])
def test_nothing_that_is_said_of_a_system_changes_unsaid(name: str) -> None:
    before = loaded()
    other: Any = {"publishes": frozenset({"order"}), "cleared": frozenset({"pii"})}.get(
        name, "something else"
    )
    other = 5000 if name.endswith("_ms") else other
    system = replace(before.systems["erp"], **{name: other})
    assert len(said(before, replace(before, systems={**before.systems, "erp": system}))) == 1, name


@pytest.mark.parametrize("text", ["0ms", "1ms", "999ms", "1s", "90s", "1m", "45m", "36h", "1d", "30d"])
def test_durations_as_the_map_spells_them(text: str) -> None:
    assert duration_ms(duration_text(duration_ms(text))) == duration_ms(text)


def test_who_decides_on_conflicts() -> None:
    rule = {"decides": "finance", "within": "2d"}
    assert told({}, {"conflict_process": rule}) == [
        "customer: who decides on conflicts: finance, within 2d; then the owner's value stays (before: not said)"
    ]
    above = rule | {"unanswered": "escalate", "escalate_to": "board"}
    (sentence,) = told({"conflict_process": rule}, {"conflict_process": above})
    assert sentence.endswith("then board is told (before: finance, within 2d; then the owner's value stays)")


def test_who_speaks_for_a_team() -> None:
    base = OwnershipMap(version=1, digest="")
    ana = replace(base, teams={"sales": Team(name="sales", contact="mailto:s@x", members=frozenset(["ana"]))})
    sam = replace(base, teams={"sales": Team(name="sales", contact="mailto:s@x", members=frozenset(["sam"]))})
    assert said(base, ana) == ["ana may approve for the team sales", "the team sales is asked at mailto:s@x"]
    assert said(ana, sam) == [
        "sam may approve for the team sales",
        "ana may no longer approve for the team sales",
    ]
    assert said(sam, base) == ["nobody speaks for the team sales any more"]
