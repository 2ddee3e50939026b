"""Handovers: which terms are in force when, who is a former owner, and how an exception ends."""

from __future__ import annotations

from typing import Any

from broker.gate.connections import AS_MADE, connections_of, connections_record, ordered
from broker.rules import FOREVER_MS, rules_of
from ownership.handover import into_the_past
from ownership.map import ObjectMap, OwnershipMap
from tests.gate_parts import CUSTOMER, FLAT, map_texts, object_document
from tests.unit.ownership.test_load import loaded

DAY = 86_400_000
JAN = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


def entry(contract: Any = CUSTOMER, **document: Any) -> ObjectMap:
    return rules_of(map_texts(object_document(**document), [contract]), 1).ownership_map.objects["customer"]


def handover(field: str, to: str, day: int, until: int | None = None) -> dict[str, Any]:
    rule = {"field": field, "to": to, "valid_from": f"2026-01-{day:02d}T00:00:00Z"}
    if until is not None:
        rule |= {"until": f"2026-01-{until:02d}T00:00:00+00:00", "reason": "r", "approved_by": "a"}
    return rule


def owners_of(found: ObjectMap, name: str, *days: float) -> list[str | None]:
    return [found.at(JAN + round((day - 1) * DAY)).owner_of(name) for day in days]


def test_the_terms_of_a_moment() -> None:
    found = entry(handover=[handover("name", "erp", 3), handover("name", "crm", 5)])
    assert owners_of(found, "name", 1, 2.999, 3, 4.999, 5, 300) == ["crm", "crm", "erp", "erp", "crm", "crm"]
    assert owners_of(found, "email", 1, 4) == ["crm", "crm"]
    assert [found.at(JAN + day * DAY).epochs.get("name", 1) for day in (0, 2, 4)] == [1, 2, 3]
    assert found.at(JAN + 2 * DAY).former["name"] == {"crm"}
    assert found.at(JAN + 4 * DAY).former["name"] == {"crm", "erp"}
    assert found.at(JAN - DAY) is found and not found.former


def test_the_whole_object_with_the_right_to_create_and_delete() -> None:
    found = entry(handover=[handover("*", "billing", 2)])
    later = found.at(JAN + DAY)
    assert (later.create, later.delete, later.system_of_record) == ("billing",) * 3
    assert later.sole_owner == "billing" and found.sole_owner is None
    assert later.readers["billing"] is None and set(later.owners.values()) == {"billing"}
    assert found.systems == later.systems and "crm" in later.writers, "whoever ever writes is listed"


def test_an_exception_ends_by_itself() -> None:
    found = entry(
        handover=[handover("phone", "billing", 2, until=4)],
        systems={"crm": {"read": "all"}, "erp": {"read": "all"}, "billing": {"read": "none"}},
    )
    assert owners_of(found, "phone", 1, 2, 3.9, 4) == ["crm", "billing", "billing", "crm"]
    reads = ["billing" in found.at(JAN + day * DAY).readers for day in (0, 1, 3)]
    assert reads == [False, True, False], "what it read for the exception it reads no longer"


def test_a_term_that_ends_leaves_nobody() -> None:
    fields = {"credit_limit": {"system_of_record": "erp", "until": "2026-01-03T00:00:00Z"}}
    assert owners_of(entry(fields=fields), "credit_limit", 2, 3) == ["erp", None]
    found = entry(FLAT, fields={"phone": {"until": "2026-01-03T00:00:00Z"}})
    assert found.sole_owner == "crm" and found.at(JAN + 2 * DAY).sole_owner is None


def test_handovers_count_in_the_order_of_their_moments() -> None:
    found = entry(handover=[handover("name", "crm", 5), handover("name", "erp", 3)])
    assert owners_of(found, "name", 2, 3, 5) == ["crm", "erp", "crm"]
    assert [since for since, _ in found.later] == [JAN + 2 * DAY, JAN + 4 * DAY]
    assert found.at(JAN + 4 * DAY).former["name"] == {"crm", "erp"}
    assert found.involved == {"crm", "erp"} == found.later[0][1].involved


def test_a_term_that_ends_when_another_begins_leaves_no_gap() -> None:
    fields = {"credit_limit": {"system_of_record": "erp", "until": "2026-01-03T00:00:00Z"}}
    found = entry(fields=fields, handover=[handover("credit_limit", "billing", 3)])
    assert owners_of(found, "credit_limit", 2.999, 3) == ["erp", "billing"]
    assert len(found.later) == 1, "one set of terms per moment"
    terms = found.later[0][1]
    assert terms.epochs == {"credit_limit": 3} and terms.former == {"credit_limit": frozenset({"erp"})}
    assert not found.epochs and "name" not in terms.former


