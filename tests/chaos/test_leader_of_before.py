"""A broker that was silent and comes back takes itself for the leader: a slot that opens does not believe it. I3."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from broker import topics
from broker.access import KafkaAccess
from broker.embedded.errors import NotRunningError
from broker.lane.replay import last_ledger, reader_of
from broker.lane.transaction import SlotWriter
from schemas.keys import partition_of
from tests.chaos.cluster import REPLICAS, Cluster
from tests.estate import PARTITIONS, Estate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SLOT = 1
PLACE = (topics.LEDGER, SLOT)


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


def judged(estate: Estate, received: int) -> None:
    """Wait until so much is judged, with clients that do not stay with a broker that is silent."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            estate.settle(received, timeout_s=60)
            return
        except KafkaException:
            estate.__dict__.pop("consumer").close()
    raise AssertionError(f"not judged: {received}")


async def sequence(access: KafkaAccess, at_least: dict[tuple[str, int], int]) -> int:
    """That of the last batch of the slot, as a slot that opens reads it."""
    consumer = reader_of(access)
    await consumer.start()
    try:
        found = await last_ledger(consumer, SLOT, at_least)
        return int(found["sequence"]) if found else 0
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
    assert await asyncio.wait_for(reading, 60) == told
