"""A simulated system that reads: from its committed offset, folding what it is given; it can be made to crash."""

from __future__ import annotations

import threading
import time
from typing import Any

from confluent_kafka import Consumer

from tests.chaos.recorder import Line, plain
from tests.estate import Estate

TOPIC = "authoritative.customer"
COMMIT_EVERY = 50


class Sink(threading.Thread):
    """Applies authoritative records to a table of its own, which outlives its crashes."""

    def __init__(self, estate: Estate, system: str) -> None:
        super().__init__(name=f"{system}-sink", daemon=True)
        self.system = system
        self.applied: list[Line] = []
        self.crash = threading.Event()
        """Set: lose everything since the last committed offset and read again from there."""
        self._options = estate.access(system).librdkafka_options()
        self._decode = estate.registry.codec.decode
        self._table: dict[str, tuple[int, Line | None]] = {}
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            consumer = Consumer(
                {
                    **self._options,
                    "group.id": f"{self.system}.chaos",
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "enable.auto.commit": False,
                    "session.timeout.ms": 6000,
                }
            )
            consumer.subscribe([TOPIC])
            self._follow(consumer)
            consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        since = 0
        while not self._stopped.is_set():
            if self.crash.is_set():
                self.crash.clear()
                return
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            self._apply(message)
            since += 1
            if since >= COMMIT_EVERY:
                consumer.commit(asynchronous=True)
                since = 0

    def _apply(self, message: Any) -> None:
        key, revision = message.key().decode(), int(dict(message.headers())["ce_revision"])
        if revision <= self._table.get(key, (0, None))[0]:
            return  # it came again after a crash
        value = message.value()
        self._table[key] = (revision, None if value is None else plain(self._decode(value)))
        self.applied.append({"kind": "applied", "reader": self.system, "key": key, "revision": revision})

    def shown(self, key: str) -> Line | None:
        """What it has of a record."""
        return self._table.get(key, (0, None))[1]

    def finish(self, revisions: int, timeout_s: float = 60.0) -> list[Line]:
        """Wait until so many revisions were applied, stop, and tell all of it."""
        deadline = time.monotonic() + timeout_s
        while len(self.applied) < revisions and time.monotonic() < deadline:
            time.sleep(0.2)
        self._stopped.set()
        self.join()
        shows = [
            {"kind": "shows", "reader": self.system, "key": key, "revision": revision, "values": values}
            for key, (revision, values) in self._table.items()
        ]
        return self.applied + shows
