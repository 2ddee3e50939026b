"""Tasks end even where whoever they await swallowed that they were told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from broker.access import KafkaAccess
from broker.agents import control
from broker.ending import ended as ended_in_broker
from connectors.sdk.pacing import ended as ended_in_connectors
from ownership.map import OwnershipMap

Ended = Callable[..., Awaitable[None]]
both = pytest.mark.parametrize("ended", [ended_in_broker, ended_in_connectors])


async def deaf(started: asyncio.Event, times: int = 1) -> None:
    """Like a client that closes a connection when it is told to end, and then goes on."""
    started.set()
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
    await asyncio.sleep(3600)


@both
async def test_who_did_not_hear_it_is_asked_again(ended: Ended) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(deaf(started, times=2))
    await started.wait()
    await asyncio.wait_for(ended([task], again_s=0.01), 5)
    assert task.cancelled()


@both
async def test_who_cleans_up_is_left_to_it(ended: Ended) -> None:
    cleaned = []

    async def careful() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(True)

    task = asyncio.create_task(careful())
    await asyncio.sleep(0)
    await ended([task], again_s=10)
    assert task.cancelled() and cleaned == [True]


@both
async def test_what_ended_before_keeps_what_it_raised(ended: Ended) -> None:
    async def failing() -> None:
        raise LookupError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await ended([task])
    await ended([])
    with pytest.raises(LookupError):
        task.result()


async def test_control_ends_where_a_part_of_it_did_not_hear_it(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once waited for ever, with nothing indexed, where another map came while it was still connecting."""
    started, stop = asyncio.Event(), asyncio.Event()

    async def ticks(*_: Any) -> None:
        await deaf(started)

    monkeypatch.setattr(control, "run_ticks", ticks)
    settings = control.ControlSettings(
        kafka=KafkaAccess(f"127.0.0.1:{unused_tcp_port}"),
        database_url=f"sqlite:///{tmp_path / 'control.db'}",
        ownership_map=OwnershipMap(version=1, digest=""),
        port=None,
    )
    running = asyncio.create_task(control.serve(settings, stop))
    await started.wait()
    stop.set()
    await asyncio.wait_for(running, 20)
