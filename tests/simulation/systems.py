"""A connected system with its connector: rows that people edit, an outbox of changes, and a sink that applies records.

What the sink writes is said by the SDK's own `next_update`; the system publishes every change of a row, so every
delivery comes back as an echo.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.sdk import deliveries
from connectors.sdk.sink import Update
from connectors.sdk.store import AppliedRevision
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from tests.gate_parts import FIELDS
from tests.simulation.laws import KEY_FIELD, decoded
from tests.simulation.log import Log
from tests.simulation.projected import Delivered, Deliveries

AUTHORITATIVE = "authoritative.customer"
COMMITS = 0.4
"""How often a connector has told Kafka how far it is, by the time nothing is pending."""


@dataclass(frozen=True, slots=True)
class Said:
    """A change event before it is in the log. `fields` None = a full image."""

    system: str
    key: str
    event: str
    values: Mapping[str, Any]
    fields: frozenset[str] | None = None
    unavailable: frozenset[str] = frozenset()
    deletes: bool = False
    fault: str = ""
    """How it is made unreadable or false on purpose."""
    partition: int | None = None
    """Where a careless client puts it; None = where it belongs."""

    @property
    def sets(self) -> frozenset[str]:
        return frozenset(FIELDS if self.fields is None else self.fields) - self.unavailable

    def __str__(self) -> str:
        what = (
            "deletes" if self.deletes else ", ".join(f"{n}={self.values.get(n)!s}" for n in sorted(self.sets))
        )
        return f"{self.system} {self.event} {self.key}: {what}{' [' + self.fault + ']' if self.fault else ''}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a sink did to one record of its system."""

    system: str
    key: str
    revision: int
    before: int
    """The revision it had applied before."""
    map_version: int
    wrote: frozenset[str]
    deleted: bool


