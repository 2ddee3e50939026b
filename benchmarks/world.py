"""The benchmark's world: one secured Kafka, the gate of this product, and the records that everybody is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from broker.machine import Machine
from broker.settings import Settings
from schemas.envelope import change_headers
from schemas.keys import partition_of
from schemas.registry import FileRegistry

MAP = Path(__file__).parent / "map"
PARTITIONS = 4
KEYS = 50_000
FOREIGN = 10
"""Where foreign writes are wanted: one record in ten is written by a system that does not own it."""


class BenchWorld:
    """Kafka and what is measured on it."""

    def __init__(self, home: Path, map_dir: Path = MAP, slots: int = PARTITIONS) -> None:
        settings = Settings(home=home, map_dir=map_dir, slots=slots, partitions=PARTITIONS)
        self.machine = Machine(settings.model_copy(update={"bootstrap": ""}), say=lambda _: None)
        self.registry = FileRegistry(map_dir)

    def __enter__(self) -> Self:
        self.machine.start_kafka()
        self.machine.supervisor.environment = self.machine.environment()
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.down()

    def start_gate(self) -> None:
        """Start one gate worker."""
        self.machine.supervisor.start("gate", ["broker.cli", "gate"])

    def stop_gate(self) -> None:
        """Stop it for good."""
        self.machine.supervisor.stop("gate")

    def options(self, user: str = "admin") -> dict[str, Any]:
        """Settings of a user for librdkafka."""
        return self.machine.settings.access(user).librdkafka_options()

    def record(
        self,
        number: int,
        at_ms: int = 0,
        *,
        foreign: bool = False,
        object_name: str = "account",
        keys: int = KEYS,
    ) -> tuple[str, bytes, bytes, list[tuple[str, bytes]]]:
        """(writer, key, value, headers) of the n-th record; the same for everybody."""
        key = f"account-{number % keys:06d}"
        system = "shop" if foreign and number % FOREIGN == FOREIGN - 1 else "crm"
        value = self.registry.codec.encode(
            self.registry.latest(object_name).schema_id,
            {
                "account_id": key,
                "name": f"Example Trading {number}",
                "email": f"office.{number}@example.com",
                "phone": f"+44 20 7946 {number:08d}",
                "street": f"{number} High Street",
                "city": "Leeds",
                "postcode": "LS1 4AP",
                "notes": "x" * 150,
            },
        )
        headers = change_headers(
            event_id=f"seq:0:{number:016d}",
            system=system,
            object_name=object_name,
            time_ms=at_ms or 1_764_000_000_000,
            fields=None,
        )
        return system, key.encode(), value, headers

    def fill(
        self,
        first: int,
        count: int,
        one_topic: str | None = None,
        *,
        foreign: bool = False,
        keys: int = KEYS,
    ) -> None:
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
            system, key, value, headers = self.record(number, foreign=foreign, keys=keys)
            topic = one_topic or f"changes.{system}.account"
            producer.produce(topic, value, key, partition_of(key, PARTITIONS), headers=headers)
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
