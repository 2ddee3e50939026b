"""One transactional producer per slot: everything a batch brings about moves together, or not at all (I3).

A slot's projector has one of its own.

Records are built into batches (`create_batch`, `send_batch`), one future each, and every future is awaited before the
commit: aiokafka commits a transaction although one of its batches has failed (reference: faust-and-aiokafka, E6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from broker import topics
from broker.access import KafkaAccess
from broker.gate.outgoing import ENVELOPE, Destination, Outgoing
from broker.lane.end_txn import EndOnceProducer
from broker.lane.places import Place, place_of
from schemas.registry import envelopes

BATCH_BYTES_MAX = 1024 * 1024
REQUEST_BYTES_MAX = 8 * 1024 * 1024
TRANSACTION_TIMEOUT_MS = 30_000
"""Longer than two requests, one after the other, wait for a broker that is silent: else Kafka ends the transaction
while the first is still under way, and the slot has to open again."""


def transactional_id(slot: int, part: str = "slot") -> str:
    """Fences: whoever starts a producer of this name ends the transactions of the one before."""
    return f"gate-{part}-{slot}"


class DoesNotFit(ValueError):
    """A record is larger than what any batch may hold."""


class Transactions:
    """One producer and its transactions, one after the other."""

    def __init__(self, access: KafkaAccess, name: str) -> None:
        self._access, self._name = access, name
        self._producer = self._make()

    def _make(self) -> EndOnceProducer:
        return EndOnceProducer(
            **self._access.client_options(),
            client_id=self._name,
            acks="all",
            linger_ms=0,
            transactional_id=self._name,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
        )

    async def renew(self) -> None:
        """Give up what was sent and not committed, and start a producer that fences the one before."""
        await self._producer.stop()
        self._producer = self._make()
        await self._producer.start()

    async def start(self) -> None:
        """Start, and by that fence the former worker (I3: first of all when a slot opens)."""
        await self._producer.start()

    async def stop(self) -> None:
        """Let go of the producer; an open transaction is aborted by Kafka or by the next owner of the slot."""
        await self._producer.stop()

    def batches(self) -> Batches:
        """An empty set of batches for one transaction; built before it begins, which keeps it short."""
        return Batches(self._producer)

    async def send(self, batches: Batches) -> dict[tuple[str, int], int]:
        """Write the batches in one transaction; the next offset of each (topic, partition), -1 = Kafka did not say.

        Any exception: nothing of it is to be relied on.

        EndUnknownError: it may or may not have been committed. After any, this producer is of no more use.
        """
        producer, filled = self._producer, batches.all()
        for topic, _, _ in filled:
            # Known topics answer at once. One that we may not write is said here; its batch would look for a leader
            # without end.
            await producer.partitions_for(topic)
        await producer.begin_transaction()
        sent, counts = [], []
        for topic, partition, builder in filled:
            builder.close()
            sent.append(await producer.send_batch(builder, topic, partition=partition))
            counts.append(builder.record_count())
        written = await _acknowledged(sent)  # I3: a batch that failed must not be committed around
        await producer.commit_transaction()
        return {
            (at.topic, at.partition): at.offset + count if at.offset >= 0 else -1
            for at, count in zip(written, counts, strict=True)
        }

    async def mark(self, places: Collection[Place], others: Collection[Place] = ()) -> dict[Place, int]:
        """`mark_all` of both; -1 for the others where one of them may not be written."""
        try:
            return await self.mark_all({*places, *others})
        except TopicAuthorizationFailedError:
            if not others:
                raise
            await self.renew()
            return await self.mark_all(places) | dict.fromkeys(others, -1)

    async def mark_all(self, places: Collection[Place]) -> dict[Place, int]:
        """Offsets that the log of each (topic, partition) goes beyond; whoever says that it ends before is wrong.

        Writes a record to each and takes it back: only who really leads a partition can have a write acknowledged.
        Nobody who reads what is committed sees it. Raises KafkaError.
        """
        producer = self._producer
        await producer.begin_transaction()
        sent = []
        for topic, partition in places:
            builder = producer.create_batch()
            builder.append(timestamp=None, key=b"", value=b"", headers=[])
            builder.close()
            sent.append(await producer.send_batch(builder, topic, partition=partition))
        written = await _acknowledged(sent)
        await producer.abort_transaction()
        if unsaid := [f"{at.topic}/{at.partition}" for at in written if at.offset < 0]:
            raise KafkaError(f"Kafka did not say where a record of {unsaid[0]} is")
        return {(at.topic, at.partition): at.offset + 1 for at in written}


async def _acknowledged(sent: Iterable[Awaitable[Any]]) -> list[Any]:
    """What Kafka says of each batch. Raises what became of the first that failed, or of one that may not be written:
    where Kafka refuses one partition, the others of the transaction fail for want of it.
    """
    found = await asyncio.gather(*sent, return_exceptions=True)
    errors = [one for one in found if isinstance(one, BaseException)]
    if errors:
        raise next((error for error in errors if isinstance(error, TopicAuthorizationFailedError)), errors[0])
    return found


class SlotWriter(Transactions):
    """Writes what the batches of one slot bring about."""

    def __init__(self, access: KafkaAccess, slot: int) -> None:
        super().__init__(access, transactional_id(slot))
        self._slot = slot
        self._ids = {name: envelopes().id_of(name) for name in (*ENVELOPE.values(), "ledger")}
        self._codec = envelopes().codec

    async def commit(
        self,
        outgoing: Iterable[tuple[Outgoing, int]],
        ledger: dict[str, Any],
        streams: Mapping[str, str],
    ) -> dict[tuple[str, int], int]:
        """Write the records and the ledger in one transaction; what `send` says of it. `streams`: of each object."""
        return await self.send(self._batches(outgoing, ledger, streams))

    async def complete(
        self,
        outgoing: Iterable[tuple[Outgoing, int]],
        ledger: Mapping[str, Any],
        streams: Mapping[str, str],
        missing: Collection[Place],
    ) -> dict[Place, int]:
        """The same for a batch of which only what belongs to the missing places is to be written."""
        return await self.send(self._batches(outgoing, ledger, streams, missing))

    def _batches(
        self,
        outgoing: Iterable[tuple[Outgoing, int]],
        ledger: Mapping[str, Any],
        streams: Mapping[str, str],
        only: Collection[Place] | None = None,
    ) -> Batches:
        batches = self.batches()
        before, place = None, ("", 0)
        for record, partition in outgoing:
            whither = (record.destination, record.target, partition)
            if whither != before:
                before, place = whither, place_of(self._slot, *whither, streams)
            if only is not None and place not in only:
                continue
            body = record.body
            value = (
                body if body is None or isinstance(body, bytes) else self._encode(record.destination, body)
            )
            batches.put(place, record.key, value, record.headers)
        if only is None or (topics.LEDGER, self._slot) in only:
            ledger_value = self._codec.encode(self._ids["ledger"], ledger)
            batches.put((topics.LEDGER, self._slot), b"%d" % self._slot, ledger_value, ())
        return batches

    def _encode(self, destination: Destination, body: Any) -> bytes:
        return self._codec.encode(self._ids[ENVELOPE[destination]], body)


class Batches:
    """The batches of one transaction while they are filled."""

    def __init__(self, producer: EndOnceProducer) -> None:
        self._producer = producer
        self._open: dict[tuple[str, int], Any] = {}
        self._full: list[tuple[str, int, Any]] = []

    def put(
        self, place: tuple[str, int], key: bytes, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        batch = self._open.get(place)
        if batch is None:
            batch = self._open[place] = self._producer.create_batch()
        given = headers if isinstance(headers, list) else list(headers)  # aiokafka takes nothing else
        if batch.append(timestamp=None, key=key, value=value, headers=given) is None:
            self._full.append((*place, batch))
            batch = self._open[place] = self._producer.create_batch()
            if batch.append(timestamp=None, key=key, value=value, headers=given) is None:
                msg = f"a record of {len(value or b'')} bytes does not fit an empty batch of {place[0]}"
                raise DoesNotFit(msg)

    def all(self) -> list[tuple[str, int, Any]]:
        """(topic, partition, batch), those of one place in the order in which they were filled."""
        return self._full + [(topic, partition, batch) for (topic, partition), batch in self._open.items()]
