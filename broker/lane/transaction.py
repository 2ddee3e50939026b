"""One transactional producer per slot: everything a batch brings about moves together, or not at all (I3).

Records are built into batches (`create_batch`, `send_batch`), one future each, and every future is awaited before the
commit: aiokafka commits a transaction although one of its batches has failed (reference: faust-and-aiokafka, E6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer

from broker import topics
from broker.access import KafkaAccess
from broker.gate.route import ENVELOPE, Destination, Outgoing
from schemas.registry import envelopes

BATCH_BYTES_MAX = 1024 * 1024
REQUEST_BYTES_MAX = 8 * 1024 * 1024
TRANSACTION_TIMEOUT_MS = 15_000


def transactional_id(slot: int) -> str:
    """Fences: whoever starts a producer of this name ends the transactions of the one before."""
    return f"gate-slot-{slot}"


class SlotWriter:
    """Writes what the batches of one slot bring about."""

    def __init__(self, access: KafkaAccess, slot: int) -> None:
        self._slot = slot
        self._producer = AIOKafkaProducer(
            **access.client_options(),
            client_id=f"gate-{slot}",
            acks="all",
            linger_ms=0,
            transactional_id=transactional_id(slot),
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
            request_timeout_ms=40_000,
        )
        self._ids = {name: envelopes().id_of(name) for name in (*ENVELOPE.values(), "ledger")}
        self._codec = envelopes().codec

    async def start(self) -> None:
        """Start, and by that fence the slot's former worker (I3: first of all when a slot opens)."""
        await self._producer.start()

    async def stop(self) -> None:
        """Let go of the producer; an open transaction is aborted by Kafka or by the next owner of the slot."""
        await self._producer.stop()

    async def commit(self, outgoing: Iterable[tuple[Outgoing, int]], ledger: dict[str, Any]) -> None:
        """Write the records and the ledger in one transaction. Any exception: nothing of it is to be relied on."""
        producer = self._producer
        await producer.begin_transaction()
        builders: dict[tuple[str, int], Any] = {}
        sent: list[Any] = []
        for record, partition in outgoing:
            await self._append(record, partition, builders, sent)
        ledger_value = self._codec.encode(self._ids["ledger"], ledger)
        await self._put(topics.LEDGER, self._slot, b"%d" % self._slot, ledger_value, [], builders, sent)
        for (topic, partition), builder in builders.items():
            builder.close()
            sent.append(await producer.send_batch(builder, topic, partition=partition))
        await asyncio.gather(*sent)  # I3: a batch that failed must not be committed around
        await producer.commit_transaction()

    async def _append(
        self,
        record: Outgoing,
        partition: int,
        builders: dict[tuple[str, int], Any],
        sent: list[Any],
    ) -> None:
        topic, place = self._place(record, partition)
        body = record.body
        value = body if body is None or isinstance(body, bytes) else self._encode(record.destination, body)
        await self._put(topic, place, record.key, value, list(record.headers), builders, sent)

    def _encode(self, destination: Destination, body: Any) -> bytes:
        return self._codec.encode(self._ids[ENVELOPE[destination]], body)

    def _place(self, record: Outgoing, partition: int) -> tuple[str, int]:
        match record.destination:
            case Destination.AUTHORITATIVE:
                return topics.authoritative(record.target), partition
            case Destination.STATE:
                return topics.state(record.target), partition
            case Destination.QUARANTINE:
                return topics.QUARANTINE, self._slot
            case Destination.REFUSALS:
                return topics.refusals(record.target), self._slot
            case Destination.PROPOSALS:
                return topics.proposals(record.target), self._slot
            case Destination.TRAIL:
                return topics.TRAIL, self._slot

    async def _put(
        self,
        topic: str,
        partition: int,
        key: bytes,
        value: bytes | None,
        headers: Any,
        builders: dict[tuple[str, int], Any],
        sent: list[Any],
    ) -> None:
        builder = builders.get((topic, partition))
        if builder is None:
            builder = builders[topic, partition] = self._producer.create_batch()
        if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            sent.append(await self._producer.send_batch(builder, topic, partition=partition))
            builder = builders[topic, partition] = self._producer.create_batch()
            if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
                msg = f"a record of {len(value or b'')} bytes does not fit an empty batch of {topic}"
                raise ValueError(msg)
