"""A real Kafka with one connector's topics and contract: what the runner's tests stand on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka.admin import NewTopic

from broker.embedded.kafka import EmbeddedKafka
from connectors.sdk.access import KafkaAccess
from connectors.sdk.adapter import Connector
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.publish import Outgoing, Publisher
from connectors.sdk.runner import run_connector
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from schemas.authoritative import authoritative_headers, format_owners
from schemas.registry import FileRegistry, canonical_digest
from schemas.version import SourceVersion, VersionKind
from tests.connector_parts import MAP_FOLDER

NUMBERS = count(1)
PARTITIONS = 4
OWNERS = format_owners([("crm", "seq:0:1", None), ("erp", "time:0:1", frozenset({"credit_limit"}))])


class Bench:
    """One object of its own on the shared Kafka, with its contract, its topics and one connector's
    configuration.
    """

    def __init__(self, kafka: EmbeddedKafka, folder: Path, system: str) -> None:
        self.kafka = kafka
        self.partitions: dict[str, int] = {}
        self.folder = folder
        self.object = f"customer{next(NUMBERS)}"
        self.system = f"{system}{self.object.removeprefix('customer')}"
        document = json.loads((MAP_FOLDER / "customer.avsc").read_text())
        (folder / "customer.avsc").write_text(json.dumps(document))
        entry = {"id": 100, "subject": self.object, "version": 1, "file": "customer.avsc"}
        listing = {"schemas": [{**entry, "sha256": canonical_digest(document)}]}
        (folder / "registry.json").write_text(json.dumps(listing))
        self.registry = FileRegistry(folder)
        (folder / "credentials.json").write_text(json.dumps({"admin": kafka.credentials("admin")}))
        self.access = KafkaAccess(kafka.bootstrap, "admin", kafka.credentials("admin"))

    def create(self, *topics: str, partitions: int = PARTITIONS) -> None:
        self.partitions |= dict.fromkeys(topics, partitions)
        wanted = [
            NewTopic(t, partitions, 1, config={"message.timestamp.type": "LogAppendTime"}) for t in topics
        ]
        admin = self.kafka.admin()  # named: a client that nobody holds is closed before it answers
        for done in admin.create_topics(wanted).values():
            done.result(30)

    def create_all(self) -> None:
        self.create(
            f"changes.{self.system}.{self.object}",
            f"authoritative.{self.object}",
            f"refusals.{self.system}",
            f"proposals.{self.system}",
        )
        self.create(f"acks.{self.system}", partitions=1)

    def config(self, **more: Any) -> ConnectorConfig:
        kafka = {
            "bootstrap": self.kafka.bootstrap,
            "username": "admin",
            "password": {"file": "credentials.json", "key": "admin"},
        }
        return ConnectorConfig.model_validate(
            {
                "system": self.system,
                "adapter": "memory",
                "kafka": kafka,
                "contracts": ".",
                "store": "store.sqlite",
                "objects": {self.object: {}},
                "poll_interval_ms": 20,
                "folder": self.folder,
                **more,
            }
        )

    def change(self, number: int, **values: Any) -> ChangeEvent:
        record = {
            "customer_id": f"k{number % 50}",
            "name": f"N{number}",
            "email": None,
            "phone": None,
            "credit_limit": Decimal("1.00"),
        }
        version = SourceVersion(VersionKind.SEQUENCE, 0, f"{number:016X}")
        return ChangeEvent(self.object, f"k{number % 50}", version, 1_000 + number, record | values)

    async def decide(self, *records: tuple[str, int, str, dict[str, Any] | None], reassert: str = "") -> None:
        """Authoritative records (key, revision, changed fields, values or None = deleted), as the gate
        writes them.
        """
        out = []
        for key, revision, changed, values in records:
            full = (
                dict.fromkeys(self.registry.contract(self.object).fields)
                | {"customer_id": key}
                | (values or {})
            )
            headers = authoritative_headers(
                object_name=self.object,
                key=key.encode(),
                revision=revision,
                deleted=values is None,
                time_ms=1_000,
                system="crm",
                event_id=f"seq:0:{revision}",
                changed=changed.split(),
                owners=OWNERS,
                map_version=1,
                ingress_ms=1_010,
                reassert=(reassert, ["name"]) if reassert else None,
            )
            value = None if values is None else self.registry.codec.encode(100, full)
            out.append(Outgoing(f"authoritative.{self.object}", key.encode(), value, headers))
        await self.send(*out)

    async def send(self, *records: Outgoing) -> None:
        publisher = Publisher(self.access)
        assert await publisher.publish(records, asyncio.Event())
        await publisher.close()

    async def records(self, topic: str) -> list[Any]:
        """Everything in a topic now."""
        consumer = AIOKafkaConsumer(isolation_level="read_committed", **self.access.options())
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(self.partitions[topic])]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Any] = []
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(batch)
            return found
        finally:
            await consumer.stop()

    async def acknowledgements(self) -> list[dict[str, Any]]:
        return [
            self.registry.codec.decode(record.value) for record in await self.records(f"acks.{self.system}")
        ]

    def position(self) -> str | None:
        store = Store(self.folder / "store.sqlite")
        try:
            return store.position("source")
        finally:
            store.close()


@asynccontextmanager
async def running(config: ConnectorConfig, connector: Connector) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_connector(config, stop, connector))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the condition is about other processes
            await asyncio.sleep(0.02)
