"""Faults of the brokers, one after the other, in a thread of their own: coming back takes them seconds."""

from __future__ import annotations

import queue
import threading
import time

from confluent_kafka import KafkaException

from broker.embedded.errors import EmbeddedError
from tests.chaos.cluster import Cluster
from tests.chaos.schedule import Fault
from tests.chaos.workers import Tell
from tests.estate import PARTITIONS, SLOTS

AWAY_S = 5.0
"""Longer than a session: a coordinator that is back within it can tear a transaction (decision 0021)."""
HUNG_S = 20.0
"""Past the 3 s after which the others take over what a silent broker leads."""


class Brokers(threading.Thread):
    """Does what it is given; `finish` waits until every node is back."""

    def __init__(self, cluster: Cluster, tell: Tell) -> None:
        super().__init__(name="brokers", daemon=True)
        self._cluster, self._tell = cluster, tell
        self.faults: queue.Queue[Fault | None] = queue.Queue()
        self.killed = 0
        """SIGKILLs of single brokers."""
        self.hung = 0
        """SIGSTOPs of single brokers."""
        self.gone = 0
        """Times that all of them were away at once."""
        self.busy = False
        """One of them is away, or is about to be."""

    @property
    def faulted(self) -> int:
        """Faults so far, of each kind."""
        return self.killed + self.hung + self.gone

    def run(self) -> None:
        while (fault := self.faults.get()) is not None:
            self.busy = True
            try:
                match fault.what:
                    case "brokers_gone":
                        self._all(fault.number)
                    case "broker_hung":
                        self._hang(fault)
                    case _:
                        self._one(fault)
            except (EmbeddedError, KafkaException, TimeoutError) as error:
                self._tell("broker_fault_failed", error=repr(error)[:300])
            self.busy = not self.faults.empty()

    def finish(self) -> None:
        """Until everything that was to be done to them is done, and all are back."""
        self.faults.put(None)
        self.join()
        self._cluster.up()

    def _one(self, fault: Fault) -> None:
        node = self._node(fault)
        self._cluster.kill(node)
        self.killed += 1
        self._tell("broker_killed", node=node, why=fault.how)
        time.sleep(AWAY_S)
        self._cluster.start(node)
        self._tell("broker_back", node=node)

    def _hang(self, fault: Fault) -> None:
        node = self._node(fault)
        self._cluster.pause(node)
        self.hung += 1
        self._tell("broker_hung", node=node, why=fault.how, seconds=HUNG_S)
        try:
            time.sleep(HUNG_S)
        finally:
            self._cluster.resume(node)
        self._tell("broker_goes_on", node=node)

    def _node(self, fault: Fault) -> int:
        if fault.how == "leader":
            return self._cluster.leader_of("authoritative.customer", fault.number % PARTITIONS)
        if fault.how == "group_coordinator":
            return self._cluster.coordinator_of(group="gate")
        return self._cluster.coordinator_of(transactional_id=f"gate-slot-{fault.number % SLOTS}")

    def _all(self, seconds: int) -> None:
        for node in self._cluster.nodes:
            self._cluster.kill(node)
        self.gone += 1
        self._tell("brokers_gone", seconds=seconds)
        time.sleep(seconds)
        self._cluster.up()
        self._tell("brokers_back")
