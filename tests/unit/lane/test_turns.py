"""Turns: one at a time, in the order of asking, and nobody is held up by one that hangs."""

from __future__ import annotations

import asyncio

import pytest

from broker.lane import turns
from broker.lane.turns import Turns


async def test_one_at_a_time_in_the_order_of_asking() -> None:
    shared, at_work, order = Turns(), 0, list[int]()

    async def work(number: int) -> None:
        nonlocal at_work
        async with shared.mine():
            assert at_work == 0
            at_work += 1
            await asyncio.sleep(0.001)
            at_work -= 1
            order.append(number)

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))


async def test_one_that_hangs_holds_up_nobody_for_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_S_MAX", 0.01)
    shared, hangs, done = Turns(), asyncio.Event(), list[int]()

    async def hang() -> None:
        async with shared.mine():
            await hangs.wait()

    async def work(number: int) -> None:
        async with shared.mine():
            done.append(number)

    first = asyncio.create_task(hang())
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*(work(number) for number in range(5))), 1.0)
    assert sorted(done) == list(range(5)) and not first.done()
    hangs.set()
    await first
    await asyncio.wait_for(work(5), 0.005)  # it gave the turn back: no waiting any more


async def test_few_take_in_much_at_once_and_the_others_go_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_S_MAX", 0.01)
    shared, done, got = Turns(), asyncio.Event(), list[bool]()

    async def work() -> None:
        async with shared.many() as turn:
            got.append(turn)
            if turn:
                await done.wait()

    tasks = [asyncio.create_task(work()) for _ in range(6)]
    await asyncio.sleep(0.05)
    assert sorted(got) == [False] * (6 - turns.MANY_AT_ONCE) + [True] * turns.MANY_AT_ONCE
    done.set()
    await asyncio.gather(*tasks)
    await asyncio.wait_for(work(), 0.005)
    assert got[-1]


async def test_a_turn_is_given_back_when_the_work_fails_or_is_cancelled() -> None:
    shared = Turns()
    with pytest.raises(ZeroDivisionError):
        async with shared.mine():
            raise ZeroDivisionError
    task = asyncio.create_task(_asleep(shared))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(0.05), shared.mine():
        pass


async def test_long_reads_come_one_after_the_other_and_short_ones_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "BEAT_S", 0.01)
    shared, first_is_done, read, beats = Turns(), asyncio.Event(), list[str](), list[str]()

    async def long(name: str, done: asyncio.Event | None = None) -> None:
        async with shared.reading(turns.LONG_RECORDS, lambda: beats.append(name)):
            if done is not None:
                await done.wait()
            read.append(name)

    tasks = [asyncio.create_task(long("first", first_is_done)), asyncio.create_task(long("second"))]
    await asyncio.sleep(0.05)
    async with shared.reading(turns.LONG_RECORDS - 1, lambda: None):
        read.append("short")
    assert read == ["short"] and set(beats) == {"second"}, "who waits says that it is there"
    first_is_done.set()
    await asyncio.gather(*tasks)
    assert read == ["short", "first", "second"]
    await asyncio.wait_for(long("third"), 0.01)


async def _asleep(shared: Turns) -> None:
    async with shared.mine():
        await asyncio.sleep(60)
