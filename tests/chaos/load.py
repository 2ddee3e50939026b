"""A steady load: owners' changes of many records, and a few that are another's. It counts, and keeps no lines.

What it wrote last of each field stands for all that it wrote before: the judge of a soak compares it with the records.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer

from schemas.envelope import change_headers
from schemas.keys import partition_of
from tests.estate import PARTITIONS, Estate

KEYS = 50_000
OWNED, LIMITS = 0.80, 0.95
"""Of all changes, those of the CRM; from there on the ERP's own. The rest is the ERP's of what is the CRM's."""
FIRST_CHANGES = 3
"""Of each record, one after the other, before those that the dice choose."""
TICK_S = 0.02
FLUSH_S = 120.0
BEHIND_S_MAX = 2.0
"""What Kafka was away for longer than this is not made up for."""


class Load(threading.Thread):
    """Writes `rate` changes a second until it is stopped; 0 = as many as it can."""

    def __init__(self, estate: Estate, rate: float, seed: int, *, keys: int = KEYS) -> None:
        super().__init__(name="load", daemon=True)
        self.rate = rate
        self.acknowledged: Counter[str] = Counter()
        """By system."""
        self.refused = 0
        self.last: dict[tuple[str, str], str] = {}
        """(key, field) to what its owner wrote last."""
        self._dice = random.Random(f"load/{seed}")
        self._keys = keys
        self._number = 0
        self._encode = estate.registry.codec.encode
        self._empty = dict.fromkeys(estate.registry.contract("customer").fields)
        self._stopped = threading.Event()
        options = {"acks": "all", "enable.idempotence": True, "linger.ms": 10, "delivery.timeout.ms": 600_000}
        self._producers = {
            system: Producer({**estate.access(system).librdkafka_options(), **options})
            for system in ("crm", "erp")
        }

    @property
    def written(self) -> int:
        """Changes so far, acknowledged or not."""
        return self._number

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            due = max(due + TICK_S, time.monotonic() - BEHIND_S_MAX)
            for _ in range(max(1, round(self.rate * TICK_S))):
                self.write()
            self.poll()
            if self.rate:
                self._stopped.wait(max(0.0, due - time.monotonic()))

    def poll(self) -> None:
        """Take note of what was acknowledged."""
        for producer in self._producers.values():
            producer.poll(0)

    def finish(self) -> int:
        """Stop and wait for what is under way; how many were never answered."""
        self._stopped.set()
        if self.ident is not None:
            self.join()
        return sum(producer.flush(FLUSH_S) for producer in self._producers.values())

    def write(self) -> None:
        """One change. The first of each record creates it; the second is foreign and the third another owner's, so that
        there is of every record what there will be before the clock starts: else memory would rise for half an hour.
        """
        number, dice = self._number, self._dice.random()
        self._number += 1
        if number < self._keys:
            self._send("crm", f"S-{number:06d}", "name", f"name {number}", fields=None)
            return
        key = f"S-{number % self._keys:06d}"
        if number < 2 * self._keys:
            self._send("erp", key, "name", f"not its own {number}", fields=["name"], owned=False)
            return
        if number < FIRST_CHANGES * self._keys:
            self._limit(key, number)
            return
        key = f"S-{self._dice.randrange(self._keys):06d}"
        if dice < OWNED:
            self._send("crm", key, "name", f"name {number}", fields=["name"])
        elif dice < LIMITS:
            self._limit(key, number)
        else:
            self._send("erp", key, "name", f"not its own {number}", fields=["name"], owned=False)

    def _limit(self, key: str, number: int) -> None:
        self._send("erp", key, "credit_limit", Decimal(number).scaleb(-2), fields=["credit_limit"])

    def _send(
        self, system: str, key: str, field: str, value: Any, *, fields: list[str] | None, owned: bool = True
    ) -> None:
        headers = change_headers(
            event_id=f"seq:0:{self._number:016d}",
            system=system,
            object_name="customer",
            time_ms=int(time.time() * 1000),
            fields=fields,
            deletes=False,
        )
        datum = self._encode(100, self._empty | {"customer_id": key, field: value})
        place, producer = partition_of(key.encode(), PARTITIONS), self._producers[system]

        def delivered(error: Any, _: Any) -> None:
            if error is None:
                self.acknowledged[system] += 1
            else:
                self.refused += 1

        while True:
            try:
                producer.produce(
                    f"changes.{system}.customer",
                    datum,
                    key.encode(),
                    place,
                    headers=headers,
                    on_delivery=delivered,
                )
                break
            except BufferError:
                producer.poll(0.1)
        if owned:
            self.last[key, field] = str(value)
