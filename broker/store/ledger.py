"""The account: how many changes came in and what became of them, and how far the gate is.

Per slot only the last ledger record is kept; the whole ledger stays in its topic. A batch whose account does
not add up, or a break in a slot's chain, is kept as a fault and never smoothed over (I2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from broker.store.engine import add, upsert
from broker.store.tables import account_hours, inputs, ledger_faults, slots

HOUR_MS = 3_600_000
RECEIVED, COMMANDS, REVISIONS = "received", "commands", "revisions"
OUTCOMES = (
    "accepted",
    "partly_accepted",
    "echo",
    "duplicate",
    "stale",
    "parked",
    "observed",
    "proposed",
    "refused",
    "quarantined",
    "unreadable",
)
"""Section 5 of the design, in the order the console shows them."""


@dataclass(frozen=True, slots=True)
class Account:
    """What came in and what became of it; `faults` = batches that do not add up."""

    received: int
    outcomes: Mapping[str, int]
    revisions: int
    faults: int

    @property
    def balances(self) -> bool:
        """Whether every change received has exactly one outcome."""
        return self.faults == 0 and self.received == sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class SlotStanding:
    """The last committed batch of a slot."""

    slot: int
    sequence: int
    map_version: int
    gate_time_ms: int
    written_ms: int


def index_ledger(connection: Connection, records: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
    """Write ledger records, each with the append time of its record, in the order of the log."""
    last = {row.slot: row for row in connection.execute(select(slots))}
    hours: dict[tuple[int, str], int] = {}
    moved: dict[tuple[str, int], tuple[int, int]] = {}
    newest: dict[int, dict[str, Any]] = {}
    for written_ms, record in records:
        slot, sequence = int(record["slot"]), int(record["sequence"])
        before = newest.get(slot) or (last[slot]._asdict() if slot in last else None)
        if before is not None and sequence <= before["sequence"]:
            continue
        fault = _fault(before, record)
        if fault:
            row = {"slot": slot, "sequence": sequence, "fault": fault, "written_ms": written_ms}
            upsert(connection, ledger_faults, [row])
        counts = {RECEIVED: record["received"], COMMANDS: record["commands"], REVISIONS: record["revisions"]}
        for entry, count in (counts | record["account"]).items():
            hour = (written_ms // HOUR_MS * HOUR_MS, entry)
            hours[hour] = hours.get(hour, 0) + int(count)
        for place, offset in record["positions"].items():
            topic, _, partition = place.rpartition("/")
            moved[topic, int(partition)] = (int(offset), int(record["gate_time_ms"]))
        newest[slot] = {
            "slot": slot,
            "sequence": sequence,
            "worker": record["worker"],
            "map_version": record["map_version"],
            "gate_time_ms": record["gate_time_ms"],
            "written_ms": written_ms,
            "chain": record["chain"],
        }
    upsert(connection, slots, list(newest.values()))
    for (hour_ms, entry), count in hours.items():
        add(connection, account_hours, {"hour_ms": hour_ms, "entry": entry, "changes": count}, ("changes",))
    _move_inputs(connection, moved)


def _fault(before: Mapping[str, Any] | None, record: Mapping[str, Any]) -> str | None:
    if int(record["received"]) != sum(record["account"].values()):  # I2
        return "account"
    if before is None:
        return None
    if int(record["sequence"]) != before["sequence"] + 1:
        return "sequence"
    return None if bytes(record["previous_chain"]) == bytes(before["chain"]) else "chain"


def _move_inputs(connection: Connection, moved: Mapping[tuple[str, int], tuple[int, int]]) -> None:
    known = {(row.topic, row.partition): row.next_offset for row in connection.execute(select(inputs))}
    rows = [
        {"topic": topic, "partition": partition, "next_offset": offset, "moved_ms": at_ms}
        for (topic, partition), (offset, at_ms) in moved.items()
        if offset > known.get((topic, partition), 0)
    ]
    upsert(connection, inputs, rows)


def account(connection: Connection, since_ms: int = 0) -> Account:
    """The account since a time (whole hours)."""
    hour_ms = since_ms // HOUR_MS * HOUR_MS
    query = select(account_hours.c.entry, func.sum(account_hours.c.changes))
    rows = connection.execute(query.where(account_hours.c.hour_ms >= hour_ms).group_by(account_hours.c.entry))
    counts = {str(entry): int(count) for entry, count in rows}
    received, revisions = counts.pop(RECEIVED, 0), counts.pop(REVISIONS, 0)
    counts.pop(COMMANDS, None)
    faults = connection.scalar(
        select(func.count()).select_from(ledger_faults).where(ledger_faults.c.written_ms >= hour_ms)
    )
    ordered = {name: counts.pop(name, 0) for name in OUTCOMES} | counts
    return Account(received, ordered, revisions, int(faults or 0))


def slot_standings(connection: Connection) -> list[SlotStanding]:
    """The last committed batch of every slot."""
    rows = connection.execute(select(slots).order_by(slots.c.slot))
    return [SlotStanding(r.slot, r.sequence, r.map_version, r.gate_time_ms, r.written_ms) for r in rows]


def input_positions(connection: Connection) -> dict[tuple[str, int], tuple[int, int]]:
    """(next offset the gate will read, gate time when it last moved), per input partition."""
    rows = connection.execute(select(inputs))
    return {(row.topic, row.partition): (row.next_offset, row.moved_ms) for row in rows}
