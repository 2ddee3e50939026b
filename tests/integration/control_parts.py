"""What tests of control share: topics on a real Kafka, records as the gate writes them, rows as values."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import select

from broker.access import KafkaAccess
from broker.agents.families import families
from broker.agents.indexer import FamilyIndexer
from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.properties import ADMIN_USER
from broker.store.engine import Engine, reading
from broker.store.ledger import account
from broker.store.tables import REBUILT, syncs
from tests.envelopes import acknowledgement, case, encode, failure, ledger, trail

SLOTS, PARTITIONS = 2, 2
TOPICS = {
    "ownership.map": 1,
    "quarantine": SLOTS,
    "trail": SLOTS,
    "ledger": SLOTS,
    "acks.crm": 1,
    "acks.erp": 1,
    "proposals.crm": SLOTS,
    "proposals.erp": SLOTS,
    "commands.customer": PARTITIONS,
    "changes.crm.customer": PARTITIONS,
    "authoritative.customer": PARTITIONS,
}


def super_user(server: EmbeddedKafka) -> KafkaAccess:
    return KafkaAccess(server.bootstrap, ADMIN_USER, server.credentials(ADMIN_USER))


@asynccontextmanager
async def made_topics(access: KafkaAccess) -> AsyncIterator[None]:
    """Our topics, made anew."""
    admin = AIOKafkaAdminClient(**access.client_options())
    await admin.start()
    config = {"message.timestamp.type": "LogAppendTime"}
    try:
        existing = set(await admin.list_topics()) & set(TOPICS)
        if existing:
            await admin.delete_topics(list(existing))
            await asyncio.sleep(1)
        await admin.create_topics([NewTopic(name, n, 1, topic_configs=config) for name, n in TOPICS.items()])
        yield
    finally:
        await admin.close()


class GateLike:
    """Writes records in transactions, as the gate does: markers and all."""

    def __init__(self, access: KafkaAccess) -> None:
        self._producer = AIOKafkaProducer(
            transactional_id=f"gate-{uuid.uuid4()}", acks="all", **access.client_options()
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def commit(self, *records: tuple[str, int, bytes], abort: bool = False) -> None:
        await self._producer.begin_transaction()
        for topic, partition, value in records:
            await self._producer.send_and_wait(topic, value=value, key=b"C-1", partition=partition)
        if abort:
            await self._producer.abort_transaction()
        else:
            await self._producer.commit_transaction()


def map_version(version: int, by: str = "prepare") -> bytes:
    documents = {"systems.yaml": "systems: {}\n"}
    told = {
        "version": version,
        "digest": f"d{version}",
        "documents": documents,
        "by": by,
        "published_ms": version,
    }
    return encode("map", told)


async def produce(access: KafkaAccess) -> None:
    async with GateLike(access) as gate:
        for version, by in ((1, "prepare"), (2, "anna"), (2, "otto, a moment later"), (3, "anna")):
            await gate.commit(("ownership.map", 0, map_version(version, by)))
        for number in range(20):
            records = [
                ("quarantine", number % SLOTS, encode("case", case(f"case-{number}", offset=number))),
                ("ledger", 0, encode("ledger", ledger(number + 1))),
                ("trail", number % SLOTS, encode("trail", trail("echo", offset=number))),
            ]
            await gate.commit(*records)
            await gate.commit(("trail", 0, encode("trail", trail("stale"))), abort=True)
        opened = trail("proposal_opened", case_id="case-3", by="ana")
        await gate.commit(("trail", 1, encode("trail", opened)))
        closed = trail(
            "proposal_closed", case_id="case-3", result="accepted", gate_time_ms=opened["gate_time_ms"] + 9
        )
        await gate.commit(("trail", 1, encode("trail", closed)))
        await gate.commit(
            ("trail", 0, encode("trail", trail("case_closed", case_id="case-4", result="keep")))
        )
        for number in range(5):
            ack = acknowledgement(number, 40, 900, failures=[failure()] if number == 2 else [])
            await gate.commit(("acks.erp", 0, encode("acknowledgement", ack)))


async def index(engine: Engine, access: KafkaAccess, until: Callable[[], bool]) -> None:
    lock = asyncio.Lock()
    tasks = [
        asyncio.create_task(FamilyIndexer(engine, access, family, lock).run())
        for family in families(["crm", "erp"])
    ]
    try:
        async with asyncio.timeout(40):
            while not until():
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.1)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def becomes(true: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - the store raises no event
            await asyncio.sleep(0.2)


def dump(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in REBUILT
            if table is not syncs
        }


def complete(engine: Engine) -> bool:
    found = dump(engine)
    sinks = found["sinks"]
    with reading(engine) as connection:
        received = account(connection).received
    enough = len(found["cases"]) == 20 and len(found["trail"]) == 23 and received == 80
    return enough and bool(sinks) and sinks[0][3] == 4 and len(found["map_versions"]) == 3
