"""Writers with a seed: what they write is decided by it, when Kafka takes it is not. They note what was acknowledged.

The CRM creates, changes and deletes customers; the ERP owns the credit limit, waits for records, echoes, and writes
what is not its own, and now and then what cannot be read; billing only writes what is not its own.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from confluent_kafka import Producer

from schemas.envelope import change_headers
from schemas.keys import partition_of
from tests.chaos.readers import Sink
from tests.chaos.recorder import Line
from tests.estate import PARTITIONS, Estate

KEYS = 240
SHARES = {"crm": 0.6, "erp": 0.3, "billing": 0.1}
"""Of all changes, by writer."""
FLUSH_S = 90.0
UNREADABLE = b"\x00\x00\x00\x00\x64\xff"
"""The contract's id, and not its datum."""
TOO_LARGE, TOO_LARGE_SHARE = "\x02" * 750_000, 0.01
"""One byte that the text of a case has as six: the change is within all limits, its case is within none."""
Change = tuple[str, dict[str, Any] | None, list[str] | None]
"""(key, values, fields; None = the full image)."""


class Writer(threading.Thread):
    """One system that writes `rate` changes a second until it is stopped."""

    def __init__(self, estate: Estate, system: str, rate: float, seed: int) -> None:
        super().__init__(name=system, daemon=True)
        self.system, self.rate = system, rate
        self.lines: list[Line] = []
        """`sent`: what Kafka acknowledged; in the end also `unsure`."""
        self.random = random.Random(f"{seed}/{system}")
        self._encode = estate.registry.codec.encode
        self._fields = tuple(estate.registry.contract("customer").fields)
        self._pending: dict[int, Line] = {}
        self._stopped = threading.Event()
        self._number = self._tokens = 0
        self._producer = Producer(
            {
                **estate.access(system).librdkafka_options(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": 600_000,
            }
        )

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            self.write()
            self._producer.poll(0)
            due = max(
                due + 1 / self.rate, time.monotonic() - 2.0
            )  # what Kafka was away for is not made up for
            self._stopped.wait(max(0.0, due - time.monotonic()))

    def finish(self) -> None:
        """Stop, and wait for what is under way; what Kafka never answered is `unsure`."""
        self._stopped.set()
        self.join()
        self._producer.flush(FLUSH_S)
        self.lines += [{**line, "kind": "unsure"} for line in self._pending.values()]

    def write(self) -> None:
        """One change, or several that belong together."""
        raise NotImplementedError

    def send(
        self,
        key: str,
        values: dict[str, Any] | None,
        fields: list[str] | None = None,
        *,
        raw: bytes = b"",
        unwritable: bool = False,
    ) -> None:
        """Publish one change with the next version; `unwritable`: its case cannot be written."""
        self._number += 1
        event = f"seq:0:{self._number:016d}"
        self.publish(event, key, values, fields, raw, unwritable=unwritable)

    def publish(
        self,
        event: str,
        key: str,
        values: dict[str, Any] | None,
        fields: list[str] | None,
        raw: bytes,
        *,
        unwritable: bool = False,
    ) -> None:
        deletes = values is None and not raw
        full = dict.fromkeys(self._fields) | {"customer_id": key} | (values or {})
        value = raw or (None if deletes else self._encode(100, full))
        told = None if raw or deletes else {name: full[name] for name in fields or self._fields}
        line = {
            "kind": "sent",
            "writer": self.system,
            "key": key,
            "event": event,
            "deletes": deletes,
            "fields": told and {k: v if v is None else str(v) for k, v in told.items()},
        }
        if unwritable:  # what it says is long, and nothing of it may come back anyway
            line |= {"unwritable": True, "fields": {"name": "too large"}}
        headers = change_headers(
            event_id=event,
            system=self.system,
            object_name="customer",
            time_ms=int(time.time() * 1000),
            fields=fields,
            deletes=deletes,
        )
        self._tokens += 1
        self._pending[self._tokens] = line
        topic, place = f"changes.{self.system}.customer", partition_of(key.encode(), PARTITIONS)
        told_when = self._delivered(self._tokens)
        while True:
            try:
                self._producer.produce(
                    topic, value, key.encode(), place, headers=headers, on_delivery=told_when
                )
                return
            except BufferError:
                self._producer.poll(0.5)

    def _delivered(self, token: int) -> Callable[[Any, Any], None]:
        def delivered(error: Any, message: Any) -> None:
            line = self._pending.pop(token)
            where = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            self.lines.append({**line, "kind": "unsure"} if error else {**line, **where})

        return delivered

    def key(self) -> str:
        return f"C-{self.random.randrange(KEYS):04d}"

    def text(self, field: str) -> str:
        return f"{field} {self.system} {self._number + 1}"


class Crm(Writer):
    """Owns everything but the credit limit; creates and deletes."""

    def __init__(self, estate: Estate, rate: float, seed: int) -> None:
        super().__init__(estate, "crm", rate, seed)
        self._alive: set[str] = set()
        self._last: dict[str, tuple[str, Change]] = {}
        self._first: dict[str, tuple[str, Change]] = {}

    def write(self) -> None:
        key, chance = self.key(), self.random.random()
        if key not in self._alive:
            self._alive.add(key)
            self._tell((key, {name: self.text(name) for name in ("name", "email", "phone")}, None))
        elif chance < 0.03:
            self._alive.discard(key)
            self._first.pop(key, None)
            self._last.pop(key, None)
            self.send(key, None)
        elif chance < 0.08 and key in self._last:
            self._again(*self._last[key])
        elif chance < 0.11 and key in self._first:
            self._again(*self._first[key])
        else:
            names = [name for name in ("name", "email") if self.random.random() < 0.6] or ["name"]
            names += ["phone"] if self.random.random() < 0.2 else []
            self._tell((key, {name: self.text(name) for name in names}, names))

    def _tell(self, change: Change) -> None:
        self.send(*change)
        if (
            change[2] is not None
        ):  # of a creation sent again, the key is a duplicate; of this, everything gets old
            self._first.setdefault(change[0], (self._event(), change))
        self._last[change[0]] = (self._event(), change)

    def _again(self, event: str, change: Change) -> None:
        self.publish(event, *change, b"")

    def _event(self) -> str:
        return f"seq:0:{self._number:016d}"


class Erp(Writer):
    """Owns the credit limit, and reads customers."""

    def __init__(self, estate: Estate, rate: float, seed: int, sink: Sink) -> None:
        super().__init__(estate, "erp", rate, seed)
        self._sink = sink

    def write(self) -> None:
        key, chance = self.key(), self.random.random()
        limit = Decimal(self.random.randrange(1_000_000)).scaleb(-2)
        shown = self._sink.shown(key)
        if chance < 0.02:
            self.send(key, None, raw=UNREADABLE)
        elif chance < 0.12:  # another's field
            self.send(key, {"name": self.text("name")}, ["name"])
        elif chance < 0.24 and shown:  # what it was given, back
            self.send(key, {"name": shown["name"], "email": shown["email"]}, ["name", "email"])
        elif chance < 0.32:  # its own and another's
            self.send(key, {"credit_limit": limit, "email": self.text("email")}, ["credit_limit", "email"])
        elif chance < 0.42:  # its own after a handover
            self.send(key, {"phone": self.text("phone")}, ["phone"])
        else:  # it waits where there is no record
            self.send(key, {"credit_limit": limit}, ["credit_limit"])


class Billing(Writer):
    """Owns nothing here; now and then it writes so much that its case is too large for the quarantine."""

    def __init__(self, estate: Estate, rate: float, seed: int) -> None:
        super().__init__(estate, "billing", rate, seed)

    def write(self) -> None:
        if self.random.random() < TOO_LARGE_SHARE:
            self.send(self.key(), {"name": TOO_LARGE}, ["name"], unwritable=True)
        else:
            self.send(self.key(), {"name": self.text("name")}, ["name"])


def writers(estate: Estate, rate: float, seed: int, erp: Sink) -> list[Writer]:
    """All of them, not started."""
    return [
        Crm(estate, rate * SHARES["crm"], seed),
        Erp(estate, rate * SHARES["erp"], seed, erp),
        Billing(estate, rate * SHARES["billing"], seed),
    ]
