"""From the system to Kafka: read, publish, and only then let the source forget.

One order of steps carries the guarantee "nothing lost": Kafka acknowledges every record of a batch, the
source commits, the position is stored. A crash between two of them repeats changes under equal ids; it never
loses one.
"""

from __future__ import annotations

import asyncio

import structlog

from connectors.sdk.errors import ConnectorError
from connectors.sdk.pacing import backoff_ms, pause
from connectors.sdk.publish import Publisher, change_record
from connectors.sdk.source import ReadBatch, Source
from connectors.sdk.wiring import Wiring

log = structlog.get_logger("connectors.sdk")

STREAM = "source"
"""Name of the source's position in the store."""


async def run_source(wiring: Wiring, source: Source, stop: asyncio.Event) -> None:
    """Publish the changes of `source` until `stop`. A system or a Kafka that is away is waited for without
    limit.
    """
    publisher = Publisher(wiring.access)
    attempt = 0
    try:
        while not stop.is_set():
            try:
                await source.open(wiring.store.position(STREAM))
                log.info("source.opened", system=wiring.config.system)
                attempt = 0
                await _read_on(wiring, source, publisher, stop)
            except ConnectorError as error:
                attempt += 1
                log.warning("source.interrupted", system=wiring.config.system, code=error.code,
                            detail=error.detail, remedy=error.remedy, attempt=attempt)  # fmt: skip
                await source.close()
                await pause(backoff_ms(attempt), stop)
    finally:
        await source.close()
        await wiring.precheck.close()
        await publisher.close()


async def _read_on(wiring: Wiring, source: Source, publisher: Publisher, stop: asyncio.Event) -> None:
    position = wiring.store.position(STREAM)
    while not stop.is_set():
        await wiring.precheck.look()
        batch = await source.read()
        if not batch.events and batch.position == position:
            await pause(wiring.config.poll_interval_ms, stop, wiring.nudge)
            continue
        wiring.precheck.examine(batch.events)
        if not await _published(wiring, publisher, batch, stop):
            return
        await source.commit(batch.position)
        wiring.store.keep_position(STREAM, batch.position)
        position = batch.position
        if batch.events:
            log.info("source.published", system=wiring.config.system, changes=len(batch.events))
        else:
            await pause(wiring.config.poll_interval_ms, stop, wiring.nudge)


async def _published(wiring: Wiring, publisher: Publisher, batch: ReadBatch, stop: asyncio.Event) -> bool:
    records = [
        change_record(event, wiring.config.system, wiring.contracts[event.object], wiring.registry.codec)
        for event in batch.events
    ]
    return not records or await publisher.publish(records, stop)
