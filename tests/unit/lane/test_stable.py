"""When a last stable offset stands still, and which partitions are looked at."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from broker import topics
from broker.lane.stable import Waiting, waiting, watched
from broker.rules import rules_of
from tests.estate import map_documents

SINCE = Waiting(stable=10, since_s=100.0)


@pytest.mark.parametrize(
    ("before", "stable", "end", "now"),
    [
        (None, 10, 10, None),
        (None, 12, 10, None),
        (SINCE, 20, 20, None),
        (None, 10, 11, Waiting(10, 130.0)),
        (SINCE, 10, 11, SINCE),
        (SINCE, 10, 900, SINCE),
        (SINCE, 11, 12, Waiting(11, 130.0)),
    ],
)
def test_it_stands_still_from_when_it_was_first_seen_there(
    before: Waiting | None, stable: int, end: int, now: Waiting | None
) -> None:
    assert waiting(before, stable, end, 130.0) == now


def test_what_slots_write_is_all_that_the_gate_writes_in_transactions() -> None:
    plans = list(topics.plan(rules_of(map_documents(), 1).ownership_map, partitions=4, slots=4))
    shelves = {
        slot: [("customer", p) for p in range(4) if topics.slot_of("customer", p, 4) == slot]
        for slot in range(4)
    }
    found = [
        place for slot in range(4) for place in watched(slot, shelves[slot], [plan.name for plan in plans])
    ]
    not_the_gates = (
        topics.SLOTS,
        topics.OWNERSHIP_MAP,
        "changes.",
        "commands.",
        "acks.",
        "readings.",
        "writings.",
    )
    assert len(found) == len(set(found))
    assert set(found) == {
        TopicPartition(plan.name, partition)
        for plan in plans
        if not plan.name.startswith(not_the_gates)
        for partition in range(plan.partitions)
    }
