"""The log as the gate relies on it: partitions, append times, transactions that are whole or not at all, fencing.

What Kafka promises and no more: clocks of brokers differ and step, markers take offsets, compaction forgets. Only what
is committed, and lies before the first open transaction, can be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Headers = Sequence[tuple[str, bytes]]
BROKERS = 3
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Fenced(Exception):
    """Another producer of the same name has begun; what this one does is refused."""


class Standing(Enum):
    """How a transaction stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False, slots=True)
class Transaction:
    """What is written together."""

    producer: str
    standing: Standing = Standing.OPEN
    places: list[tuple[str, int]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Entry:
    """One record, as a consumer sees it, and what became of it. `transaction` None = written plainly."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    transaction: Transaction | None = None
    marker: bool = False
    """Takes an offset and is never given to a consumer."""
    compacted: bool = False

    @property
    def committed(self) -> bool:
        return not self.marker and (
            self.transaction is None or self.transaction.standing is Standing.COMMITTED
        )


class Log:
    """Every topic of one cluster. `clock` gives true time; each broker's own clock is off by its `skew_ms`."""

    def __init__(self, clock: Callable[[], int], skew_ms: Sequence[int] = (0,) * BROKERS) -> None:
        self._clock = clock
        self.skew_ms = list(skew_ms)
        self._partitions: defaultdict[tuple[str, int], list[Entry]] = defaultdict(list)
        self._epochs: defaultdict[str, int] = defaultdict(int)
        self._open: dict[str, Transaction] = {}

    def append(
        self,
        place: tuple[str, int],
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        transaction: Transaction | None = None,
        *,
        marker: bool = False,
    ) -> Entry:
        """Write one record; its time is that of the partition's broker."""
        topic, partition = place
        entries = self._partitions[place]
        at = self._clock() + self.skew_ms[partition % BROKERS]
        entry = Entry(
            topic, partition, len(entries), at, key, value, tuple(headers), transaction, marker=marker
        )
        entries.append(entry)
        return entry

    def end(self, place: tuple[str, int]) -> int:
        """The last stable offset: whoever reads only what is committed gets no further."""
        entries = self._partitions[place]
        for transaction in self._open.values():
            if place in transaction.places:
                return min(e.offset for e in transaction.entries if (e.topic, e.partition) == place)
        return len(entries)

    def read(self, place: tuple[str, int], start: int = 0) -> Iterator[Entry]:
        """What a read_committed consumer gets from `start` on."""
        entries = self._partitions[place]
        for offset in range(start, self.end(place)):
            entry = entries[offset]
            if entry.committed and not entry.compacted:
                yield entry

    def ever(self, topic: str) -> Iterator[Entry]:
        """Every record of a topic that was ever committed, for who judges afterwards: compaction took nothing."""
        for place in sorted(self._partitions):
            if place[0] == topic:
                yield from (entry for entry in self._partitions[place] if entry.committed)

    def places(self, prefix: str) -> list[tuple[str, int]]:
        return sorted(place for place in self._partitions if place[0].startswith(prefix))

    def producer(self, name: str) -> Producer:
        """Begin as `name`: the transaction of whoever bore the name before ends, and it may write no more."""
        self._epochs[name] += 1
        former = self._open.pop(name, None)
        if former is not None:
            self._finish(former, Standing.ABORTED)
        return Producer(self, name, self._epochs[name])

    def _finish(self, transaction: Transaction, standing: Standing) -> None:
        transaction.standing = standing
        for place in transaction.places:
            self.append(place, None, None, transaction=transaction, marker=True)

    def compact(self, topic: str) -> int:
        """Kafka's cleaner, with `min.compaction.lag.ms` of 25 hours and `delete.retention.ms` of a day."""
        removed = 0
        now = self._clock()
        for place in self.places(topic):
            last: dict[Any, Entry] = {}
            for entry in self.read(place):
                if entry.timestamp > now - DAY_MS - HOUR_MS:
                    break
                if (before := last.get(entry.key)) is not None:
                    before.compacted = True
                    removed += 1
                last[entry.key] = entry
            for entry in last.values():
                if entry.value is None and entry.timestamp <= now - DAY_MS:
                    entry.compacted = True
                    removed += 1
        return removed


class Producer:
    """A transactional producer; everything it does is refused once it is fenced."""

    def __init__(self, log: Log, name: str, epoch: int) -> None:
        self._log, self._name, self._epoch = log, name, epoch

    def _check(self) -> None:
        if self._log._epochs[self._name] != self._epoch:
            raise Fenced(self._name)

    def begin(self) -> None:
        self._check()
        self._log._open[self._name] = Transaction(self._name)

    def send(self, place: tuple[str, int], key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self._check()
        transaction = self._log._open[self._name]
        entry = self._log.append(place, key, value, headers, transaction)
        transaction.entries.append(entry)
        if place not in transaction.places:
            transaction.places.append(place)

    def commit(self) -> None:
        self._check()
        self._log._finish(self._log._open.pop(self._name), Standing.COMMITTED)
