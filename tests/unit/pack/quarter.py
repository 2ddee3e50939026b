"""A team's quarter, worked out by hand: a map, a store filled with it, and packs of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from broker.pack.facts import MapChange, Pack, PackWaiver
from broker.pack.gather import gather
from broker.store.cases import index_cases
from broker.store.engine import Engine, reading, writing
from broker.store.ledger import index_ledger
from broker.store.levels import index_acknowledgements
from broker.store.trail import index_trail
from ownership.map import ObjectMap, OwnershipMap, Sla, Team
from ownership.reviews import ReviewDue, Standing
from tests.console_store import sla
from tests.envelopes import acknowledgement, case, ledger, trail

FROM_MS, TO_MS = 1_782_864_000_000, 1_790_812_800_000
"""2026-07-01 and 2026-10-01, 00:00 UTC."""
MADE_MS = TO_MS + 5 * 86_400_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
TEAM = "sales-operations"


def entry(name: str, team: str = TEAM, *slas: Sla, **changed: Any) -> ObjectMap:
    made = ObjectMap(
        name=name,
        description=f"What {name} is.",
        key_field="id",
        steward_team=team,
        steward_contact=f"mailto:{team}@example.com",
        system_of_record="crm",
        create="crm",
        delete="crm",
        delete_softly=True,
        fields=("id", "name", "credit_limit", "fax"),
        owners={"id": "crm", "name": "crm", "credit_limit": "erp"},
        classes={},
        readers={"crm": None, "erp": None},
        policies={},
        conflicts="",
        slas=slas or (sla(), sla("erp", "crm")),
    )
    return replace(made, **changed)


def the_map(*entries: ObjectMap) -> OwnershipMap:
    found = entries or (
        entry("customer"),
        entry(
            "order",
            TEAM,
            sla("crm", "billing"),
            owners=dict.fromkeys(("id", "name", "credit_limit", "fax"), "crm"),
        ),
        entry("ledger_entry", "finance"),
    )
    teams = {TEAM: Team(name=TEAM, contact="mailto:sales@example.com")}
    return OwnershipMap(version=7, digest="d", objects={one.name: one for one in found}, teams=teams)


def held(name: str, received_ms: int, **changed: Any) -> dict[str, Any]:
    times = {"received_ms": received_ms, "gate_time_ms": received_ms + 5, "source_time_ms": received_ms}
    return case(name, **(times | changed))


CASES = [
    # Held in the period: erp 3 times for one reason and once for another, billing once.
    held("a", FROM_MS),
    held("b", MADE_MS - 60 * DAY_MS),
    held("c", TO_MS - 1),  # 5 days old when the pack is made
    held("d", MADE_MS - 20 * DAY_MS, reason="system_not_listed"),
    held("e", MADE_MS - 10 * DAY_MS, system="billing", reason="a_new_reason"),
    # Not in the period: the moments beside it. One is closed, one is some hours old.
    held("f", FROM_MS - 1),
    held("g", TO_MS),
    held("h", MADE_MS - 2 * HOUR_MS),
    # Another object of the team, and one of another team.
    held("i", MADE_MS - 7 * DAY_MS, object="order"),
    held("j", MADE_MS - 40 * DAY_MS, object="ledger_entry"),
]


def fill(engine: Engine) -> None:
    """Cases as above; customer to erp 100 times in 40 ms and twice in 9 s, to crm some failures, order nothing."""
    closed = trail("case_closed", case_id="f", by="ana", result="keep", gate_time_ms=FROM_MS + DAY_MS)
    asked = trail("proposal_opened", case_id="d", by="ana", gate_time_ms=MADE_MS - 19 * DAY_MS)
    with writing(engine) as connection:
        index_cases(connection, CASES)
        index_trail(connection, [((0, 0), closed), ((0, 1), asked)])
        index_ledger(connection, [(FROM_MS + DAY_MS, ledger(1)), (TO_MS, ledger(2))])
        acknowledgements = [
            (FROM_MS + 10 * DAY_MS, acknowledgement(10, *[40] * 60)),
            (FROM_MS + 20 * DAY_MS, acknowledgement(20, *[40] * 40, 9_000, 9_000)),
            (FROM_MS - 1, acknowledgement(5, 3_000_000)),
            (TO_MS, acknowledgement(30, 3_000_000)),
            (TO_MS - 60_000, acknowledgement(9, 300, 300, system="crm", failed=3)),
            (FROM_MS - 1, acknowledgement(9, 300, 300, system="billing", object="order")),
        ]
        index_acknowledgements(connection, acknowledgements)


REVIEWS = {
    "customer": ReviewDue("customer", TEAM, date(2026, 6, 30), date(2026, 9, 30), Standing.OVERDUE),
    "order": ReviewDue("order", TEAM, date(2026, 9, 1), date(2026, 12, 1), Standing.DONE),
}
CHANGES = {
    "customer": [
        MapChange(TO_MS - DAY_MS, "sam", "name belongs to crm."),
        MapChange(FROM_MS, "ana", "erp reads fax."),
        MapChange(TO_MS, "ana", "of the next quarter"),
        MapChange(FROM_MS - 1, "ana", "of the quarter before"),
    ]
}
WAIVERS = {
    "customer": [
        PackWaiver("customer erp -> crm", TEAM, "The canary comes in November.", MADE_MS + DAY_MS),
        PackWaiver("customer fax", TEAM, "Nobody sends faxes.", MADE_MS),
    ]
}


def made(engine: Engine, team: str = TEAM, ownership_map: OwnershipMap | None = None, **changed: Any) -> Pack:
    facts: dict[str, Any] = {
        "from_ms": FROM_MS,
        "to_ms": TO_MS,
        "made_ms": MADE_MS,
        "changes": CHANGES,
        "waivers": WAIVERS,
        "reviews": REVIEWS,
    }
    with reading(engine) as connection:
        return gather(connection, ownership_map or the_map(), team, **(facts | changed))
