"""The benchmark's world: one secured Kafka, the gate of this product, and the records that everybody is given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from benchmarks.records import MAP, Make, Maker
from broker.machine import Machine
from broker.settings import Settings
from schemas.keys import partition_of
from schemas.registry import FileRegistry

PARTITIONS = 4
SLOTS = 2
"""As many as there are processors. One transaction is made while another is ended; more of them cost Kafka more."""


class BenchWorld:
    """Kafka and what is measured on it."""

    def __init__(self, home: Path, map_dir: Path = MAP, slots: int = SLOTS) -> None:
        settings = Settings(home=home, map_dir=map_dir, slots=slots, partitions=PARTITIONS)
        self.machine = Machine(settings.model_copy(update={"bootstrap": ""}), say=lambda _: None)
        self.registry = FileRegistry(map_dir)
        self.records = Maker(self.registry)

    def __enter__(self) -> Self:
        self.machine.start_kafka()
        self.machine.supervisor.environment = self.machine.environment()
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.down()

    def start_gate(self, name: str = "gate") -> None:
        """Start a gate worker."""
        self.machine.supervisor.start(name, ["broker.cli", "gate"])

    def stop_gate(self, name: str = "gate") -> None:
        """Stop it for good."""
        self.machine.supervisor.stop(name)

    def gate_elsewhere(self, home: Path) -> subprocess.Popen[bytes]:
        """A gate worker with a home of its own, as on another machine; nobody starts it again."""
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.machine.supervisor.environment, "SOLESOURCE_HOME": str(home)}
        with (home / "gate.log").open("ab") as log:
            command = [sys.executable, "-m", "broker.cli", "gate"]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def options(self, user: str = "admin") -> dict[str, Any]:
        """Settings of a user for librdkafka."""
        return self.machine.settings.access(user).librdkafka_options()

    def fill(self, first: int, count: int, make: Make, one_topic: str | None = None) -> None:
        """Publish records: to each writer's own topic, or all into one (for peers that know no writers' topics)."""
        producer = Producer(
            {
                **self.options(),
                "linger.ms": 20,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 400_000,
            }
        )
        for number in range(first, first + count):
            made = make(number)
            topic = one_topic or f"changes.{made.system}.account"
            place = partition_of(made.key, PARTITIONS)
            producer.produce(topic, made.value, made.key, place, headers=made.headers)
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0

    def make_topic(self, name: str, partitions: int = PARTITIONS) -> None:
        """A topic of a peer."""
        admin = self.machine.kafka.admin() if self.machine.kafka else None
        assert admin is not None
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(4 << 20)}
        for made in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
            made.result(30)
        time.sleep(0.5)

    def read(self, topic: str) -> Iterator[Any]:
        """Every committed record of a topic now."""
        consumer = Consumer(
            {
                **self.options(),
                "group.id": "bench",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            for partition in consumer.list_topics(topic, 20).topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
                if low == high:
                    continue
                consumer.assign([TopicPartition(topic, partition, low)])
                while (message := consumer.poll(20)) is not None:
                    if message.error() is None:
                        yield message
                        if message.offset() >= high - 1:
                            break
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        break
        finally:
            consumer.close()
