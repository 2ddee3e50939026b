"""Judging the log again finds what was recorded otherwise, and says when it cannot."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from broker.lane.judge import Judge
from broker.lane.memory import SlotMemory
from broker.lane.rejudge import Again, rejudge
from broker.topics import slot_of
from schemas.keys import partition_of
from tests.gate_parts import Bench

PAUSED = {"command": "pause", "system": "erp", "by": "ana"}


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.judge(
        bench.upsert("crm", "seq:0:01", {"name": "Ada"}), bench.upsert("erp", "time:0:1", {"name": "Eve"})
    )
    bench.judge(bench.tick())
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    return bench


def found(bench: Bench, ledger: Any = None, log: Any = None, maps: Any = None) -> list[str]:
    inputs: dict[str, dict[int, Any]] = {}
    for record in bench.log if log is None else log:
        inputs.setdefault(f"{record.topic}/{record.partition}", {})[record.offset] = record
    rules = {1: bench.rules} if maps is None else maps
    slots = [Again(0, ledger or bench.ledger, lambda: inputs, rules, {"customer": 1})]
    return [f"{fault.sequence}: {fault.detail}" for fault in rejudge(slots, {"customer": 1}, 1)]


def test_what_was_recorded_comes_out_again(bench: Bench) -> None:
    assert found(bench) == []


def test_another_decision_is_found(bench: Bench) -> None:
    last = bench.ledger[-1]
    edited = [*bench.ledger[:-1], last | {"account": {"quarantined": 1}}]
    assert found(bench, edited) == ["3: judged again, it comes out otherwise: account"]
    bench.log[-1].value = bench.log[0].value
    assert found(bench) == ["3: judged again, it comes out otherwise: account, revisions, decisions_digest"]


def test_what_is_no_longer_in_the_log_cannot_be_judged(bench: Bench) -> None:
    assert found(bench, log=bench.log[1:]) == [
        "1: cannot be judged again: its changes are no longer in the log"
    ]
    assert found(bench, maps={2: bench.rules}) == [
        "1: cannot be judged again: map version 1 is no longer in the log"
    ]


def test_a_later_generation_goes_on_from_what_all_slots_had() -> None:
    """Two slots, one partition, then two: what is judged there depends on what was judged before, elsewhere."""
    partitions, log = {"customer": 1, "customer.2": 2}, list[Any]()
    bench, ledgers = Bench(), dict[int, list[Any]]()
    rules = bench.rules

    def batch(memory: SlotMemory, *records: Any) -> None:
        judge = Judge(memory, "worker")
        judged = judge.judge(rules, records)
        judge.keep(judged)
        ledgers.setdefault(memory.slot, []).append(judged.ledger)
        log.extend(records)

    first = SlotMemory(slot=slot_of("customer", 0, 2), partitions=partitions)
    keys = [f"C-{number}" for number in range(8)]
    created = [bench.upsert("crm", "seq:0:01", {"name": key}, key=key) for key in keys]
    batch(
        first,
        *created,
        bench.upsert("erp", "time:0:1", {"credit_limit": None}, fields=["credit_limit"], key="C-9"),
    )
    batch(first, bench.command(PAUSED))
    seconds = {0: first if first.slot == 0 else SlotMemory(slot=0, partitions=partitions)}
    seconds[1] = first if first.slot == 1 else SlotMemory(slot=1, partitions=partitions)
    # As the copy and a slot's opening bring it about.
    for key, state in dict(first.states["customer", 0]).items():
        place = ("customer.2", partition_of(key, 2))
        seconds[slot_of(*place, 2)].restore(place, key, state)
    for number in (0, 1):
        seconds[slot_of("customer.2", number, 2)].connections["customer.2", number] = first.connections[
            "customer", 0
        ]
    for number in (0, 1):
        mine = [key for key in [*keys, "C-9"] if partition_of(key.encode(), 2) == number]
        records = [bench.upsert("crm", "seq:0:02", {"name": f"{key} again"}, key=key) for key in mine]
        records += [bench.upsert("crm", "seq:0:01", {"name": key}, key=key) for key in mine]
        moved = [
            replace(record, topic="changes.crm.customer.2", partition=number, offset=at)
            for at, record in enumerate(records)
        ]
        batch(seconds[slot_of("customer.2", number, 2)], *moved)
    outcomes = sum((Counter(record["account"]) for found in ledgers.values() for record in found), Counter())
    assert outcomes["stale"] + outcomes["duplicate"] == 9 and outcomes["accepted"] == 17
    inputs: dict[str, dict[int, Any]] = {}
    for record in log:
        inputs.setdefault(f"{record.topic}/{record.partition}", {})[record.offset] = record

    def again() -> list[str]:
        slots = [Again(number, ledgers[number], lambda: inputs, {1: rules}, partitions) for number in (0, 1)]
        return [f"{fault.sequence}: {fault.detail}" for fault in rejudge(slots, partitions, 2)]

    assert again() == []
    ledgers[first.slot][0] |= {"revisions": 1}
    assert sorted(again(), reverse=True) == [
        "1: judged again, it comes out otherwise: revisions",
        "1: cannot be judged again: it goes on from batches that were not",
    ]
