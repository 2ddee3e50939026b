"""What a slot knows between two batches; folded from the log when it opens, from a checkpoint on if there is one.

Pure: no I/O of its own. `judge` reads it and changes it after a commit only, `replay` fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.gate.connections import CONNECTIONS_KEY, Connections, connections_of
from broker.gate.memory import memory_of
from broker.gate.state import NO_MEMORY, NO_RECORD, RecordState
from broker.gate.watch import Watch
from broker.lane import fold
from broker.lane.states import States
from schemas.envelope import Headers
from schemas.registry import envelopes

Shelf = tuple[str, int]
"""(stream, partition): where a key belongs. Another generation of an object has shelves of its own."""


@dataclass(slots=True)
class SlotMemory:
    """The memory of one slot."""

    slot: int
    states: dict[Shelf, States] = field(default_factory=dict)
    waiting: dict[Shelf, set[bytes]] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    """Partitions of each stream, to tell a misrouted key."""
    connections: dict[Shelf, Connections] = field(default_factory=dict)
    """What was ordered for the systems' ways in."""
    positions: dict[str, int] = field(default_factory=dict)
    gate_time_ms: int = 0
    sequence: int = 0
    chain: bytes = b""
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) of an output to an offset before which all of its records so far stand; -1 = not known."""
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

    def _state(self, shelf: Shelf, key: bytes) -> RecordState:
        return self.states.setdefault(shelf, {}).get(key) or NO_RECORD

    def remember(self, shelf: Shelf, key: bytes, value: bytes) -> None:
        """Take in one record of `state.<object>` while the slot opens; all of a shelf before its revisions."""
        record = envelopes().codec.decode(value)
        if key == CONNECTIONS_KEY:
            self.connections[shelf] = connections_of(record)
        else:
            self.restore(shelf, key, fold.remembering(self._state(shelf, key), memory_of(record)))

    def revise(self, shelf: Shelf, key: bytes, value: bytes | None, headers: Headers) -> None:
        """Take in one authoritative record while the slot opens. Raises MalformedEnvelope: not the gate's own."""
        self.restore(shelf, key, fold.revised(self._state(shelf, key), value, headers))

    def restore(self, shelf: Shelf, key: bytes, state: RecordState) -> None:
        """Put a state found in the log in its place while the slot opens."""
        self.states.setdefault(shelf, {}).update({key: state})
        if state.memory is NO_MEMORY:
            return  # by far the most
        waiting = self.waiting.setdefault(shelf, set())
        (waiting.add if state.memory.waits else waiting.discard)(key)
