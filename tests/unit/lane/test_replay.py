"""Where a log ends: whoever says less than is known is asked again; an input is parked only for what is really gone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from broker.access import KafkaAccess
from broker.lane import replay, slot
from broker.lane.replay import LogBehindError, stable_ends
from broker.lane.turns import Turns

PLACE, OTHER = TopicPartition("ledger", 1), TopicPartition("state.customer", 0)


class Told:
    """A consumer that is told one end after the other, by whoever leads at that moment."""

    def __init__(self, *ends: int, begin: int = 0) -> None:
        self._ends: Iterator[int] = iter(ends)
        self._begin = begin
        self._client = self
        self.asked_for_leaders = 0

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, next(self._ends))

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self._begin)

    async def force_metadata_update(self) -> None:
        self.asked_for_leaders += 1

    async def getmany(self, **_: Any) -> Any:
        raise OffsetOutOfRangeError({PLACE: 10})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_ASK_AGAIN_S", 0.001)


async def test_an_end_that_is_too_low_is_not_believed() -> None:
    """I3: who led before says so until it hears of its successor."""
    consumer: Any = Told(*[7] * 11, 12)
    assert await stable_ends(consumer, [PLACE, OTHER], {PLACE: 9}) == {PLACE: 12, OTHER: 12}
    assert consumer.asked_for_leaders == 2


async def test_what_is_known_of_nothing_is_believed() -> None:
    consumer: Any = Told(7)
    assert await stable_ends(consumer, [PLACE], {}) == {PLACE: 7}


async def test_a_log_that_stays_behind_opens_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_BEHIND_S_MAX", 0.0)
    consumer: Any = Told(*[7] * 50)
    with pytest.raises(LogBehindError, match=r"ends at 7, which cannot be"):
        await stable_ends(consumer, [PLACE], {PLACE: 9})


@pytest.mark.parametrize(("begin", "parked"), [(0, {}), (11, {PLACE: math.inf})])
async def test_an_input_is_parked_only_where_the_log_begins_behind_it(
    begin: int, parked: dict[TopicPartition, float]
) -> None:
    """I10: what a broker that led before does not know of is not gone."""
    nothing: Any = None
    opened = slot.Slot(1, KafkaAccess(""), nothing, nothing, "worker", nothing, nothing, nothing, Turns())
    consumer: Any = Told(begin=begin)
    await opened._round(consumer, nothing, nothing)
    assert opened.parked == parked
    assert opened._changed_inputs.is_set(), "where it goes on is looked up again"
    assert not asyncio.all_tasks() - {asyncio.current_task()}
