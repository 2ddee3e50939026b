"""From Kafka to the system: read authoritative records in order, apply, acknowledge, and only then commit
offsets.

Which fields are written is decided in `deliveries`, what a range says in `acknowledgements`; this loop owns
retries. A record that the system refuses for now waits by itself while other keys go on; a system that is
away stops nothing but itself: updates stay pending, without limit, and newer revisions of a key replace older
ones meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from connectors.sdk.acknowledgements import Range, Settled
from connectors.sdk.clock import now_ms, ticks_ms
from connectors.sdk.consume import started_consumer
from connectors.sdk.deliveries import Pending, next_update, nothing_to_do
from connectors.sdk.errors import ConnectionLost, ConnectorError, OutcomeMissing
from connectors.sdk.generations import generation_of
from connectors.sdk.guarded import GuardedSink
from connectors.sdk.pacing import backoff_ms, pause
from connectors.sdk.publish import Outgoing, Publisher
from connectors.sdk.routes import Route, Routes
from connectors.sdk.sink import Applied, Failed, Outcome, Retry, Skipped, Update
from connectors.sdk.store import AppliedRevision
from connectors.sdk.wiring import Wiring
from schemas.authoritative import parse_authoritative
from schemas.errors import SchemaError
from schemas.registry import envelopes

log = structlog.get_logger("connectors.sdk")

ACKNOWLEDGE_EVERY_MS = 250
"""At most four acknowledgements a second per partition."""
LOOK_EVERY_MS = 2_000
"""How often a sink looks whether it may read from elsewhere now."""
OPEN_MAX = 10_000
"""Records read but not acknowledged, per connector, above which nothing more is read."""
_WAIT_MS = 200
_FETCH_MAX = 1000


class SinkLoop:
    """The sink side of one connector."""

    def __init__(self, wiring: Wiring, sink: GuardedSink) -> None:
        self._wiring = wiring
        self._system = wiring.config.system
        self._sink = sink
        self._publisher = Publisher(wiring.access)
        self._ranges: dict[TopicPartition, Range] = {}
        self._pending: dict[tuple[str, bytes], Pending] = {}
        self._acknowledged_ms: dict[TopicPartition, int] = {}
        self._unsaid: list[Outgoing] = []
        self._through: dict[TopicPartition, int] = {}
        config = wiring.config
        self._routes = Routes(wiring.access, wiring.registry, self._system, config.objects)
        self._by_topic: dict[str, Route] = {}
        self._look_due_ms = 0
        self._sink_due_ms = 0
        self._sink_attempt = 0
        self._more_due = False

    async def run(self, stop: asyncio.Event) -> None:
        """Apply and acknowledge until `stop`."""
        consumer = await started_consumer(self._wiring.access, f"{self._system}.sink", stop)
        if consumer is None:
            return
        try:
            while not stop.is_set():
                await self._find_routes(consumer)
                await self._turn(consumer, stop)
            await self._acknowledge(consumer, asyncio.Event(), every_ms=0)
        finally:
            await self._sink.close()
            await self._routes.close()
            await self._publisher.close()
            await consumer.stop()

    async def _find_routes(self, consumer: AIOKafkaConsumer) -> None:
        """Read from where the system may read now; rights change while it runs."""
        if ticks_ms() < self._look_due_ms:
            return
        self._look_due_ms = ticks_ms() + LOOK_EVERY_MS
        try:
            found = await self._routes.look(consumer)
        except (KafkaError, SchemaError) as error:
            log.warning("sink.routes_unknown", system=self._system, fault=type(error).__name__)
            return
        if found.keys() != self._by_topic.keys():
            self._by_topic = found
            consumer.subscribe(list(found), listener=_Forget(self)) if found else consumer.unsubscribe()
            log.info("sink.reads", system=self._system, topics=sorted(found))

    def _full(self) -> bool:
        return sum(map(len, self._ranges.values())) >= OPEN_MAX

    async def _fetch(self, consumer: AIOKafkaConsumer) -> None:
        try:
            wait_ms = 0 if self._more_due else _WAIT_MS
            while fetched := await consumer.getmany(timeout_ms=wait_ms, max_records=_FETCH_MAX):
                self._take_all(fetched)
                if self._full():
                    break
                wait_ms = 0
        except (TopicAuthorizationFailedError, UnknownTopicOrPartitionError) as error:
            # A right was taken back, or its deliveries are made anew elsewhere: it must be looked where.
            log.warning("sink.right_changed", system=self._system, fault=type(error).__name__)
            self._look_due_ms = 0

    def _take_all(self, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]) -> None:
        for partition, records in fetched.items():
            if partition.topic in self._by_topic:
                self._take(partition, records, self._by_topic[partition.topic])

    async def _turn(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        if self._by_topic and not self._full():
            await self._fetch(consumer)
        else:
            await pause(_WAIT_MS, stop)
        await self._apply_due()
        await self._acknowledge(consumer, stop, every_ms=ACKNOWLEDGE_EVERY_MS)

    # --- reading

    def _take(
        self, partition: TopicPartition, records: Sequence[ConsumerRecord[bytes, bytes]], route: Route
    ) -> None:
        name = route.object
        fresh = Range(name, partition.partition, generation_of(partition.topic))
        span = self._ranges.setdefault(partition, fresh)
        known = self._wiring.store.applied(name, {bytes(record.key) for record in records if record.key})
        for record in records:
            key = bytes(record.key or b"")
            try:
                envelope = parse_authoritative(record.headers)
                span.saw(record.offset, key, envelope.time_ms, envelope.sequence)
                values = route.values(record.value)
            except SchemaError as error:
                span.saw(record.offset, key, record.timestamp)
                self._settle(partition, [record.offset], Failed(error.code, error.detail))
                continue
            waiting = self._pending.get((name, key))
            before: Update | AppliedRevision | None = waiting.update if waiting else known.get(key)
            update = next_update(
                envelope,
                values,
                system=self._system,
                key=key.decode(),
                decided_ms=record.timestamp,
                before=before,
                generation=route.generation,
            )
            if update is None:
                skipped = Skipped("a newer revision was applied")
                self._settle(partition, [record.offset], skipped)
            elif waiting is None:
                self._pending[name, key] = Pending(partition, key, update, [record.offset])
            else:
                waiting.update = update
                waiting.offsets.append(record.offset)

    # --- applying

    async def _apply_due(self) -> None:
        now = ticks_ms()
        due = []
        for pending in list(self._pending.values()):
            reason = nothing_to_do(pending.update, self._system)
            if reason is not None:
                self._finish([(pending, Skipped(reason))])
            elif pending.due_ms <= now:
                due.append(pending)
        due, more = due[: self._wiring.config.batch_max], due[self._wiring.config.batch_max :]
        self._more_due = bool(more) and now >= self._sink_due_ms
        if not due or now < self._sink_due_ms:
            return
        outcomes = await self._outcomes([pending.update for pending in due])
        if outcomes is not None:
            self._sink_attempt = 0
            self._finish(list(zip(due, outcomes, strict=True)))

    async def _outcomes(self, updates: Sequence[Update]) -> Sequence[Outcome] | None:
        """None when the system is away: every update stays pending."""
        try:
            return await self._sink.apply(updates)
        except OutcomeMissing:
            raise
        except ConnectionLost as error:
            self._sink_attempt += 1
            self._sink_due_ms = ticks_ms() + backoff_ms(self._sink_attempt)
            log.warning("sink.interrupted", system=self._system, code=error.code, detail=error.detail,
                        remedy=error.remedy, waiting=len(updates), attempt=self._sink_attempt)  # fmt: skip
            return None
        except ConnectorError as error:
            return [Retry(error.code, error.detail)] * len(updates)

    def _finish(self, ended: Sequence[tuple[Pending, Outcome]]) -> None:
        applied = []
        for pending, outcome in ended:
            update = pending.update
            if self._pending.get((update.object, pending.key)) is not pending:
                continue  # given away with its partition while it was being applied
            if isinstance(outcome, Retry):
                pending.attempts += 1
                if pending.attempts <= self._wiring.config.retries:
                    pending.due_ms = ticks_ms() + backoff_ms(pending.attempts)
                    continue
                outcome = Failed(outcome.code, outcome.message)  # noqa: PLW2901 - given up: the outcome is another now
                pending.attempts -= 1
            if isinstance(outcome, Failed):
                # The applied revision stays behind: the next revision of this record is written in full.
                tries = pending.attempts + 1
                log.warning("sink.update_failed", system=self._system, object=update.object,
                            code=outcome.code, revision=update.revision, tries=tries)  # fmt: skip
            else:
                done = AppliedRevision(update.revision, update.deleted, update.generation, update.own)
                applied.append((update.object, pending.key, done))
            del self._pending[update.object, pending.key]
            self._settle(pending.partition, pending.offsets, outcome, update, pending.attempts)
        if applied:
            self._wiring.store.keep_applied(applied)

    def _settle(
        self,
        partition: TopicPartition,
        offsets: Sequence[int],
        outcome: Applied | Skipped | Failed,
        update: Update | None = None,
        attempts: int = 0,
    ) -> None:
        span = self._ranges.get(partition)
        if span is None:
            return  # the partition was given away meanwhile; its next reader applies and acknowledges again
        at = now_ms()
        for offset in offsets[:-1]:
            span.settle(offset, Settled(Skipped("overtaken"), 0, None, at))
        span.settle(offsets[-1], Settled(outcome, attempts, update, at))

    # --- acknowledging

    async def _acknowledge(self, consumer: AIOKafkaConsumer, stop: asyncio.Event, *, every_ms: int) -> None:
        self._collect(every_ms)
        # First said, then committed: what needs a person must not be lost by a crash in between.
        # What could not be said because of a stop is said at the end of `run`.
        if not self._unsaid or not await self._publisher.publish(self._unsaid, stop):
            return
        offsets, self._unsaid, self._through = self._through, [], {}
        try:
            await consumer.commit({partition: (through + 1, "") for partition, through in offsets.items()})
        except (KafkaError, IllegalStateError) as error:
            # Read again after a restart or by the partition's next reader; applying again is idempotent.
            log.warning("sink.commit_failed", system=self._system, fault=type(error).__name__)

    def _collect(self, every_ms: int) -> None:
        """Acknowledgements of the partitions whose last one is `every_ms` old."""
        now = ticks_ms()
        codec, schema_id = envelopes().codec, envelopes().id_of("acknowledgement")
        for partition, span in self._ranges.items():
            if now - self._acknowledged_ms.get(partition, -ACKNOWLEDGE_EVERY_MS) < every_ms:
                continue
            record = span.take(self._system, now_ms())
            if record is not None:
                self._acknowledged_ms[partition] = now
                self._through[partition] = span.through
                name = f"{span.object}/{span.partition}".encode()
                value = codec.encode(schema_id, record)
                self._unsaid.append(Outgoing(f"acks.{self._system}", name, value, partition=0))

    def forget(self, revoked: Iterable[TopicPartition]) -> None:
        """Partitions went to another reader: what is not acknowledged is theirs to apply."""
        for partition in revoked:
            self._ranges.pop(partition, None)
            self._through.pop(partition, None)
            for name, pending in list(self._pending.items()):
                if pending.partition == partition:
                    del self._pending[name]


class _Forget(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    def __init__(self, loop: SinkLoop) -> None:
        self._loop = loop

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._loop.forget(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing: offsets come from the group."""
