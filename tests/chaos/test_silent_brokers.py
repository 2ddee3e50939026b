"""A broker is silent: the gate gives it up in time, and does not believe it when it comes back and takes itself for
the leader. I3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError
from confluent_kafka import KafkaException

from broker import topics
from broker.access import KafkaAccess
from broker.embedded.errors import NotRunningError
from broker.lane.replay import last_ledger, reader_of
from broker.lane.transaction import SlotWriter, transactional_id
from schemas.keys import partition_of
from tests.chaos.cluster import REPLICAS, Cluster
from tests.estate import PARTITIONS, Estate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SLOT = 1
PLACE = (topics.LEDGER, SLOT)
SILENT_S = 75.0
"""Kafka notices after 9 to 11 s; then a few requests may still be sent there, of 12 s each."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("former")) as running:
        yield running


@pytest.fixture
def estate(cluster: Cluster, tmp_path: Path) -> Iterator[Estate]:
    estate = Estate(cluster, tmp_path, replicas=REPLICAS)
    try:
        yield estate
    finally:
        for node in cluster.nodes:
            cluster.resume(node)
        estate.stop()
        estate.forget_clients()


def key_of_slot() -> str:
    """A customer whose changes slot 1 judges."""
    return next(
        key
        for key in (f"K-{number}" for number in range(100))
        if topics.slot_of("customer", partition_of(key.encode(), PARTITIONS), PARTITIONS) == SLOT
    )


def another_leads(cluster: Cluster, node: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if cluster.leader_of(*PLACE) != node:
                return
        except NotRunningError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"node {node} still leads {PLACE}")


def judged(estate: Estate, received: int, timeout_s: float = 120) -> None:
    """Wait until so much is judged, with clients that do not stay with a broker that is silent."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        try:
            estate.settle(received, timeout_s=left)
            return
        except KafkaException:
            estate.__dict__.pop("consumer").close()
    raise AssertionError(f"not judged: {received}")


async def sequence(access: KafkaAccess, at_least: dict[tuple[str, int], int]) -> int:
    """That of the last batch of the slot, as a slot that opens reads it; like a slot, it begins again when a request
    went to a broker that is silent.
    """
    while True:
        consumer = reader_of(access)
        await consumer.start()
        try:
            found = await last_ledger(consumer, SLOT, at_least)
            return int(found["sequence"]) if found else 0
        except KafkaTimeoutError:
            continue
        finally:
            await consumer.stop()


async def test_who_led_before_is_not_believed(cluster: Cluster, estate: Estate) -> None:
    gate, key = estate.start_gate(), key_of_slot()
    estate.send("crm", key, {"name": "before"})
    await asyncio.to_thread(estate.settle, 1)
    former = cluster.leader_of(*PLACE)
    others = [node for node in cluster.nodes if node != former]
    cluster.pause(former)
    await asyncio.to_thread(another_leads, cluster, former)
    estate.send("crm", key, {"name": "after"})
    await asyncio.to_thread(judged, estate, 2)
    gate.kill()
    gate.wait()
    told = {account["slot"]: account["sequence"] for account in estate.envelopes("ledger")}[SLOT]
    writer = SlotWriter(estate.access("gate"), SLOT)
    await writer.start()
    known = await writer.mark([PLACE])
    await writer.stop()
    for node in others:
        cluster.pause(node)
    cluster.resume(former)  # nobody can tell it what it has missed
    at_former = KafkaAccess(cluster.address(former), "gate", estate.passwords["gate"])
    assert await sequence(at_former, {}) < told, "the hazard: it says that the log ends where it did"
    reading = asyncio.create_task(sequence(at_former, known))
    await asyncio.sleep(3)
    assert not reading.done()
    for node in others:
        cluster.resume(node)
    assert await asyncio.wait_for(reading, 90) == told


def test_the_gate_goes_on_while_a_broker_is_silent(cluster: Cluster, estate: Estate) -> None:
    """Nothing is closed and nothing refused: only its time-outs tell a client that nobody is there."""
    estate.start_gate()
    keys = [f"K-{number}" for number in range(40)]
    before = estate.account()["received"]
    for key in keys:
        estate.send("crm", key, {"name": "before"}, wait=False)
    estate.producer("crm").flush(30)
    estate.settle(before + len(keys))
    silent = cluster.coordinator_of(transactional_id=transactional_id(SLOT))
    for key in keys:
        estate.send("crm", key, {"name": "just now"}, wait=False)
    estate.producer("crm").poll(0.05)
    cluster.pause(silent)
    for key in keys:
        estate.send("crm", key, {"name": "meanwhile"}, wait=False)
    estate.producer("crm").flush(60)
    estate.forget_clients()
    judged(estate, before + 3 * len(keys), SILENT_S)
    assert estate.events("lane.stuck") == []
    cluster.resume(silent)
    assert estate.ledger_faults() == []
    for key in keys:
        revisions = estate.revisions(key)
        assert revisions == list(range(1, len(revisions) + 1)), key  # I4
