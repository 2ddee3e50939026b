"""The judge of a slot: misrouted keys, commands that are none, and states that stay as they are until a commit."""

from __future__ import annotations

from typing import Any, cast

import pytest

from broker.lane.judge import Judge
from broker.lane.judged import STEP_RECORDS, NotDecided
from broker.lane.memory import SlotMemory
from schemas.keys import partition_of
from tests.gate_parts import Bench


def test_a_misrouted_key_is_held_on_a_state_miss() -> None:
    bench = Bench(memory=SlotMemory(slot=0, partitions={"customer": 4}))
    wrong = bench.upsert("crm", "seq:0:01", {"name": "Ada"})
    place = partition_of(b"C-1", 4)
    wrong.partition = (place + 1) % 4
    seen = bench.see(wrong)
    assert (seen.outcome, seen.reason) == ("quarantined", "misrouted_key")
    right = bench.upsert("crm", "seq:0:01", {"name": "Ada"})
    right.partition = place
    assert bench.see(right).outcome == "accepted", "the held one was not remembered"


def test_nothing_moves_before_the_commit() -> None:
    bench = Bench()
    judge = Judge(bench.memory, "worker")
    judged = judge.judge(bench.rules, [bench.upsert("crm", "seq:0:01", {"name": "Ada"})])
    assert bench.memory == SlotMemory(slot=0, partitions={"customer": 1})
    judge.keep(judged)
    assert bench.values() is not None and bench.memory.sequence == 1


def test_what_is_no_command_is_counted_and_does_nothing() -> None:
    bench = Bench()
    unreadable, unknown, empty = bench.tick(), bench.tick(), bench.tick()
    unreadable.value = b"\0\0\0\0\7nonsense"
    unknown.topic = "commands.order"
    empty.value = None
    judged = bench.judge(unreadable, unknown, empty)
    assert judged.commands == 3 and not judged.outgoing and judged.ledger["received"] == 0


def test_a_restored_record_that_waits_is_found_by_a_tick() -> None:
    bench, other = Bench(), Bench()
    bench.judge(bench.upsert("billing", "a", {"name": "x"}), bench.upsert("erp", "b", {}))
    assert bench.state().memory.waits
    other.memory.restore(("customer", 0), b"C-1", bench.state())
    other.now_ms += 25 * 3_600_000
    assert other.see(other.tick()).judged.outgoing


def test_in_steps_it_says_what_it_says_at_once() -> None:
    def told(bench: Bench) -> list[Any]:
        systems = ("crm", "erp", "billing")
        return [
            bench.upsert(systems[n % 3], f"seq:0:{n:04d}", {"name": f"N{n % 5}"}, key=f"C-{n % 9}")
            for n in range(300)
        ]

    one, other = Bench(), Bench()
    at_once = Judge(one.memory, "worker").judge(one.rules, told(one))
    steps, count = Judge(other.memory, "worker").steps(other.rules, told(other)), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            in_steps = end.value
            break
        count += 1
        assert other.memory.sequence == 0 and not other.memory.states, "nothing moves before the commit"
    assert count == 300 // STEP_RECORDS + 1
    assert in_steps.ledger == at_once.ledger and in_steps.outgoing == at_once.outgoing
    assert in_steps.states == at_once.states


def test_the_record_over_which_deciding_failed_is_named_in_whatever_step() -> None:
    bench = Bench()
    records = [bench.upsert("crm", f"seq:0:{n:04d}", {"name": "Ada"}, key=f"C-{n}") for n in range(200)]
    records[150].headers = cast("Any", None)
    with pytest.raises(NotDecided) as failed:
        Judge(bench.memory, "worker").judge(bench.rules, records)
    assert failed.value.index == 150
