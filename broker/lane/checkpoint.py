"""Up to where of the log the states on disk go, and whether that can be believed.

Pure: what Kafka and the ledger say now is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from broker import topics
from broker.lane.memory import SlotMemory
from broker.lane.places import Place
from broker.lane.stored import FORMAT


@dataclass(frozen=True, slots=True)
class Changelogs:
    """What Kafka says now of the partitions that states are rebuilt from."""

    ids: Mapping[str, str]
    """Topic to the id that Kafka gave it when it was made."""
    begin: Mapping[Place, int]
    end: Mapping[Place, int]
    """Last stable offsets."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Written together with the states, in one step."""

    sequence: int
    chain: bytes
    """Of the slot's last batch that the states hold."""
    written_ms: int
    waiting: int
    """How many keys wait."""
    ids: Mapping[str, str]
    offsets: Mapping[Place, int]
    """Next offset of each changelog partition: everything before it is in the states."""

    def encode(self) -> bytes:
        """As it is kept on disk."""
        said = {
            "format": FORMAT,
            "sequence": self.sequence,
            "chain": self.chain.hex(),
            "written_ms": self.written_ms,
            "waiting": self.waiting,
            "ids": dict(self.ids),
            "offsets": [[*place, offset] for place, offset in self.offsets.items()],
        }
        return json.dumps(said).encode()


def checkpoint_of(stored: bytes) -> Checkpoint | None:
    """The inverse of `encode`; None = it is of another format. Raises ValueError or KeyError for anything else."""
    said = json.loads(stored)
    if said["format"] != FORMAT:
        return None
    return Checkpoint(
        sequence=said["sequence"],
        chain=bytes.fromhex(said["chain"]),
        written_ms=said["written_ms"],
        waiting=said["waiting"],
        ids=said["ids"],
        offsets={(topic, partition): offset for topic, partition, offset in said["offsets"]},
    )


def doubt(checkpoint: Checkpoint, memory: SlotMemory, log: Changelogs, now_ms: int) -> str:
    """Why the states of a checkpoint cannot be used; "" = they can.

    `memory` stands where the last committed ledger record left the slot. A checkpoint that is older than compaction
    leaves the log alone is no use: a delete after it may be gone from the log, and with it the only word of it.
    """
    if checkpoint.sequence > memory.sequence:
        return "it is ahead of the ledger"
    if checkpoint.sequence == memory.sequence and checkpoint.chain != memory.chain:
        return "the ledger is another one"
    if checkpoint.sequence < memory.sequence and abs(now_ms - checkpoint.written_ms) > topics.WHOLE_MS:
        return "it is too old: the log was compacted since"
    for place, offset in checkpoint.offsets.items():
        if place not in log.end:
            continue
        if checkpoint.ids.get(place[0]) != log.ids.get(place[0]):
            return f"topic {place[0]} was made anew"
        if offset > log.end[place]:
            return f"it is ahead of {place[0]}/{place[1]}"
        if offset < log.begin[place]:
            return f"the beginning of {place[0]}/{place[1]} is gone"
    return ""
