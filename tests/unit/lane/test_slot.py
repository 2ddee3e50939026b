"""A slot that the group has given to another fences nobody; the watchdog and the boot checks say what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from broker import topics
from broker.access import KafkaAccess
from broker.lane import slot as slot_module
from broker.lane.boot import COMPILED, PINNED, TopicFound, environment, of_libraries, of_topics
from broker.lane.slot import Slot
from broker.lane.turns import Turns
from broker.lane.watchdog import stuck, waits_at
from broker.rules import rules_of
from tests.gate_parts import map_texts


def states() -> Any:
    raise AssertionError("no slot opens here")


async def test_the_group_is_asked_before_a_producer_fences_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """I3: a worker that was asleep must not take a slot back from the one that has it now."""
    started: list[int] = []
    asked: list[int] = []

    class Writer:
        def __init__(self, _: Any, number: int) -> None:
            self.number = number

        async def start(self) -> None:
            started.append(self.number)
            raise ConnectionError

        async def stop(self) -> None: ...

    async def is_ours(number: int) -> bool:
        asked.append(number)
        return len(asked) > 3

    async def submit(_: Any) -> None: ...

    monkeypatch.setattr(slot_module, "SlotWriter", Writer)
    monkeypatch.setattr(slot_module, "ASK_AGAIN_S", 0.001)
    maps: Any = None
    slot = Slot(7, KafkaAccess(""), maps, submit, "worker", lambda *_: None, is_ours, states, Turns())
    run = asyncio.create_task(slot.run())
    await asyncio.sleep(0.01)
    assert asked == []  # it has nothing to do yet
    slot.set_inputs([TopicPartition("changes.crm.customer", 0)], {"customer": 1})
    with pytest.raises(ConnectionError):
        await run
    assert asked == [7, 7, 7, 7] and started == [7]


async def test_a_slot_that_is_given_away_before_it_opens_ends_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def is_ours(_: int) -> bool:
        return False

    async def submit(_: Any) -> None: ...

    monkeypatch.setattr(slot_module, "ASK_AGAIN_S", 0.001)
    maps: Any = None
    slot = Slot(7, KafkaAccess(""), maps, submit, "worker", lambda *_: None, is_ours, states, Turns())
    slot.set_inputs([TopicPartition("changes.crm.customer", 0)], {"customer": 1})
    run = asyncio.create_task(slot.run())
    await asyncio.sleep(0.01)
    slot.stop()
    await asyncio.wait_for(run, 1)


def test_who_has_not_come_round_is_named() -> None:
    beats = {"lane": 100.0, "slot 3": 99.0, "slot 1": 20.0, "slot 0": 19.9}
    assert stuck(beats, 120.0, after_s=100.0) == ["slot 0"]
    assert stuck(beats, 200.1, after_s=100.0) == ["lane", "slot 0", "slot 1", "slot 3"]
    assert stuck({}, 1e9, 100.0) == []


async def test_where_a_task_waits_is_told_down_to_the_innermost_await() -> None:
    never = asyncio.Event()

    async def inner() -> None:
        await never.wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    told = waits_at(task).split(" > ")
    assert [where.split(" (")[0].split(".")[-1] for where in told] == ["outer", "inner", "wait"]
    assert told[1].split(" (")[1].startswith("test_slot.py:"), told
    never.set()
    await task
    assert waits_at(task) == ""


def test_this_very_environment_is_fit() -> None:
    assert environment() == []


def test_other_libraries_are_said_one_by_one() -> None:
    assert list(of_libraries(PINNED, COMPILED, optimised=False)) == []
    found = list(of_libraries(PINNED | {"aiokafka": "0.15.0"}, COMPILED[:1], optimised=True))
    assert [finding.what for finding in found] == [
        "aiokafka 0.15.0 is installed, 0.14.0 is needed",
        f"{COMPILED[1]} is not compiled",
        "Python runs with -O",
    ]
    assert all(finding.what_to_do for finding in found)


def test_topics_are_held_to_the_plan() -> None:
    plans = list(topics.plan(rules_of(map_texts(), 1).ownership_map, partitions=4, slots=2))
    as_planned = {plan.name: TopicFound(plan.partitions, 3, topics.settings_of(plan, 3)) for plan in plans}
    assert list(of_topics(plans, as_planned, replicas=3)) == []
    assert list(of_topics(plans, {}, replicas=3)) == []  # what is missing is taken up when it comes
    other = dict(as_planned)
    other["ledger"] = TopicFound(5, 3, as_planned["ledger"].settings | {"cleanup.policy": "compact"})
    other["trail"] = TopicFound(2, 2, as_planned["trail"].settings | {"min.insync.replicas": "1"})
    other["authoritative.customer"] = TopicFound(9, 3, as_planned["authoritative.customer"].settings)
    other["quarantine"] = TopicFound(2, 3, as_planned["quarantine"].settings | {"min.insync.replicas": "1"})
    assert sorted(finding.what for finding in of_topics(plans, other, replicas=3)) == [
        "ledger has 5 partitions, 2 slots are asked for",
        "ledger has cleanup.policy=compact, planned is delete",
        "quarantine has min.insync.replicas=1, planned is 2",
        "trail has 2 copies, 3 are asked for",
    ]
