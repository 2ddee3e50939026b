"""Runs the loops of one connector side by side in one process, and ends them together.

A loop that ends with a defect ends the connector: it is supervised from outside, and half a connector would
look alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from connectors.sdk.adapter import Connector, find_connector
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.feedback_loop import run_feedback
from connectors.sdk.guarded import GuardedSink
from connectors.sdk.pacing import ended
from connectors.sdk.sink_loop import SinkLoop
from connectors.sdk.source_loop import run_source
from connectors.sdk.wiring import Wiring, wire

log = structlog.get_logger("connectors.sdk")

GRACE_S = 5.0
"""Seconds that loops get to end after a stop, before they are cancelled."""


async def run_connector(
    config: ConnectorConfig, stop: asyncio.Event, connector: Connector | None = None
) -> None:
    """Run until `stop` is set.

    Raises ConfigInvalid at once for a configuration that cannot work, and later whatever ended a loop by
    defect.
    """
    chosen = find_connector(config.adapter) if connector is None else connector
    wiring = wire(config)
    try:
        parts = chosen.build(wiring.context())
        log.info(
            "connector.started", system=config.system, adapter=chosen.name, objects=sorted(config.objects)
        )
        loops: list[Coroutine[Any, Any, None]] = []
        if parts.source is not None:
            loops.append(run_source(wiring, parts.source, stop))
        if parts.sink is not None:
            loops.extend(_sink_loops(wiring, GuardedSink(parts.sink), stop))
        await _together([asyncio.create_task(loop) for loop in loops], stop)
        log.info("connector.stopped", system=config.system)
    finally:
        wiring.store.close()


def _sink_loops(wiring: Wiring, sink: GuardedSink, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
    return [SinkLoop(wiring, sink).run(stop), run_feedback(wiring, sink, stop)]


async def _together(tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        _, late = await asyncio.wait(tasks, timeout=GRACE_S)
        if late:
            log.warning("connector.stop_forced", loops=len(late))
    finally:
        await ended([stopping, *tasks])
    for task in tasks:
        if not task.cancelled():
            task.result()