@dataclass
class System:
    """One system. `guards`: its tables keep the applied revision beside the row, as the PostgreSQL connector does."""

    name: str
    rng: random.Random
    flat: bool
    guards: bool
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    outbox: defaultdict[str, deque[Said]] = field(default_factory=lambda: defaultdict(deque))
    """Changes not yet published, in order, per key."""
    published: list[Said] = field(default_factory=list)
    cursor: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    store: dict[str, AppliedRevision] = field(default_factory=dict)
    pending: dict[str, tuple[Update, int]] = field(default_factory=dict)
    """Key to an update not yet applied, and the map version it was decided under."""
    guard: dict[str, int] = field(default_factory=dict)
    applied: list[Applied] = field(default_factory=list)
    deliveries: Deliveries | None = None
    """Where it reads if it may see some fields only; None = this world has no such readers."""
    generation: str | None = None
    stubborn: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(key, field) to the value that a job in the system writes whenever it is overwritten."""
    counter: int = 0

    # -- the source side

    def _next_event(self) -> str:
        self.counter += 1
        return f"seq:0:{self.counter:05d}"

    def _say(self, key: str, **what: Any) -> Said:
        said = Said(self.name, key, self._next_event(), **what)
        self.outbox[key].append(said)
        return said

    def write(self, key: str, news: Mapping[str, Any], *, image: bool) -> Said | None:
        """Change a row, and tell it: the fields that differ, or the full image where the row is new."""
        row = self.rows.get(key)
        new = row is None
        if row is None:
            row = self.rows[key] = dict.fromkeys(FIELDS) | {KEY_FIELD: key}
            image = True
        elif all(row[name] == value for name, value in news.items()):
            return None
        differing = frozenset(name for name, value in news.items() if row[name] != value)
        row.update(news)
        unavailable: frozenset[str] = frozenset()
        if image and not new and self.rng.random() < 0.1 and (same := sorted(set(FIELDS[1:]) - differing)):
            unavailable = frozenset({self.rng.choice(same)})
        if image:
            unavailable |= self.hidden
        values = {name: None if name in unavailable else value for name, value in row.items()}
        return self._say(key, values=values, fields=None if image else differing, unavailable=unavailable)

    def remove(self, key: str) -> Said | None:
        if self.rows.pop(key, None) is None:
            return None
        return self._say(key, values={}, deletes=True)

    def odd(self, key: str, fault: str, **what: Any) -> Said:
        """Something that is not so, or that cannot be read; no row stands behind it."""
        return Said(self.name, key, self._next_event(), fault=fault, **what)

    # -- the sink side

    def read(self, log: Log, partition: int, count: int) -> int:
        """Take new authoritative records in; nothing of them is in the system yet."""
        self._look_where_to_read()
        taken = 0
        for entry in self._unread(log, partition):
            if taken == count:
                break
            envelope = parse_authoritative(entry.headers)
            self._take((entry.key or b"").decode(), envelope, entry.values, entry.timestamp)
            self.cursor[partition] = entry.offset + 1
            taken += 1
        return taken

    def _look_where_to_read(self) -> None:
        """Rights that changed are other deliveries, read from their beginning."""
        now = "" if self.deliveries is None else self.deliveries.generation(self.name)
        if now != self.generation:
            self.generation = now
            self.pending.clear()
            self.cursor.clear()
            self.committed.clear()

    def _unread(self, log: Log, partition: int) -> Iterator[Delivered]:
        start = self.cursor.get(partition, 0)
        if self.generation and self.deliveries is not None:
            yield from self.deliveries.streams[self.name].upto(log, partition)[start:]
        elif self.generation == "":
            for entry in log.read((AUTHORITATIVE, partition), start):
                values = {} if entry.value is None else decoded(entry.value, flat=self.flat)
                yield Delivered(entry.offset, entry.key, tuple(entry.headers), values, entry.timestamp)

    @property
    def hidden(self) -> frozenset[str]:
        """Fields that its rows do not have."""
        stream = self.deliveries.streams.get(self.name) if self.deliveries is not None else None
        return frozenset() if stream is None else frozenset(FIELDS) - stream.visible

    def _take(
        self, key: str, envelope: AuthoritativeEnvelope, values: Mapping[str, Any], decided_ms: int
    ) -> None:
        waiting = self.pending.get(key)
        update = deliveries.next_update(
            envelope,
            values,
            system=self.name,
            key=key,
            decided_ms=decided_ms,
            before=waiting[0] if waiting else self.store.get(key),
            generation=self.generation or "",
        )
        if update is not None:
            self.pending[key] = (update, envelope.map_version)

    def apply(self, key: str, *, forgets: bool = False) -> Applied | None:
        """Write one pending update; with `forgets` the connector ends before it has noted that it did."""
        update, map_version = self.pending.pop(key)
        done = None
        before = self.guard.get(key, 0)
        if deliveries.nothing_to_do(update, self.name) is None and not (
            self.guards and update.revision < before
        ):
            wrote = self._change(key, update)
            done = Applied(self.name, key, update.revision, before, map_version, wrote, update.deleted)
            self.applied.append(done)
            self.guard[key] = update.revision
        if not (forgets and self.guards):
            self.store[key] = AppliedRevision(update.revision, update.deleted, update.generation, update.own)
        if not self.pending and self.rng.random() < COMMITS:
            self.committed = dict(self.cursor)
        return done

    def _change(self, key: str, update: Update) -> frozenset[str]:
        if update.deleted:
            self.remove(key)
            return frozenset()
        names = update.write if key in self.rows else update.writable
        self.write(key, {name: update.values[name] for name in names}, image=self.rng.random() < 0.2)
        for (stubborn_key, name), value in list(self.stubborn.items()):
            if stubborn_key == key and name in names and key in self.rows:
                self.write(key, {name: value}, image=False)
        return names

    def crash(self) -> None:
        """The connector ends: what it has not applied is read again."""
        self.pending.clear()
        self.cursor = dict(self.committed)

    def start_new_generation(self) -> None:
        """Read everything again, from the beginning, because what may be read has changed."""
        self.pending.clear()
        self.store.clear()
        self.cursor.clear()
        self.committed.clear()
