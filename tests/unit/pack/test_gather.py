"""Gathering a pack: figures worked out by hand from the store that `quarter` fills."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from broker.pack.facts import Ages, Conflict, Measured, Pack, PackObject
from broker.pack.gather import PackRefused
from broker.store.engine import Engine, writing
from broker.store.levels import index_acknowledgements
from ownership.reviews import Standing
from tests.console_store import sla
from tests.envelopes import acknowledgement
from tests.unit.pack.quarter import DAY_MS, FROM_MS, MADE_MS, REVIEWS, TEAM, TO_MS, entry, fill, made, the_map


def named(pack: Pack, name: str) -> PackObject:
    (found,) = (one for one in pack.objects if one.name == name)
    return found


def test_a_pack_has_the_objects_of_its_team_and_no_other(store: Engine) -> None:
    fill(store)
    pack = made(store)
    assert [one.name for one in pack.objects] == ["customer", "order"]
    assert (pack.team, pack.contact, pack.map_version) == (TEAM, "mailto:sales@example.com", 7)
    assert (pack.from_ms, pack.to_ms, pack.made_ms) == (FROM_MS, TO_MS, MADE_MS)
    assert [one.name for one in made(store, "finance").objects] == ["ledger_entry"]
    assert made(store, "finance").contact == "mailto:finance@example.com"


def test_held_writes_are_counted_by_system_and_reason_in_the_period_and_not_beside_it(store: Engine) -> None:
    fill(store)
    pack = made(store)
    assert named(pack, "customer").conflicts == (
        Conflict("erp", "not_owner", 3),
        Conflict("billing", "a_new_reason", 1),
        Conflict("erp", "system_not_listed", 1),
    )
    assert named(pack, "order").conflicts == (Conflict("erp", "not_owner", 1),)


def test_only_what_was_judged_in_the_period_counts_as_judged(store: Engine) -> None:
    fill(store)
    assert made(store).judged == 4
    assert made(store, to_ms=TO_MS + 1).judged == 8
    assert made(store, to_ms=FROM_MS + DAY_MS).judged == 0


def test_open_cases_have_the_age_that_they_have_when_the_pack_is_made(store: Engine) -> None:
    """Those that an owner was asked about are open, closed ones are not; the period does not matter."""
    fill(store)
    pack = made(store)
    assert named(pack, "customer").ages == Ages((1, 2, 2, 2), FROM_MS)
    assert named(pack, "customer").ages.overdue == 4
    assert named(pack, "order").ages == Ages((0, 0, 1, 0), MADE_MS - 7 * DAY_MS)
    later = named(made(store, made_ms=MADE_MS + 30 * DAY_MS), "customer").ages
    assert later == Ages((0, 0, 0, 7), FROM_MS)


def test_what_was_measured_is_summed_over_the_minutes_of_the_period(store: Engine) -> None:
    """102 updates of which two took 9 s: 99 of 100 is 9 s. Minutes before and after do not count."""
    fill(store)
    erp, crm = named(made(store), "customer").connections
    assert (erp.name, erp.ever) == ("crm -> erp", 104)
    assert erp.measured == Measured(FROM_MS + 10 * DAY_MS, 102, 0, 9_000, 9_000)
    assert erp.kept is False
    assert (crm.name, crm.ever) == ("erp -> crm", 5)
    assert crm.measured == Measured(TO_MS - 60_000, 2, 3, 300, 300)
    assert crm.measured.failed_share == 0.6
    assert crm.kept is False


def test_what_was_measured_before_the_period_only_is_not_measured(store: Engine) -> None:
    fill(store)
    (billing,) = named(made(store), "order").connections
    assert (billing.measured, billing.ever, billing.kept) == (None, 2, None)


@pytest.mark.parametrize(
    ("told", "promised", "kept"),
    [
        (acknowledgement(9, *[40] * 99, 5_000), {}, True),
        (acknowledgement(9, *[5_001] * 2), {}, False),
        (acknowledgement(9, *[40] * 199, 60_001), {}, False),
        (acknowledgement(9, *[40] * 99, failed=1), {}, True),
        (acknowledgement(9, *[40] * 98, failed=1), {}, False),
        (acknowledgement(9, skipped=50), {}, None),
        (acknowledgement(9, failed=1), {}, False),
        (acknowledgement(9, -20), {}, True),
        (acknowledgement(9, 40, failed=1), {"alert_above": 1.0}, True),
    ],
)
def test_a_promise_is_kept_broken_or_not_known(
    store: Engine, told: dict[str, Any], promised: dict[str, float], kept: bool | None
) -> None:
    """Up to the promised time it is kept; a sink that only left out what it had says nothing of time. I9."""
    with writing(store) as connection:
        index_acknowledgements(connection, [(FROM_MS, told)])
    pack = made(store, ownership_map=the_map(entry("customer", TEAM, sla(**promised))))
    (found,) = named(pack, "customer").connections
    assert found.measured is not None
    assert found.kept is kept


def test_a_store_without_anything_knows_nothing(store: Engine) -> None:
    pack = made(store)
    assert pack.judged == 0
    for one in pack.objects:
        assert one.conflicts == ()
        assert one.ages == Ages((0, 0, 0, 0), None)
        assert [(found.measured, found.ever, found.kept) for found in one.connections] == [
            (None, 0, None)
        ] * len(one.connections)


def test_fields_are_told_with_their_owners_over_time_and_without_where_they_have_none(store: Engine) -> None:
    base = entry("customer")
    later = entry("customer", owners={**base.owners, "name": "erp", "fax": "erp"})
    handed = entry("customer", later=((MADE_MS + 1, later),))
    (found,) = made(store, ownership_map=the_map(handed)).objects
    assert [(one.field, one.words) for one in found.owners] == [
        ("id", "crm"),
        ("name", "crm until 2026-10-06 00:00 UTC, then erp"),
        ("credit_limit", "erp"),
        ("fax", "nobody until 2026-10-06 00:00 UTC, then erp"),
    ]
    assert found.orphans == ("fax",)
    (found,) = made(store, ownership_map=the_map(handed), made_ms=MADE_MS + 1).objects
    assert found.orphans == ()


def test_what_is_handed_in_is_taken_over_in_order_and_changes_only_of_the_period(store: Engine) -> None:
    found = named(made(store), "customer")
    assert [change.words for change in found.changes] == ["erp reads fax.", "name belongs to crm."]
    assert [waiver.what for waiver in found.waivers] == ["customer fax", "customer erp -> crm"]
    assert found.review is not None
    assert (found.review.due, found.review.standing) == (date(2026, 9, 30), Standing.OVERDUE)
    without = made(store, changes={}, waivers={}, reviews={"order": REVIEWS["order"]})
    found = named(without, "customer")
    assert (found.changes, found.waivers, found.review) == ((), (), None)


def test_a_team_of_no_object_is_refused_and_told_which_there_are(store: Engine) -> None:
    with pytest.raises(PackRefused) as refused:
        made(store, "salse-operations")
    assert refused.value.code == "pack.unknown_team"
    assert str(refused.value) == (
        "no object of map version 7 has the steward team 'salse-operations' [pack.unknown_team] "
        "Name one that has: finance, sales-operations."
    )


@pytest.mark.parametrize("to_ms", [FROM_MS, FROM_MS - 1])
def test_a_period_without_a_moment_is_refused(store: Engine, to_ms: int) -> None:
    with pytest.raises(PackRefused) as refused:
        made(store, to_ms=to_ms)
    assert refused.value.code == "pack.empty_period"


def test_two_hundred_objects_are_gathered(store: Engine) -> None:
    fill(store)
    many = the_map(*(entry(f"object_{number:03}") for number in range(199)), entry("customer"))
    pack = made(store, ownership_map=many)
    assert len(pack.objects) == 200
    assert sum(len(one.conflicts) for one in pack.objects) == 3
