"""A map with teams, plans of it, and a store in which it is in force: what tests of governing begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from broker.kafka.planning import compiled as compiled_of
from broker.kafka.planning import planned
from broker.published import PublishedMap
from broker.store.engine import Engine, writing
from broker.store.versions import index_versions
from ownership.load import digest_of
from ownership.map import OwnershipMap
from ownership.plan import Plan, PlannedFlip, Replay, replayed
from tests.estate import MAP_DIR

T0 = 1_795_000_000_000
DAY_MS = 86_400_000
TEAMS = {
    "sales-operations": {"contact": "mailto:sales-operations@example.com", "members": ["ana", "sam"]},
    "finance": {"contact": "mailto:finance@example.com", "members": ["fay"]},
    "platform": {"contact": "mailto:platform@example.com", "members": ["pat", "pia"]},
}


def documents(**customer: Any) -> dict[str, str]:
    """The demo's map with teams, and a customer that differs in some attributes."""
    texts = {
        path.name: path.read_text("utf-8")
        for path in sorted(Path(MAP_DIR).iterdir())
        if path.suffix in (".yaml", ".avsc", ".json")
    }
    systems = yaml.safe_load(texts["systems.yaml"]) | {"teams": TEAMS}
    systems["systems"]["crm"]["cleared"] = ["pii"]
    entry = yaml.safe_load(texts["customer.yaml"]) | customer
    return texts | {
        "systems.yaml": yaml.safe_dump(systems, sort_keys=False),
        "customer.yaml": yaml.safe_dump(entry, sort_keys=False),
    }


def published(version: int = 1, **customer: Any) -> PublishedMap:
    texts = documents(**customer)
    return PublishedMap(version, digest_of(texts), texts, "prepare", T0 - DAY_MS + version)


def in_force(store: Engine, version: int = 1, **customer: Any) -> PublishedMap:
    found = published(version, **customer)
    with writing(store) as connection:
        index_versions(connection, [found])
    return found


def compiled(**customer: Any) -> OwnershipMap:
    return compiled_of(published(**customer))


NEW_OWNER = {"fields": {"credit_limit": {"system_of_record": "erp"}, "name": {"system_of_record": "erp"}}}
EMAIL_TOO = {"fields": {"credit_limit": {"system_of_record": "erp"}, "email": {"system_of_record": "erp"}}}
BILLING_READS = {"systems": {"crm": {"read": "all"}, "erp": {"read": "all"}, "billing": {"read": ["name"]}}}
OTHER_WORDS = {"conflicts": "Finance decides within two days.\n"}


def plan(before: PublishedMap | None = None, **customer: Any) -> Plan:
    return planned(before or published(), documents(**customer))


def with_replay(
    made: Plan, judged: int = 1000, flips: int = 0, at_ms: int = T0, fields: str = "name"
) -> Plan:
    found = [
        PlannedFlip(
            object="customer", system="crm", fields=fields, before="accepted", after="held", count=flips
        )
    ]
    return replayed(
        made,
        Replay(
            since_ms=at_ms - 7 * DAY_MS, made_ms=at_ms, judged=judged, reviewed_before=0, reviewed_after=flips,
            begun=0, flips=tuple(found) if flips else (),
        ),
    )  # fmt: skip
