"""Control against a real Kafka: what the gate writes arrives in SQL exactly once, and can be read again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from broker.access import KafkaAccess
from broker.agents import control
from broker.agents.evaluation import Evaluator, promises_of
from broker.agents.families import Family, families
from broker.agents.indexer import FamilyIndexer, group_less_consumer
from broker.agents.sender import KafkaSender
from broker.agents.ticks import tick_once
from broker.clock import now_ms
from broker.embedded.kafka import EmbeddedKafka
from broker.store.cases import find_case
from broker.store.engine import Engine, clear_rebuilt, open_store, reading
from broker.store.ledger import account
from broker.store.syncs import read_syncs
from broker.store.versions import newest_version, versions_known
from ownership.map import ObjectMap, OwnershipMap, Sla, System
from schemas.keys import partition_of
from schemas.registry import envelopes
from tests.envelopes import acknowledgement, case, encode, ledger
from tests.integration.control_parts import (
    PARTITIONS,
    TOPICS,
    GateLike,
    becomes,
    complete,
    dump,
    index,
    made_topics,
    produce,
    super_user,
)

pytestmark = pytest.mark.integration
GONE_S = 30


@pytest.fixture
async def access(kafka: EmbeddedKafka) -> AsyncIterator[KafkaAccess]:
    """The super user on the shared server, with our topics made anew."""
    settings = super_user(kafka)
    async with made_topics(settings):
        yield settings
        admin = AIOKafkaAdminClient(**settings.client_options())
        await admin.start()
        try:
            await admin.delete_topics(list(TOPICS))
        finally:
            await admin.close()


@pytest.fixture
def ownership_map() -> OwnershipMap:
    sla = Sla(
        source="crm",
        sink="erp",
        latency_p99_ms=5_000,
        latency_max_ms=60_000,
        expect_every_ms=None,
        alert_above=0.01,
        window_ms=600_000,
        retries_before_review=5,
        healthy_within_ms=1_800_000,
        alert_path="customer-sync",
    )
    customer = ObjectMap(
        name="customer",
        description="",
        key_field="customer_id",
        steward_team="sales-operations",
        steward_contact="",
        system_of_record="crm",
        create="crm",
        delete="crm",
        delete_softly=True,
        fields=("customer_id", "name"),
        owners={"name": "crm"},
        classes={},
        readers={"erp": None},
        policies={},
        conflicts="",
        slas=(sla,),
    )
    known = {
        name: System(name=name, title=name.upper(), kind="x", environment="test", contact="")
        for name in ("crm", "erp")
    }
    return OwnershipMap(version=1, digest="", systems=known, objects={"customer": customer})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.dispose()


async def test_records_are_indexed_once_and_a_rebuild_gives_the_same_rows(
    access: KafkaAccess, engine: Engine
):
    await produce(access)
    await index(engine, access, lambda: complete(engine))
    first = dump(engine)
    with reading(engine) as connection:
        accepted = find_case(connection, "case-3")
        kept = find_case(connection, "case-4")
    assert accepted is not None
    assert (accepted.state, accepted.result) == ("closed", "accepted")
    assert kept is not None
    assert (kept.state, kept.result) == ("closed", "keep")
    assert kept.value == case()["value"]
    assert not first["gaps"]
    assert not first["ledger_faults"]
    assert sum(row[3] for row in first["windows"]) == 10, "applied, counted once"

    with reading(engine) as connection:
        newest, known = newest_version(connection), versions_known(connection)
    assert (newest.version, newest.digest, dict(newest.documents)) == (
        3,
        "d3",
        {"systems.yaml": "systems: {}\n"},
    )
    assert [one.by for one in known] == ["prepare", "anna", "anna"], (
        "of two under one number the first is in force"
    )

    clear_rebuilt(engine)
    await index(engine, access, lambda: complete(engine))
    assert dump(engine) == first


async def test_positions_and_rows_move_together_when_sql_fails_in_between(
    access: KafkaAccess, engine: Engine
):
    await produce(access)
    ledger_family = next(family for family in families(["crm", "erp"]) if family.name == "ledger")
    failures = iter(range(3))

    def write_and_fail(connection: Any, records: Any) -> None:
        ledger_family.write(connection, records)
        if next(failures, None) is not None:
            msg = "the disk went away after the rows were written"
            raise OSError(msg)

    flaky = Family("ledger", ledger_family.topics, write_and_fail)
    indexer = FamilyIndexer(engine, access, flaky, asyncio.Lock())
    task = asyncio.create_task(indexer.run())
    try:
        await asyncio.wait_for(indexer.caught_up.wait(), 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with reading(engine) as connection:
        found = account(connection)
    assert found.received == 80
    assert found.balances


async def test_the_database_may_go_away_and_come_back(access: KafkaAccess, postgres: Any):
    """Nothing is skipped and nothing counts twice while PostgreSQL is down in between."""
    name = f"control_{uuid.uuid4().hex[:10]}"
    postgres.create_role_and_database(name)
    engine = open_store(postgres.url(name, name))
    lock = asyncio.Lock()
    tasks = [
        asyncio.create_task(FamilyIndexer(engine, access, f, lock).run()) for f in families(["crm", "erp"])
    ]
    try:
        await asyncio.sleep(2)
        await asyncio.to_thread(postgres.down)
        await produce(access)
        await asyncio.sleep(GONE_S)
        assert not any(task.done() for task in tasks)
        await asyncio.to_thread(postgres.up)
        await becomes(lambda: complete(engine))
    finally:
        await asyncio.to_thread(postgres.up)  # others use it too, also when this test fails
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        found = dump(engine)
        engine.dispose()
    assert sum(row[3] for row in found["windows"]) == 10
    assert not found["gaps"]


async def test_kafka_may_go_away_and_come_back(engine: Engine, tmp_path: Path):
    with EmbeddedKafka(tmp_path / "own-kafka") as server:
        access = super_user(server)
        async with made_topics(access):
            lock = asyncio.Lock()
            parts = [FamilyIndexer(engine, access, f, lock) for f in families(["crm", "erp"])]
            tasks = [asyncio.create_task(part.run()) for part in parts]
            try:
                await asyncio.wait_for(asyncio.gather(*(part.caught_up.wait() for part in parts)), 30)
                await asyncio.to_thread(server.down)
                await asyncio.sleep(3)
                assert not any(task.done() for task in tasks)
                await asyncio.to_thread(server.up)
                await produce(super_user(server))
                await becomes(lambda: complete(engine))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(row[3] for row in dump(engine)["windows"]) == 10


async def test_a_decision_reaches_the_partition_of_its_key(access: KafkaAccess):
    """The console's way into the log, as the gate will read it."""
    sender = KafkaSender(access)
    try:
        await sender.send("customer", b"C-1042", b"value")
    finally:
        await sender.close()
    consumer = group_less_consumer(access)
    await consumer.start()
    try:
        wanted = TopicPartition("commands.customer", partition_of(b"C-1042", PARTITIONS))
        consumer.assign([wanted])
        consumer.seek(wanted, 0)
        record = await asyncio.wait_for(consumer.getone(), 15)
    finally:
        await consumer.stop()
    assert (record.key, record.value) == (b"C-1042", b"value")


