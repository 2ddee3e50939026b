"""Refusals and proposals: from the gate's topics to the people of the system, through its adapter.

At least once; adapters are idempotent by the message's id. A message that cannot be left is logged and passed
over after the configured retries: the case itself stays in the gate's quarantine, so nothing is lost with it.
"""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import IllegalStateError, KafkaError

from connectors.sdk.consume import started_consumer
from connectors.sdk.errors import ConnectionLost, ConnectorError
from connectors.sdk.feedback import Proposal, Refusal, proposal_of, refusal_of
from connectors.sdk.guarded import GuardedSink
from connectors.sdk.pacing import backoff_ms, pause
from connectors.sdk.wiring import Wiring
from schemas.errors import SchemaError
from schemas.registry import envelopes

log = structlog.get_logger("connectors.sdk")

_WAIT_MS = 500


async def run_feedback(wiring: Wiring, sink: GuardedSink, stop: asyncio.Event) -> None:
    """Deliver messages until `stop`."""
    system = wiring.config.system
    consumer = await started_consumer(wiring.access, f"{system}.feedback", stop)
    if consumer is None:
        return
    try:
        consumer.subscribe([f"refusals.{system}", f"proposals.{system}"])
        while not stop.is_set():
            fetched = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=100)
            for records in fetched.values():
                for record in records:
                    if not await _deliver(wiring, sink, record, stop):
                        return
            if fetched:
                await _commit(consumer, system)
    finally:
        await consumer.stop()


async def _deliver(
    wiring: Wiring, sink: GuardedSink, record: ConsumerRecord[bytes, bytes], stop: asyncio.Event
) -> bool:
    """False when stopped before the message could be left."""
    try:
        message = _message(record)
    except SchemaError as error:
        log.warning("feedback.unreadable", topic=record.topic, offset=record.offset, code=error.code)
        return True
    attempt = 0
    while not stop.is_set():
        try:
            await sink.receive(message)
            return True
        except ConnectorError as error:
            attempt += 1
            log.warning("feedback.interrupted", topic=record.topic, code=error.code, attempt=attempt)
            if not isinstance(error, ConnectionLost) and attempt > wiring.config.retries:
                log.warning("feedback.passed_over", topic=record.topic, offset=record.offset, code=error.code)
                return True
            await pause(backoff_ms(attempt), stop)
    return False


def _message(record: ConsumerRecord[bytes, bytes]) -> Refusal | Proposal:
    kind = "refusal" if record.topic.startswith("refusals.") else "proposal"
    decoded = envelopes().codec.decode(record.value or b"", envelopes().ids(f"solesource.{kind}"))
    return refusal_of(decoded) if kind == "refusal" else proposal_of(decoded)


async def _commit(consumer: AIOKafkaConsumer, system: str) -> None:
    try:
        await consumer.commit()
    except (KafkaError, IllegalStateError) as error:
        # Messages come again after a restart; adapters recognise them by their ids.
        log.warning("feedback.commit_failed", system=system, fault=type(error).__name__)
