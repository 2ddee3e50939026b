"""The ledger: one record per batch and slot, each chained to the one before.

Pure. It carries the input positions (I3), the open account (I2) and a digest of every decision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_UNCHAINED = ("chain",)


def chain_of(record: Mapping[str, Any]) -> bytes:
    """BLAKE2b-256 over every field of a ledger record but its own chain, in canonical JSON."""
    fields = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in record.items()
        if name not in _UNCHAINED
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """Something that the ledger should not show."""

    slot: int
    """-1 = of all slots together."""
    sequence: int
    detail: str


def verify(records: Iterable[Mapping[str, Any]]) -> list[LedgerFault]:
    """Check the records of one slot in the order of the log; an empty list means that they hold together."""
    faults: list[LedgerFault] = []
    previous: Mapping[str, Any] | None = None
    for record in records:
        slot, sequence = int(record["slot"]), int(record["sequence"])

        def fault(detail: str, slot: int = slot, sequence: int = sequence) -> None:
            faults.append(LedgerFault(slot, sequence, detail))

        if chain_of(record) != record["chain"]:
            fault("the record was edited: its chain does not fit its contents")
        if sum(record["account"].values()) != record["received"]:
            fault(
                f"{record['received']} changes were read, {sum(record['account'].values())} have an outcome"
            )
        if previous is not None:
            _verify_link(previous, record, fault)
        elif sequence != 1:  # the ledger is kept for ever, so it begins at the beginning
            fault(f"records 1 to {sequence - 1} are missing")
        elif record["previous_chain"] != b"":
            fault("the first record has a predecessor")
        previous = record
    return faults


def cut_off(slot: int, records: Iterable[Mapping[str, Any]], revisions: int) -> LedgerFault | None:
    """Whether records are missing at the end: the slot's records were revised more often than the ledger says.

    revisions: how many it wrote at the least, read before the ledger (`broker.lane.written`); compaction only hides
    those of deleted records.
    """
    accounted, last = 0, 0
    for record in records:
        accounted, last = accounted + int(record["revisions"]), int(record["sequence"])
    if revisions <= accounted:
        return None
    detail = (
        f"records are missing at the end: {revisions} revisions are in the log, {accounted} are accounted for"
    )
    return LedgerFault(slot, last + 1, detail)


def _verify_link(previous: Mapping[str, Any], record: Mapping[str, Any], fault: Any) -> None:
    if record["sequence"] != previous["sequence"] + 1:
        fault(f"records {previous['sequence'] + 1} to {record['sequence'] - 1} are missing")
    if record["previous_chain"] != previous["chain"]:
        fault("it does not follow from the record before it")
    if record["map_version"] < previous["map_version"]:
        fault("the map went back to an older version")
    if record["gate_time_ms"] < previous["gate_time_ms"]:
        fault("gate time went backwards")
    moved = 0
    for name, offset in previous["positions"].items():
        now = record["positions"].get(name, -1)
        if now < offset:
            fault(f"position of {name} went from {offset} to {now}")
        moved += max(0, now - offset)
    moved += sum(offset for name, offset in record["positions"].items() if name not in previous["positions"])
    if moved < record["received"] + record["commands"]:
        fault(f"positions moved by {moved}, {record['received'] + record['commands']} records were read")
