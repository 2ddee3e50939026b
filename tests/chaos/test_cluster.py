"""The cluster of three: a broker is killed, writing goes on, the broker comes back, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from broker.cli.doctor import SESSION, sessions_told
from broker.kafka.admin import broker_settings
from broker.lane.transaction import transactional_id
from tests.chaos.cluster import REPLICAS, Cluster
from tests.estate import Estate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TOPIC = "cluster.topic"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        pids = [running._node[node].status().pid for node in running.nodes]
        admin = running.admin()
        admin.create_topics([NewTopic(TOPIC, 1, REPLICAS)])[TOPIC].result(20)
        running.await_in_sync([TOPIC])
        yield running
    assert not [pid for pid in pids if pid is not None and psutil.pid_exists(pid)]
    assert running.running() == ()


def test_its_sessions_are_such_that_no_transaction_is_torn(cluster: Cluster) -> None:
    found = broker_settings(cluster.admin(), SESSION)
    assert set(found) == set(cluster.nodes) and sessions_told(found) == "at most 3000 ms"


def test_long_sessions_are_found() -> None:
    with pytest.raises(RuntimeError, match=r"broker\(s\) 2, 3"):
        sessions_told({1: "3000", 2: "9000", 3: None})
    assert "one broker" in sessions_told({1: "9000"})


def write(cluster: Cluster, count: int) -> list[str]:
    """Errors of writing `count` records, each of which two brokers must have."""
    said: list[str] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            said.append(str(error))

    producer = Producer({**cluster.client_settings("admin"), "acks": "all", "log_level": 0})
    for number in range(count):
        producer.produce(TOPIC, b"%d" % number, on_delivery=delivered)
    assert producer.flush(60) == 0
    return said


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_leader_goes_and_writing_goes_on(cluster: Cluster, how: str) -> None:
    assert write(cluster, 100) == []
    leader = cluster.leader_of(TOPIC, 0)
    {"kill": cluster.kill, "stop": cluster.stop}[how](leader)
    assert cluster.running() == tuple(node for node in cluster.nodes if node != leader)
    assert write(cluster, 100) == []
    assert cluster.leader_of(TOPIC, 0) != leader
    cluster.start(leader)
    cluster.await_in_sync([TOPIC])


def test_a_paused_leader_loses_its_place(cluster: Cluster) -> None:
    leader = cluster.leader_of(TOPIC, 0)
    cluster.pause(leader)
    assert write(cluster, 10) == []
    assert cluster.leader_of(TOPIC, 0) != leader
    cluster.resume(leader)
    cluster.await_in_sync([TOPIC])


async def test_coordinators_are_where_clients_find_them(cluster: Cluster) -> None:
    """A wrong computation would let a campaign kill bystanders."""
    options = await asyncio.to_thread(cluster.aiokafka_settings, "admin")
    for number in range(4):
        producer = AIOKafkaProducer(**options, transactional_id=f"gate-slot-{number}")
        await producer.start()
        (found,) = producer._sender._coordinators.values()
        assert cluster.coordinator_of(transactional_id=f"gate-slot-{number}") == found
        await producer.stop()
        consumer = AIOKafkaConsumer(TOPIC, **options, group_id=f"group {number}")
        await consumer.start()
        assert cluster.coordinator_of(group=f"group {number}") == consumer._coordinator.coordinator_id
        await consumer.stop()


def test_a_gate_goes_on_when_the_coordinator_of_its_transactions_is_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    """I3: "not coordinator" is an answer, and what is answered is sent again by the same producer."""
    estate = Estate(cluster, tmp_path, replicas=REPLICAS)
    keys = [f"K-{number}" for number in range(12)]
    try:
        estate.start_gate()
        for turn in range(10):
            for key in keys:
                estate.send("crm", key, {"name": f"{turn}"}, wait=False)
            estate.producer("crm").flush(60)
            if turn == 4:
                estate.settle(5 * len(keys))
                victim = cluster.coordinator_of(transactional_id=transactional_id(1))
                cluster.kill(victim)
        account = estate.settle(10 * len(keys), timeout_s=90)
        assert account["received"] == 10 * len(keys)
        assert [estate.revisions(key) for key in keys] == [list(range(1, 11))] * len(keys)  # I4
        assert estate.ledger_faults() == []
    finally:
        estate.stop()
        estate.forget_clients()
    cluster.start(victim)
