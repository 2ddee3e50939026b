"""Judges a slot's batches again from the log and compares: the same map, records and time give the same decisions.

Pure (I5): what was read is handed in. Only from the first batch on, because what a slot knew in between is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from broker import topics
from broker.gate.change import Fault
from broker.gate.connections import Connections, merged
from broker.gate.reason import IN_THE_WAY
from broker.lane.judge import Judge
from broker.lane.judged import Judged, LogRecord, NotDecided
from broker.lane.ledger import LedgerFault
from broker.lane.memory import SlotMemory
from broker.lane.order import in_order
from broker.rules import Rules
from schemas.keys import partition_of

Inputs = Mapping[str, Mapping[int, LogRecord]]
"""Input, `topic/partition`, to its records by offset."""
_COMPARED = ("received", "commands", "account", "revisions", "gate_time_ms", "decisions_digest")


class Again:
    """The batches of one slot, judged again one after the other."""

    def __init__(
        self,
        slot: int,
        ledger: Iterable[Mapping[str, Any]],
        read: Callable[[], Inputs],
        maps: Mapping[int, Rules],
        partitions: Mapping[str, int],
    ) -> None:
        self.slot = slot
        self.memory = SlotMemory(slot=slot, partitions=dict(partitions))
        self.fault: LedgerFault | None = None
        self._ledger = list(ledger)
        self._read = read
        self._inputs: Inputs | None = None
        self._maps = maps
        self._at = 0
        self._last = dict[str, int]()
        """Stream to the last batch that read of it."""
        before: Mapping[str, int] = {}
        for number, record in enumerate(self._ledger):
            self._last |= dict.fromkeys(_streams(before, record["positions"]), number)
            before = record["positions"]

    @property
    def ended(self) -> bool:
        """Whether there is no batch left that can be judged."""
        return self.fault is not None or self._at >= len(self._ledger)

    def owes(self, stream: str) -> bool:
        """Whether a batch that reads of a stream was not judged yet."""
        return self._last.get(stream, -1) >= self._at

    def needs(self) -> set[str]:
        """The streams that the next batch reads of."""
        return _streams(self.memory.positions, self._ledger[self._at]["positions"])

    def step(self) -> None:
        """Judge the next batch."""
        record, self._inputs = (
            self._ledger[self._at],
            self._inputs if self._inputs is not None else self._read(),
        )
        judge = Judge(self.memory, str(record["worker"]))
        rules, batch = (
            self._maps.get(record["map_version"]),
            batch_of(record, self.memory.positions, self._inputs),
        )
        if rules is None or batch is None:
            missing = f"map version {record['map_version']} is" if rules is None else "its changes are"
            self.stop(f"cannot be judged again: {missing} no longer in the log")
            return
        judged, differing = again(judge, rules, in_order(batch), record)
        if differing:
            self.stop(f"judged again, it comes out otherwise: {', '.join(differing)}")
            return
        judge.keep(judged)
        self.memory.positions = {name: int(offset) for name, offset in record["positions"].items()}
        self._at += 1
        if self.ended:
            self._inputs = None

    def stop(self, detail: str) -> None:
        """No batch from here on can be judged."""
        self.fault, self._inputs = (
            LedgerFault(self.slot, int(self._ledger[self._at]["sequence"]), detail),
            None,
        )


def rejudge(slots: Sequence[Again], partitions: Mapping[str, int], count: int) -> list[LedgerFault]:
    """What does not come out as the ledger says; stops a slot where a batch can no longer be judged.

    `partitions` of each stream; `count`: of slots. A later generation of an object's topics goes on from what all slots
    had of the one before, so it is judged after that.
    """
    filled = set[str]()
    while running := [slot for slot in slots if not slot.ended]:
        wanted = set[str]()
        for slot in running:
            while not slot.ended and not (lacking := _later(slot.needs()) - filled):
                slot.step()
            wanted |= set() if slot.ended else lacking
        for stream in sorted(wanted, key=topics.generation_of):
            if not any(slot.owes(_before(stream)) for slot in slots):
                _carry(slots, stream, partitions, count)
                filled.add(stream)
        if wanted and not wanted & filled:
            for slot in slots:
                if not slot.ended:
                    slot.stop("cannot be judged again: it goes on from batches that were not")
    return [slot.fault for slot in slots if slot.fault is not None]


def _streams(before: Mapping[str, int], after: Mapping[str, int]) -> set[str]:
    """The streams whose inputs moved."""
    moved = (name.rpartition("/")[0] for name, offset in after.items() if before.get(name) != offset)
    return {stream for topic in moved if (stream := topics.stream_in(topic)) is not None}


def _later(streams: set[str]) -> set[str]:
    return {stream for stream in streams if topics.generation_of(stream) > 1}


def _before(stream: str) -> str:
    return topics.stream_of(topics.object_of(stream), topics.generation_of(stream) - 1)


def _carry(slots: Sequence[Again], stream: str, partitions: Mapping[str, int], count: int) -> None:
    """Put what the slots had of the generation before into the places that its keys have now."""
    memories = {slot.slot: slot.memory for slot in slots}
    orders: list[Connections] = []
    for memory in memories.values():
        for shelf, states in list(memory.states.items()):
            assert isinstance(states, dict)  # nothing of this is on disk
            for key, state in states.items() if shelf[0] == _before(stream) else ():
                if partition_of(key, partitions[shelf[0]]) == shelf[1]:
                    place = (stream, partition_of(key, partitions[stream]))
                    memories[topics.slot_of(*place, count)].restore(place, key, state)
        orders += [found for shelf, found in memory.connections.items() if shelf[0] == _before(stream)]
    for number in range(partitions[stream] if orders else 0):
        memories[topics.slot_of(stream, number, count)].connections[stream, number] = merged(orders)


def again(
    judge: Judge, rules: Rules, records: Sequence[LogRecord], recorded: Mapping[str, Any]
) -> tuple[Judged, list[str]]:
    """The batch judged again, and what is otherwise than recorded.

    A record that stood in the way was held without being decided; it is always a batch of its own.
    """
    ways: list[tuple[Judged, list[str]]] = []
    for fault in (None, *(Fault(reason, "") for reason in IN_THE_WAY)):
        if fault is not None and len(records) > 1:
            break
        try:
            judged = judge.judge(rules, records, fault)
        except NotDecided:
            continue
        ways.append((judged, [name for name in _COMPARED if judged.ledger[name] != recorded[name]]))
        if not ways[-1][1]:
            return ways[-1]
    return ways[0]


def batch_of(
    record: Mapping[str, Any], before: Mapping[str, int], inputs: Inputs
) -> list[list[LogRecord]] | None:
    """The records that a batch read, per input; None = some are gone."""
    read: list[list[LogRecord]] = []
    for name, offset in record["positions"].items():
        known = inputs.get(name, {})
        start = before.get(name, min(known, default=int(offset)))
        found = [known[number] for number in range(start, int(offset)) if number in known]
        read.append(found)
    counted = sum(len(records) for records in read)
    return read if counted == record["received"] + record["commands"] else None
