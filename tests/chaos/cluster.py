"""A real Kafka of three nodes on loopback, each of which can be killed, ended, paused and started again.

It knows processes, leaders and coordinators. When which of them goes away is a campaign's affair.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException, TopicCollection

from broker.embedded.errors import NotRunningError
from broker.embedded.files import LOOPBACK, port_is_free
from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.properties import Membership, cluster_id
from broker.embedded.sign_in import SignIn

INTERRUPTED = 130
"""Status of a campaign or a soak that was ended by hand: 128 + SIGINT."""
CUT_SHORT = "Ended by hand: all of it was stopped, nothing was judged."
REPLICAS = 3
PORTS = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections: a node finds its own free when it comes back."""
ASK_S = 10.0


class Cluster(SignIn):
    """Three nodes, broker and controller in one each, with everything below `folder`; a topic survives one of them.

    Topics should have `REPLICAS` replicas; two of them must have a record before `acks=all` is answered.
    """

    def __init__(self, folder: Path, *, heap_mib: int = 320) -> None:
        self._credentials_file = folder / "credentials.json"
        ports = _free_ports(2 * REPLICAS)
        self._ports = dict(enumerate(ports[:REPLICAS], 1))
        voters = dict(enumerate(ports[REPLICAS:], 1))
        identity = cluster_id(uuid.uuid4().bytes)
        self._node = {
            node: EmbeddedKafka(
                folder / f"node-{node}",
                port=port,
                heap_mib=heap_mib,
                brief=True,
                membership=Membership(
                    node_id=node,
                    voters=voters,
                    cluster_id=identity,
                    credentials_file=self._credentials_file,
                ),
            )
            for node, port in self._ports.items()
        }
        self._paused: set[int] = set()

    # --- life

    def up(self, timeout_s: float = 120.0) -> None:
        """Start every node that does not run, and wait until each answers. Raises EmbeddedError."""
        self._resume_all()
        missing = [self._node[node] for node in self.nodes if node not in self.running()]
        for kafka in missing:
            kafka.launch()
        for kafka in missing:
            kafka.await_answer(timeout_s)

    def down(self) -> None:
        """End every node, paused ones too."""
        self._resume_all()
        with ThreadPoolExecutor(
            REPLICAS
        ) as threads:  # one after the other, the last would wait for the first
            list(threads.map(EmbeddedKafka.down, self._node.values()))

    # --- faults

    @property
    def nodes(self) -> tuple[int, ...]:
        """The ids of all nodes, running or not."""
        return tuple(self._node)

    @property
    def ports(self) -> tuple[int, ...]:
        """Where each listens for clients."""
        return tuple(self._ports.values())

    def running(self) -> tuple[int, ...]:
        """The ids of the nodes whose process is there; a paused one counts."""
        return tuple(node for node, kafka in self._node.items() if kafka.status().pid is not None)

    def kill(self, node: int) -> None:
        """SIGKILL: no goodbye, nothing flushed. Returns when the process is gone."""
        self._signal(node, signal.SIGKILL)
        self._paused.discard(node)
        self._node[node].down()

    def stop(self, node: int) -> None:
        """SIGTERM: the node gives its leaderships away first. Returns when the process is gone."""
        self.resume(node)
        self._node[node].down(timeout_s=30.0)

    def start(self, node: int, timeout_s: float = 120.0) -> None:
        """Start a node that was killed or ended, on its old ports and storage, and wait until it answers."""
        self._node[node].up(timeout_s)

    def pause(self, node: int) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._signal(node, signal.SIGSTOP)
        self._paused.add(node)

    def resume(self, node: int) -> None:
        """SIGCONT; does nothing to a node that is not paused."""
        if node in self._paused:
            self._paused.discard(node)
            self._signal(node, signal.SIGCONT)

    # --- whom a fault should meet

    def leader_of(self, topic: str, partition: int) -> int:
        """The node that leads a partition. Raises NotRunningError if nobody does or there is no such partition."""
        found = self._partitions(topic).get(partition)
        if found is None or found[0] < 0:
            raise NotRunningError(f"nobody leads {topic}/{partition}")
        return found[0]

    def coordinator_of(self, *, group: str = "", transactional_id: str = "") -> int:
        """The node that coordinates a consumer group or a transactional producer: give one of the two.

        Raises NotRunningError while Kafka has no such topic yet: nobody has asked for a coordinator so far.
        """
        topic, name = ("__consumer_offsets", group) if group else ("__transaction_state", transactional_id)
        count = len(self._partitions(topic))
        if not count:
            raise NotRunningError(f"there is no {topic} yet")
        return self.leader_of(topic, abs(_java_hash(name)) % count)

    def await_in_sync(self, topics: Collection[str], timeout_s: float = 60.0) -> None:
        """Wait until every replica of these topics has what its leader has. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while behind := [
            f"{topic}/{partition}"
            for topic in topics
            for partition, (_, in_sync) in self._partitions(topic).items()
            if in_sync < REPLICAS
        ]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not in sync after {timeout_s:g} s: {', '.join(behind)}")
            time.sleep(0.2)

    # --- who may connect

    @property
    def bootstrap(self) -> str:
        """All three nodes, running or not: clients take the first that answers."""
        return ",".join(f"{LOOPBACK}:{port}" for port in self._ports.values())

    def address(self, node: int) -> str:
        """`host:port` of one node, for a client that is to ask it first."""
        return f"{LOOPBACK}:{self._ports[node]}"

    # --- parts

    def _partitions(self, topic: str) -> dict[int, tuple[int, int]]:
        """Partition: (leader, or -1; count of replicas in sync), as the controller knows them; empty without topic."""
        admin = self.admin()
        try:
            (asked,) = admin.describe_topics(TopicCollection([topic]), request_timeout=ASK_S).values()
            return {
                partition.id: (-1 if partition.leader is None else partition.leader.id, len(partition.isr))
                for partition in asked.result(ASK_S).partitions
            }
        except (KafkaException, TimeoutError):  # asked of one that is silent
            return {}

    def _signal(self, node: int, number: signal.Signals) -> None:
        pid = self._node[node].status().pid
        if pid is None:
            raise NotRunningError(f"node {node} does not run")
        os.kill(pid, number)

    def _resume_all(self) -> None:
        for node in tuple(self._paused):
            self.resume(node)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        if port not in found and port_is_free(port):
            found.append(port)
    return found


def _java_hash(text: str) -> int:
    """Java's String.hashCode of ASCII text, by which Kafka chooses a coordinator."""
    value = 0
    for letter in text.encode():
        value = (31 * value + letter) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value