async def test_a_decision_is_refused_openly_when_kafka_is_away():
    sender = KafkaSender(KafkaAccess("127.0.0.1:1"))
    with pytest.raises((KafkaError, OSError, TimeoutError)):
        await sender.send("customer", b"C-1", b"value")


async def test_a_tick_reaches_every_partition(access: KafkaAccess):
    assert await tick_once(access, ["customer"]) == PARTITIONS


async def test_a_transaction_marker_after_the_last_record_is_not_a_waiting_change(
    access: KafkaAccess, engine: Engine, ownership_map: OwnershipMap
):
    """I9 both ways: confirmed is up to date although offsets differ; one record more is waiting."""
    async with GateLike(access) as gate:
        await gate.commit(("authoritative.customer", 0, b"1"), ("authoritative.customer", 1, b"2"))
        for partition in range(PARTITIONS):
            ack = acknowledgement(0, 400, partition=partition)
            await gate.commit(("acks.erp", 0, encode("acknowledgement", ack)))
        positions = {"changes.crm.customer/0": 1}
        account_now = ledger(1, positions=positions, gate_time_ms=now_ms())
        await gate.commit(("ledger", 0, encode("ledger", account_now)))
        await index(
            engine, access, lambda: len(dump(engine)["sinks"]) == 2 and len(dump(engine)["slots"]) == 1
        )
        evaluator = Evaluator(engine, access, promises_of(ownership_map))
        task = asyncio.create_task(evaluator.run(0.2))
        try:
            row = await state_of(engine, "up_to_date")
            assert row.sentence == (
                "Customer records are up to date: the last change from CRM reached ERP 0.4 seconds after it was made "
                "(promised: within 5 seconds)."
            )
            await gate.commit(("authoritative.customer", 0, b"3"))
            await waiting_of(engine)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def state_of(engine: Engine, state: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            with reading(engine) as connection:
                rows = read_syncs(connection)
            if rows and rows[0].state == state:
                return rows[0]
            await asyncio.sleep(0.1)


async def waiting_of(engine: Engine) -> None:
    async with asyncio.timeout(20):
        while True:
            with reading(engine) as connection:
                if read_syncs(connection)[0].measures["waiting"]:
                    return
            await asyncio.sleep(0.1)


async def test_without_kafka_a_sync_is_never_green(engine: Engine, ownership_map: OwnershipMap):
    evaluator = Evaluator(engine, KafkaAccess("127.0.0.1:1"), promises_of(ownership_map))
    rows = await evaluator.evaluate_once()
    assert [row.state for row in rows] == ["cannot_tell"]


async def test_the_process_serves_health_and_metrics(
    access: KafkaAccess, tmp_path: Path, ownership_map: OwnershipMap, unused_tcp_port: int
):
    import httpx2

    settings = control.ControlSettings(
        kafka=access,
        database_url=f"sqlite:///{tmp_path / 'control.db'}",
        ownership_map=ownership_map,
        port=unused_tcp_port,
    )
    stop = asyncio.Event()
    await produce(access)
    running = asyncio.create_task(control.serve(settings, stop))
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            async with asyncio.timeout(30):
                while True:
                    await asyncio.sleep(0.3)
                    assert not running.done(), running.exception()
                    try:
                        health = await client.get("/healthz")
                        figures = (await client.get("/metrics")).text
                    except httpx2.ConnectError:
                        continue
                    if health.status_code == 200 and "solesource_received_total 80.0" in figures:
                        break
        assert health.text == "ok\n"
        assert 'le="0.05",object="customer",system="erp"} 5.0' in figures
        assert "C-1" not in figures
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


def test_a_tick_is_a_command_the_registry_knows():
    from broker.agents.ticks import tick_value

    record = envelopes().codec.decode(tick_value("customer", 1, 5), envelopes().ids("solesource.command"))
    assert (record["command"], record["by"]) == ("tick", "control")
