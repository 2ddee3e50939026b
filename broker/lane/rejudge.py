"""Judges a slot's batches again from the log and compares: the same map, records and time give the same decisions.

Pure (I5): what was read is handed in. Only from the first batch on, because what a slot knew in between is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from broker.gate.change import Fault
from broker.gate.reason import IN_THE_WAY
from broker.lane.judge import Judge, LogRecord
from broker.lane.judged import Judged, NotDecided
from broker.lane.ledger import LedgerFault
from broker.lane.memory import SlotMemory
from broker.lane.order import in_order
from broker.rules import Rules

Inputs = Mapping[str, Mapping[int, LogRecord]]
"""Input, `topic/partition`, to its records by offset."""
_COMPARED = ("received", "commands", "account", "revisions", "gate_time_ms", "decisions_digest")


def rejudge(
    ledger: Iterable[Mapping[str, Any]],
    inputs: Inputs,
    maps: Mapping[int, Rules],
    partitions: Mapping[str, int],
    slot: int,
) -> Iterator[LedgerFault]:
    """Every batch that does not come out as the ledger says; stops where a batch can no longer be judged."""
    memory = SlotMemory(slot=slot, partitions=dict(partitions))
    for record in ledger:
        judge, sequence = Judge(memory, str(record["worker"])), int(record["sequence"])
        rules, batch = maps.get(record["map_version"]), _batch(record, memory.positions, inputs)
        if rules is None or batch is None:
            missing = f"map version {record['map_version']} is" if rules is None else "its changes are"
            detail = f"cannot be judged again: {missing} no longer in the log"
            yield LedgerFault(slot, sequence, detail)
            return
        judged, differing = _again(judge, rules, in_order(batch), record)
        if differing:
            yield LedgerFault(slot, sequence, f"judged again, it comes out otherwise: {', '.join(differing)}")
            return
        judge.keep(judged)
        memory.positions = {name: int(offset) for name, offset in record["positions"].items()}


def _again(
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


def _batch(
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
