"""A whole estate for one test module: its own secured Kafka, the demo's map, and gate workers as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from broker.access import KafkaAccess
from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.sign_in import SignIn
from broker.kafka.estate import prepare, publish_map
from broker.lane.ledger import verify
from schemas.authoritative import parse_authoritative
from schemas.envelope import change_headers
from schemas.keys import partition_of
from schemas.registry import FileRegistry, envelopes

ROOT = Path(__file__).parent.parent
MAP_DIR = ROOT / "broker" / "demo" / "map"
PARTITIONS = 4
SLOTS = 4
USERS = ("gate", "control", "console", "crm", "erp", "billing")


def map_documents(folder: Path = MAP_DIR) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.suffix in (".yaml", ".avsc", ".json")}


class Estate:
    """Kafka with topics, users, ACLs and a map; start workers with `start_gate`."""

    def __init__(self, kafka: SignIn, home: Path, *, replicas: int = 1) -> None:
        self.kafka = kafka
        self.home = home
        self.registry = FileRegistry(MAP_DIR)
        self.bootstrap = kafka.bootstrap
        self.workers: list[subprocess.Popen[bytes]] = []
        self.sequence = 0
        self._producers: dict[str, Producer] = {}
        self.passwords = {user: kafka.credentials(user) for user in USERS}
        home.mkdir(parents=True, exist_ok=True)
        self.credentials = home / "credentials.json"
        self.credentials.write_text(json.dumps(self.passwords))
        prepare(
            kafka.admin(),
            map_documents(),
            self.passwords,
            partitions=PARTITIONS,
            slots=SLOTS,
            replicas=replicas,
        )
        publish_map(self.access("control"), map_documents(), "test")

    def access(self, user: str) -> KafkaAccess:
        return KafkaAccess(self.bootstrap, user, self.passwords[user])

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "SOLESOURCE_HOME": str(self.home),
            "SOLESOURCE_CREDENTIALS_FILE": str(self.credentials),
            "SOLESOURCE_SLOTS": str(SLOTS),
            "SOLESOURCE_PARTITIONS": str(PARTITIONS),
            "SOLESOURCE_MAP_DIR": str(MAP_DIR),
            "SOLESOURCE_GATE_PORT": "0",
            "SOLESOURCE_CONTROL_PORT": "0",
            **extra,
        }

    def start_gate(self, broken: str = "", **settings: str) -> subprocess.Popen[bytes]:
        """A worker as a process of its own; `broken` = Python that breaks something in it first."""
        started = ["-m", "broker.cli", "gate"]
        if broken:
            run = "import sys; from broker.cli.root import main; sys.argv = ['solesource', 'gate']; main()"
            started = ["-c", f"{broken}\n{run}"]
        with (self.home / f"gate-{len(self.workers)}.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, *started],
                env=self.environment(**settings),
                stdout=log,
                stderr=log,
                cwd=self.home,
            )
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in sorted(self.home.glob("gate-*.log")))

    def all_credentials(self) -> Path:
        """A file of every password, the admin's too: of whoever prepares Kafka or applies a map."""
        path = self.home / "all-credentials.json"
        path.write_text(json.dumps({**self.passwords, "admin": self.kafka.credentials("admin")}))
        path.chmod(0o600)
        return path

    # -- writing as a system

    def producer(self, user: str) -> Producer:
        if user not in self._producers:
            self._producers[user] = Producer(
                {
                    **self.access(user).librdkafka_options(),
                    "linger.ms": 5,
                    "acks": "all",
                    "message.max.bytes": 4 << 20,
                }
            )
        return self._producers[user]

    def send(
        self,
        system: str,
        key: str,
        values: dict[str, Any] | None,
        *,
        fields: list[str] | None = None,
        event_id: str = "",
        deletes: bool = False,
        user: str = "",
        wait: bool = True,
        **raw: Any,
    ) -> tuple[str, int, int] | None:
        """Publish a change of customer `key`; returns (topic, partition, offset). `raw` replaces parts of it."""
        self.sequence += 1
        event_id = event_id or f"seq:0:{self.sequence:016d}"
        headers = change_headers(
            event_id=event_id,
            system=system,
            object_name="customer",
            time_ms=int(time.time() * 1000),
            fields=fields,
            deletes=deletes,
        )
        value = None
        if values is not None:
            full = dict.fromkeys(self.registry.contract("customer").fields) | {"customer_id": key} | values
            value = self.registry.codec.encode(100, full)
        place: list[tuple[str, int, int]] = []

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            place.append((message.topic(), message.partition(), message.offset()))

        producer = self.producer(user or system)
        producer.produce(
            raw.get("topic", f"changes.{system}.customer"),
            raw.get("value", value),
            raw.get("raw_key", key.encode()),
            headers=raw.get("headers", headers),
            on_delivery=delivered,
            partition=raw.get("partition", partition_of(key.encode(), PARTITIONS)),
        )
        if not wait:
            producer.poll(0)
            return None
        producer.flush(60)  # to a broker that is silent it is sent again after 30 s
        assert place, f"{event_id} of {system} was not acknowledged within 60 s"
        return place[0]

    def forget_clients(self) -> None:
        """Let go of this test's own clients, for instance before Kafka is taken away."""
        for producer in self._producers.values():
            producer.flush(20)
        self._producers.clear()
        if "consumer" in self.__dict__:
            self.__dict__.pop("consumer").close()

    # -- reading what came of it

    def read(self, topic: str) -> list[Any]:
        """Every committed record of a topic now, in order of partition and offset."""
        consumer = self.consumer
        found: list[Any] = []
        for partition in consumer.list_topics(topic, 20).topics[topic].partitions:
            place = TopicPartition(topic, partition)
            low, high = ends_of(consumer, place)
            if low == high:
                continue
            consumer.assign([TopicPartition(topic, partition, low)])
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                message = consumer.poll(0.3)
                if message is not None and message.error() is None:
                    found.append(message)
                    if message.offset() >= high - 1:
                        break
                elif message is not None and message.error().code() == KafkaError._PARTITION_EOF:
                    break
        return found

    @cached_property
    def consumer(self) -> Consumer:
        """The one consumer of a test: a client for every look would sign in a hundred times."""
        return Consumer(
            {
                **self.kafka.client_settings("admin"),
                "group.id": "test",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 2,
                "fetch.wait.max.ms": 10,
            }
        )

    def envelopes(self, topic: str) -> list[dict[str, Any]]:
        return [envelopes().codec.decode(message.value()) for message in self.read(topic)]

    def account(self) -> dict[str, int]:
        total: dict[str, int] = {"received": 0}
        for record in self.envelopes("ledger"):
            total["received"] += record["received"]
            for outcome, count in record["account"].items():
                total[outcome] = total.get(outcome, 0) + count
        return total

    def revisions(self, key: str) -> list[int]:
        """Revisions of a customer in the order of the log."""
        return [
            parse_authoritative(message.headers()).revision
            for message in self.read("authoritative.customer")
            if message.key() == key.encode()
        ]

    def ledger_faults(self) -> list[Any]:
        """What is wrong with the account and the chain of any slot; empty = nothing."""
        by_slot: dict[int, list[Any]] = {}
        for record in self.envelopes("ledger"):
            by_slot.setdefault(record["slot"], []).append(record)
        return [fault for records in by_slot.values() for fault in verify(records)]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the workers of the gate logged under this name."""
        lines = [line for path in self.home.glob("gate-*.log") for line in path.read_text().splitlines()]
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in logged if event["event"] == name]

    def settle(self, received: int, timeout_s: float = 40.0) -> dict[str, int]:
        """Wait until the gate has judged `received` changes; returns the account."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            account = self.account()
            if account["received"] >= received:
                return account
            time.sleep(0.3)
        raise AssertionError(f"judged {self.account()} of {received}\n{self.logs()}")


def ends_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset of a partition; a broker that has just come back may not lead it yet."""
    for _ in range(50):
        try:
            return consumer.get_watermark_offsets(place, 20)
        except KafkaException:
            time.sleep(0.2)
    return consumer.get_watermark_offsets(place, 20)


def estate_of(home: Path) -> Iterator[Estate]:
    """For a module's fixture: an estate with its own Kafka, always stopped."""
    with EmbeddedKafka(home / "kafka", brief=True) as kafka:
        estate = Estate(kafka, home / "estate")
        try:
            yield estate
        finally:
            estate.stop()
