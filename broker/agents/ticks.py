"""Minute ticks: a command to every partition of every commands topic; idle slots' gate time moves too.

A tick that could not be sent is not made up for: the next one says all that it would have said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.errors import KafkaError

from broker import telemetry
from broker.access import KafkaAccess
from broker.agents.orders import send_everywhere
from broker.clock import now_ms
from broker.commands import command_value

TICK_EVERY_S = 60.0


def tick_value(object_name: str, partition: int, issued_ms: int) -> bytes:
    """The wire bytes of one tick."""
    command_id = f"tick/{object_name}/{partition}/{issued_ms}"
    return command_value("tick", command_id=command_id, by="control", issued_ms=issued_ms)


async def tick_once(access: KafkaAccess, objects: Iterable[str]) -> int:
    """Send one tick to every partition; returns how many. Raises KafkaError, TimeoutError."""
    issued_ms = now_ms()
    return len(
        await send_everywhere(access, objects, lambda name, number: tick_value(name, number, issued_ms))
    )


async def run_ticks(access: KafkaAccess, objects: Iterable[str], every_s: float = TICK_EVERY_S) -> None:
    """Tick until cancelled, the first time at once."""
    names = tuple(objects)
    while True:
        try:
            telemetry.log("ticks.sent", count=await tick_once(access, names))
        except (KafkaError, OSError, TimeoutError) as error:
            telemetry.log("ticks.failed", level="warning", error=type(error).__name__)
        await asyncio.sleep(every_s)
