"""`python -m tests.chaos.controls.torn_by_kafka`: Kafka tears a transaction, without anything of the product.

A coordinator notes a commit that no other broker has yet, is killed, and comes back within its session: it still takes
itself for the coordinator and commits, where others lead; then another one aborts the rest (decision 0021). `--session
3000` has it come back later than that. Not part of any test: whether it happens is up to timing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from broker.embedded import kafka as embedded
from broker.embedded import properties
from tests.chaos.cluster import REPLICAS, Cluster

TOPIC, PARTITIONS = "torn", 12
AWAY_S = 5.0
ACTIVE = "Performing controller activation"


class Trial:
    """A cluster whose brokers have sessions of so long, and producers on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cluster = Cluster(folder)
        self.cluster.up()
        admin = self.cluster.admin()
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, REPLICAS)])[TOPIC].result(30)

    def _controller(self) -> int:
        """The active controller, as the nodes' logs tell it."""
        activations = [
            (line[:25], node)
            for node in self.cluster.nodes
            for log in self._folder.rglob(f"node-{node}/kafka.log")
            for line in log.read_text("utf-8", "replace").splitlines()
            if ACTIVE in line
        ]
        return max(activations)[1]

    def _producer(self, name: str) -> Producer:
        settings = {
            "transactional.id": name,
            "transaction.timeout.ms": 60_000,
            "linger.ms": 0,
            "log_level": 0,
        }
        producer = Producer({**self.cluster.client_settings("admin"), **settings})
        producer.init_transactions(30)
        return producer

    def turn(self, number: int) -> None:
        """One transaction, whose coordinator is killed with its commit unheard of, and started again."""
        node, name = self._controller(), ""
        for attempt in range(200):
            name = f"{number}-{attempt}"
            producer = self._producer(name)
            if self.cluster.coordinator_of(transactional_id=name) == node:
                break
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce(TOPIC, name.encode(), partition=partition)
        assert producer.flush(20) == 0
        others = [other for other in self.cluster.nodes if other != node]
        for other in others:
            self.cluster.pause(other)
        time.sleep(0.9)  # what they have asked for is answered, and they ask for nothing more
        committing = threading.Thread(target=_commit, args=(producer,))
        committing.start()
        time.sleep(0.4)
        self.cluster.kill(node)
        for other in others:
            self.cluster.resume(other)
        time.sleep(AWAY_S)
        self.cluster.start(node)
        time.sleep(3)
        self._producer(name)  # as whoever comes after does
        committing.join(60)

    def seen(self) -> dict[bytes, int]:
        """Transaction -> in how many partitions it is to be read."""
        settings = {"group.id": TOPIC, "isolation.level": "read_committed", "enable.partition.eof": True}
        consumer = Consumer({**self.cluster.client_settings("admin"), **settings})
        found: dict[bytes, int] = defaultdict(int)
        for partition in range(PARTITIONS):
            consumer.assign([TopicPartition(TOPIC, partition, 0)])
            while (message := consumer.poll(30)) is not None and message.error() is None:
                found[message.value()] += 1
        consumer.close()
        return found


def _commit(producer: Producer) -> None:
    try:
        producer.commit_transaction(40)
    except KafkaException as error:
        sys.stdout.write(f"  its commit: {error.args[0].str()[:80]}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="torn_by_kafka", description=__doc__)
    parser.add_argument(
        "--session", type=int, default=9000, help="broker.session.timeout.ms; Kafka's default is 9000"
    )
    parser.add_argument("--turns", type=int, default=4)
    given = parser.parse_args()
    properties.SESSION_MS = given.session
    assert embedded.server_properties is properties.server_properties
    folder = Path(tempfile.mkdtemp(prefix="torn-"))
    trial = Trial(folder)
    try:
        for number in range(given.turns):
            trial.turn(number)
            sys.stdout.write(f"turn {number + 1} of {given.turns}\n")
            sys.stdout.flush()
        time.sleep(5)
        found = trial.seen()
    finally:
        trial.cluster.down()
        shutil.rmtree(folder)
    for name, count in sorted(found.items()):
        sys.stdout.write(f"transaction {name.decode()}: in {count} of {PARTITIONS} partitions\n")
    return 1 if any(count != PARTITIONS for count in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
