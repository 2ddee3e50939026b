"""From change events to Kafka records, and from records to acknowledgements by Kafka.

Knows the wire format; knows neither the source that a change came from nor positions.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from connectors.sdk.access import KafkaAccess
from connectors.sdk.errors import KeyUnusable
from connectors.sdk.generations import newest
from connectors.sdk.pacing import backoff_ms, ended, pause
from connectors.sdk.source import ChangeEvent
from schemas.codec import Codec
from schemas.contract import AvroSchema, Contract
from schemas.envelope import change_headers
from schemas.errors import UnreadableValue
from schemas.keys import canonical_key, partition_of

log = structlog.get_logger("connectors.sdk")

_CLOSE_S = 2
_BATCH_BYTES = 256 * 1024
_EMPTY: dict[str, Any] = {
    "string": "",
    "bytes": b"",
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "array": [],
    "map": {},
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record for Kafka; partition None = placed by its key. The topic is named as its first generation is."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


def change_record(event: ChangeEvent, system: str, contract: Contract, codec: Codec) -> Outgoing:
    """The record of a change. Raises KeyUnusable for a key that cannot be one."""
    try:
        key = canonical_key(event.key)
    except ValueError as error:
        msg = f"{event.object}: {error}"
        raise KeyUnusable(msg) from error
    complete = event.fields is None or event.fields >= set(contract.fields)
    headers = change_headers(
        event_id=event.event_id,
        system=system,
        object_name=event.object,
        time_ms=event.time_ms,
        fields=None if complete else event.fields,
        deletes=event.deletes,
        unavailable=event.unavailable,
    )
    value = event.original
    if value is None and not event.deletes:
        value = _encoded(event, contract, codec)
    return Outgoing(f"changes.{system}.{event.object}", key, value, headers)


def _encoded(event: ChangeEvent, contract: Contract, codec: Codec) -> bytes:
    present = (set(contract.fields) if event.fields is None else event.fields) - event.unavailable
    record = {name: _empty(schema) for name, schema in _field_schemas(contract) if name not in present}
    record |= {name: event.values.get(name) for name in present}
    try:
        return codec.encode(contract.schema_id, record)
    except UnreadableValue:
        # I6: what does not fit the contract is neither coerced nor dropped: the gate holds these bytes as
        # unreadable.
        log.warning(
            "change.unfit", object=event.object, event_id=event.event_id, schema_id=contract.schema_id
        )
        return json.dumps(dict(event.values), default=str, sort_keys=True).encode()


def _field_schemas(contract: Contract) -> list[tuple[str, AvroSchema]]:
    return [(str(field["name"]), field["type"]) for field in contract.schema["fields"]]


def _empty(schema: AvroSchema) -> Any:
    """A value for a field that is not set: its bytes are never looked at, but the datum needs some."""
    if isinstance(schema, list):
        return None if "null" in schema else _empty(schema[0])
    if isinstance(schema, str):
        return _EMPTY.get(schema)
    kind = schema["type"]
    if kind == "record":
        return {field["name"]: _empty(field["type"]) for field in schema["fields"]}
    if kind == "enum":
        return schema["symbols"][0]
    if kind == "fixed":
        return bytes(int(schema["size"]))
    return _EMPTY.get(kind)


def _batches(producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> Iterator[Any]:
    """Records of one partition, in batches: one future each instead of one per record.

    Raises MessageSizeTooLargeError.
    """
    batch = producer.create_batch()
    for record in records:
        if batch.record_count() and batch.size() + len(record.value or b"") > _BATCH_BYTES:
            batch.close()
            yield batch
            batch = producer.create_batch()
        headers = list(record.headers)
        if batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is None:
            msg = f"a record of {len(record.value or b'')} bytes for {record.topic} is larger than a batch may be"
            raise MessageSizeTooLargeError(msg)
    batch.close()
    yield batch


class Publisher:
    """Sends batches until Kafka has acknowledged every record of them; a Kafka that is away is waited for."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._producer: AIOKafkaProducer | None = None
        self._visible: frozenset[str] = frozenset()
        """Topics that the system may use, as this producer found them."""

    async def publish(self, records: Sequence[Outgoing], stop: asyncio.Event) -> bool:
        """True once Kafka has every record, in their order per key; False when stopped before that.

        After a fault the whole batch is sent again: ids are equal, so the gate counts the second ones as
        duplicates. It goes to the newest generation of its topics: where the right to write to one is gone, that is
        a fault like any other, and the next one is waited for.
        """
        attempt = 0
        while not stop.is_set():
            sending = asyncio.ensure_future(self._send(records))
            stopping = asyncio.ensure_future(stop.wait())
            try:
                await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    # A batch under way gets a moment: leaving now would only mean sending it twice.
                    await asyncio.wait({sending}, timeout=2)
                if not sending.done():
                    return False
                sending.result()
                return True
            except KafkaError as error:
                attempt += 1
                log.warning(
                    "kafka.publish_failed", fault=type(error).__name__, records=len(records), attempt=attempt
                )
                await self.close()
                await pause(backoff_ms(attempt), stop)
            finally:
                await ended([sending, stopping])
        return False

    async def _send(self, records: Sequence[Outgoing]) -> None:
        producer = await self._started()
        now = {name: newest(name, self._visible) or name for name in {record.topic for record in records}}
        counts = {topic: len(await producer.partitions_for(topic)) for topic in now.values()}
        places: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            topic, partition = now[record.topic], record.partition
            if partition is None:
                partition = partition_of(record.key, counts[topic])
            places.setdefault((topic, partition), []).append(record)
        futures = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), placed in places.items()
            for batch in _batches(producer, placed)
        ]
        for outcome in await asyncio.gather(*futures, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = self._access.producer()
            try:
                await producer.start()
                self._visible = frozenset((await producer.client.fetch_all_metadata()).topics())
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """End the producer within seconds; what it had not delivered is never sent by it any more."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # Its own `stop` waits for a Kafka that is away, and given up halfway it would go on sending behind the
        # back of its successor. So the sender ends first (aiokafka is pinned to the version that this is for).
        for ending in (producer._sender.close, producer.stop):  # noqa: SLF001
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(ending(), timeout=_CLOSE_S)