def test_what_a_handover_does_not_name_stays() -> None:
    found = entry(
        handover=[handover("phone", "billing", 2)],
        systems={"crm": {"read": "all"}, "erp": {"read": "all"}, "billing": {"read": ["name"]}},
    )
    later = found.at(JAN + DAY)
    assert later.readers == found.readers, "who reads already goes on as it did"
    assert (later.create, later.delete, later.system_of_record) == ("crm", "crm", "crm")
    assert {n: later.owner_of(n) for n in found.fields} == {**found.owners, "phone": "billing"}
    assert later.epochs == {"phone": 2} and later.involved == {"crm", "erp", "billing"}


def test_an_exception_for_the_whole_object_ends_with_its_rights() -> None:
    found = entry(handover=[handover("*", "billing", 2, until=4), handover("name", "erp", 5)])
    during, after = found.at(JAN + DAY), found.at(JAN + 3 * DAY)
    assert (during.create, during.delete, during.system_of_record) == ("billing",) * 3
    assert (after.create, after.delete, after.system_of_record) == ("crm",) * 3
    assert after.owners == found.owners and after.epochs == dict.fromkeys(found.fields, 3)
    last = found.at(JAN + 4 * DAY)
    assert (last.create, last.owner_of("name"), last.epochs["name"]) == ("crm", "erp", 4)
    assert last.former["name"] == {"crm", "billing"}


def test_the_short_way_goes_by_the_terms() -> None:
    document = object_document(fields={}, handover=[handover("name", "erp", 2), handover("name", "crm", 4)])
    plans = rules_of(map_texts(document, [FLAT]), 1).express
    crm, erp = plans["crm", "customer"], plans["erp", "customer"]
    assert (crm.since_ms, crm.until_ms) == (JAN + 3 * DAY, FOREVER_MS)
    assert (erp.since_ms, erp.until_ms) == (JAN + DAY, JAN + 3 * DAY)
    assert crm.today.whole == (("crm", None),) and crm.creates
    assert erp.today.whole == (("crm", None), ("erp", frozenset({"name"}))) and not erp.creates
    document = object_document(fields={}, handover=[handover("*", "erp", 2)])
    plans = rules_of(map_texts(document, [FLAT]), 1).express
    assert plans["crm", "customer"].until_ms == plans["erp", "customer"].since_ms == JAN + DAY
    watched = object_document(fields={}, systems={"crm": {"read": "all", "state": "observe"}})
    assert not rules_of(map_texts(watched, [FLAT]), 1).express


def test_orders_travel_and_repeat_without_effect() -> None:
    pause = {"command": "pause", "system": "crm", "by": "ada", "note": "n", "incarnation": 0}
    paused = ordered({}, pause, 5)
    assert paused is not None and paused["crm"].paused and paused["crm"].by == "ada"
    assert ordered(paused, pause, 6) is None, "paused already"
    reset = ordered(paused, pause | {"command": "source_reset", "incarnation": 2}, 7)
    assert reset is not None and reset["crm"].incarnation == 2 and reset["crm"].paused
    assert ordered(reset, pause | {"command": "source_reset", "incarnation": 1}, 8) is None, "never back"
    assert (
        ordered({}, pause | {"system": None}, 5) is None
        and ordered({}, pause | {"command": "resume"}, 5) is None
    )
    assert connections_of(connections_record(reset)) == reset and AS_MADE.incarnation == 0


def test_a_new_handover_does_not_begin_in_the_past() -> None:
    """What was judged already is not said otherwise; a handover that is known, and over, may stay in the file."""
    rule = {"field": "email", "to": "erp", "valid_from": "2026-12-01T00:00:00Z"}
    moment_ms = 1_796_083_200_000
    before, wanted = loaded(), loaded(handover=[rule])
    assert into_the_past(before, wanted, moment_ms - 1) == []
    (said,) = into_the_past(before, wanted, moment_ms)
    assert (
        said
        == "a handover of customer is from 2026-12-01 00:00 UTC, which is over: changes were judged since"
    )
    assert into_the_past(wanted, wanted, moment_ms) == []
    other = loaded(handover=[rule | {"to": "billing"}])
    assert len(into_the_past(wanted, other, moment_ms)) == 1
    assert into_the_past(OwnershipMap(version=0, digest=""), wanted, moment_ms) == [], (
        "nothing was judged before"
    )
