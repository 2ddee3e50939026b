"""What a slot knows between two batches; rebuilt from the log when it opens.

Pure: no I/O. `judge` reads it and changes it after a commit only, `replay` fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.gate.connections import Connections
from broker.gate.state import RecordState
from broker.gate.watch import Watch

Shelf = tuple[str, int]
"""(object, partition): where a key belongs."""


@dataclass(slots=True)
class SlotMemory:
    """The memory of one slot."""

    slot: int
    states: dict[Shelf, dict[bytes, RecordState]] = field(default_factory=dict)
    waiting: dict[Shelf, set[bytes]] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    """Partitions of each object, to tell a misrouted key."""
    connections: dict[Shelf, Connections] = field(default_factory=dict)
    """What was ordered for the systems' ways in."""
    positions: dict[str, int] = field(default_factory=dict)
    gate_time_ms: int = 0
    sequence: int = 0
    chain: bytes = b""
    map_version: int = 0
    map_since_ms: int = 0
    """Gate time of the first batch under this map version."""
    watches: dict[str, Watch] = field(default_factory=dict)
    """Input, `topic/partition`, to how its changes have gone lately."""

    def follow(self, ledger: Mapping[str, Any]) -> None:
        """Stand where this committed ledger record left the slot; one from before watches were kept has none."""
        self.positions = {str(name): int(offset) for name, offset in ledger["positions"].items()}
        self.gate_time_ms, self.sequence, self.chain = (
            ledger["gate_time_ms"],
            ledger["sequence"],
            ledger["chain"],
        )
        self.map_version, self.map_since_ms = ledger["map_version"], ledger.get("map_since_ms", 0)
        self.watches = {name: Watch(**watch) for name, watch in ledger.get("watches", {}).items()}

    def restore(self, shelf: Shelf, key: bytes, state: RecordState) -> None:
        """Put a state found in the log in its place while the slot opens."""
        self.states.setdefault(shelf, {})[key] = state
        if state.memory.waits:
            self.waiting.setdefault(shelf, set()).add(key)
