"""A killed worker's seat in the group is given back by the next worker of the machine; one that only hangs keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import ConsumerGroupState

from broker.access import KafkaAccess
from broker.embedded.kafka import EmbeddedKafka
from broker.lane.seat import Seats
from tests.connector_bench import Bench

pytestmark = pytest.mark.integration


def members(kafka: EmbeddedKafka, group: str) -> set[str]:
    admin = kafka.admin()  # named: a client that nobody holds is closed before it answers
    described = admin.describe_consumer_groups([group])[group].result(timeout=20)
    assert described.state in (ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY)
    return {member.member_id for member in described.members}


async def joined(access: KafkaAccess, group: str, topic: str) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        topic, **access.client_options(), group_id=group, session_timeout_ms=60_000, enable_auto_commit=False
    )
    await consumer.start()
    await consumer.getmany(timeout_ms=100)
    return consumer


async def test_only_a_dead_process_is_made_to_leave(kafka: EmbeddedKafka, tmp_path: Path):
    bench = Bench(kafka, tmp_path, "seat")
    group, topic = f"{bench.system}.sink", f"changes.{bench.system}.{bench.object}"
    bench.create_all()
    access = KafkaAccess(kafka.bootstrap, "admin", kafka.credentials("admin"))
    member = await joined(access, group, topic)
    seats = Seats(tmp_path / "seats", group)
    seats.take(member)
    (mine,) = (tmp_path / "seats").iterdir()
    assert mine.read_text() in members(kafka, group)

    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220 - its process id is all that is wanted
    file = mine.rename(mine.with_name(mine.name.replace(str(os.getpid()), str(living.pid))))
    newcomer = AIOKafkaConsumer(**access.client_options(), group_id=group)
    await newcomer.start()
    try:
        assert await seats.give_back(newcomer) == 0
        assert members(kafka, group) == {file.read_text()}
        living.kill()
        living.communicate()
        assert await seats.give_back(newcomer) == 1
        assert members(kafka, group) == set()  # long before its session of a minute has ended
        assert not file.exists()
    finally:
        await newcomer.stop()
        await member.stop()
