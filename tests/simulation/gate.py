"""The gate's workers around the product's own judge: opening a slot from the log, rounds, commits, and how they fail.

The product does the same with aiokafka in broker/lane/slot.py, replay.py and transaction.py; what decides, folds,
orders and chains is imported from there and never written again here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from broker import topics
from broker.gate.outgoing import ENVELOPE, Destination, Outgoing
from broker.lane.judge import Judge
from broker.lane.judged import Judged
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.order import batches, in_order
from broker.rules import Rules
from schemas.registry import envelopes
from tests.simulation.log import Entry, Fenced, Log, Producer

OBJECT = "customer"
PARTITIONS = 4
SLOTS = 2
INPUTS = [
    (topic, partition)
    for topic in (
        *(topics.changes(s, OBJECT) for s in ("crm", "erp", "billing", "ghost")),
        topics.commands(OBJECT),
    )
    for partition in range(PARTITIONS)
]


def slot_of(partition: int) -> int:
    return topics.slot_of(OBJECT, partition, SLOTS)


class Fault(Enum):
    """Where a worker ends, or stops for so long that another takes its slot."""

    NONE = "none"
    BEFORE_BEGIN = "before the transaction"
    MIDWAY = "in the middle of the transaction"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit, before it kept what was judged"


@dataclass(eq=False, slots=True)
class Session:
    """One worker's time with one slot, until it ends or is fenced."""

    worker: str
    slot: int
    producer: Producer
    judge: Judge
    cursor: dict[tuple[str, int], int]
    stalled: Judged | None = None
    """A batch in an open transaction, whose worker is paused."""


def place_of(record: Outgoing, partition: int, slot: int) -> tuple[str, int]:
    """Topic and partition of an outgoing record, as broker.lane.transaction has them."""
    match record.destination:
        case Destination.AUTHORITATIVE:
            return topics.authoritative(record.target), partition
        case Destination.STATE:
            return topics.state(record.target), partition
        case Destination.QUARANTINE:
            return topics.QUARANTINE, slot
        case Destination.REFUSALS:
            return topics.refusals(record.target), slot
        case Destination.PROPOSALS:
            return topics.proposals(record.target), slot
        case Destination.TRAIL:
            return topics.TRAIL, slot


def value_of(record: Outgoing) -> bytes | None:
    if record.body is None or isinstance(record.body, bytes):
        return record.body
    registry = envelopes()
    return registry.codec.encode(registry.id_of(ENVELOPE[record.destination]), record.body)


def send(producer: Producer, slot: int, judged: Judged, *, halfway: bool = False) -> None:
    """Begin a transaction and write what a batch brings about, the ledger last. The caller commits."""
    records = [
        (place_of(record, partition, slot), record.key, value_of(record), record.headers)
        for record, partition in judged.outgoing
    ]
    registry = envelopes()
    ledger = registry.codec.encode(registry.id_of("ledger"), judged.ledger)
    records.append(((topics.LEDGER, slot), b"%d" % slot, ledger, ()))
    producer.begin()
    for record in records[: len(records) // 2] if halfway else records:
        producer.send(*record)


def rebuild(log: Log, slot: int) -> SlotMemory:
    """The memory of a slot as its last committed batch left it: the last ledger record, then records and memories."""
    memory = SlotMemory(slot=slot, partitions={OBJECT: PARTITIONS})
    codec = envelopes().codec
    *_, last = [None, *log.read((topics.LEDGER, slot))]
    if last is not None:
        memory.follow(codec.decode(last.value or b""))
    for partition in range(PARTITIONS):
        if slot_of(partition) == slot:
            _load(log, memory, (OBJECT, partition))
    return memory


def _load(log: Log, memory: SlotMemory, shelf: Shelf) -> None:
    partition = shelf[1]
    for entry in log.read((topics.state(OBJECT), partition)):
        memory.remember(shelf, entry.key or b"", entry.value or b"")
    for entry in log.read((topics.authoritative(OBJECT), partition)):
        memory.revise(shelf, entry.key or b"", entry.value, entry.headers)


@dataclass
class Gate:
    """Workers and who holds which slot. `rules` gives what a worker knows of the map."""

    log: Log
    rules: Callable[[int], Rules]
    newest: Callable[[], int]
    known: dict[str, int] = field(default_factory=lambda: {"w1": 1, "w2": 1})
    """Worker to the map version that it has read."""
    sessions: dict[int, Session] = field(default_factory=dict)
    zombies: list[Session] = field(default_factory=list)
    zombie_commits: int = 0

    def open(self, worker: str, slot: int) -> Session:
        """Fence, rebuild, wait for a map that is at least as new as the slot's last, go on where it stopped."""
        former = self.sessions.pop(slot, None)
        if former is not None and former.stalled is not None:
            self.zombies.append(former)
        producer = self.log.producer(f"gate-slot-{slot}")
        memory = rebuild(self.log, slot)
        self.known[worker] = max(self.known[worker], memory.map_version)
        cursor = {
            place: memory.positions.get(f"{place[0]}/{place[1]}", 0)
            for place in INPUTS
            if slot_of(place[1]) == slot
        }
        self.sessions[slot] = Session(worker, slot, producer, Judge(memory, worker), cursor)
        return self.sessions[slot]

    def fetch(self, session: Session, share: Callable[[int], int]) -> Sequence[Entry]:
        """Records of every input in the order of judging; `share` says how many of those there are."""
        fetched = []
        for place, start in session.cursor.items():
            there = list(self.log.read(place, start))
            taken = there[: share(len(there))]
            if taken:
                session.cursor[place] = taken[-1].offset + 1
                fetched.append(taken)
        return in_order(fetched)

    def round(self, slot: int, share: Callable[[int], int], fault: Fault, *, pauses: bool = False) -> int:
        """One round of a slot; (records taken). With `pauses`, a fault is a pause that may outlast the session."""
        session = self.sessions[slot]
        taken = 0
        for records in batches(self.fetch(session, share)):
            taken += len(records)
            judged = session.judge.judge(self.rules(self.known[session.worker]), records)
            if not self.write(session, judged, fault, pauses=pauses):
                break
        return taken

    def write(self, session: Session, judged: Judged, fault: Fault, *, pauses: bool) -> bool:
        """Write and commit one batch, unless the worker ends or pauses on the way."""
        if fault is Fault.BEFORE_BEGIN:
            return self._gone(session, None)
        send(session.producer, session.slot, judged, halfway=fault is Fault.MIDWAY)
        if fault in (Fault.MIDWAY, Fault.BEFORE_COMMIT):
            return self._gone(session, judged if pauses and fault is Fault.BEFORE_COMMIT else None)
        session.producer.commit()
        if fault is Fault.AFTER_COMMIT:
            return self._gone(session, None)
        session.judge.keep(judged)
        return True

    def _gone(self, session: Session, stalled: Judged | None) -> bool:
        session.stalled = stalled
        if stalled is None:
            del self.sessions[session.slot]
        return False

    def wake(self, session: Session) -> str:
        """A paused worker goes on where it stood: it commits, if nobody took its slot meanwhile."""
        judged, session.stalled = session.stalled, None
        assert judged is not None
        try:
            session.producer.commit()
        except Fenced:
            if session in self.zombies:
                self.zombies.remove(session)
            return "is fenced, and gives up"
        self.zombie_commits += session in self.zombies
        session.judge.keep(judged)
        return "commits, because nobody took its slot"


def ledger_of(entry: Entry) -> dict[str, Any]:
    return envelopes().codec.decode(entry.value or b"")
