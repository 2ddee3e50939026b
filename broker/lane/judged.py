"""What becomes of a batch that was judged, before anything of it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from broker.gate.connections import Connections
from broker.gate.echo import EchoPlan
from broker.gate.express import ExpressPlan
from broker.gate.outgoing import Outgoing
from broker.gate.state import RecordState
from broker.gate.watch import Watch
from broker.lane import alarms
from broker.lane.memory import Shelf
from broker.lane.states import States

STEP_RECORDS = 64
"""Judged without a pause: some milliseconds, a fifth of a second where each of them takes the longest way there is."""


class NotDecided(Exception):
    """Deciding failed over one record of a batch: a defect of ours. `index`: which one."""

    def __init__(self, index: int) -> None:
        super().__init__(f"deciding failed over record {index} of the batch")
        self.index = index


@dataclass(slots=True)
class Judged:
    """What becomes of a batch."""

    outgoing: list[tuple[Outgoing, int]] = field(default_factory=list)
    """(record, input partition)."""
    account: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """(object, system, outcome, reason) of what took the long way."""
    decisions: list[bytes] = field(default_factory=list)
    """What was decided, record by record: position, outcome, reason, revision, value; in pieces."""
    commands: int = 0
    revisions: int = 0
    ledger: dict[str, Any] = field(default_factory=dict)
    states: dict[Shelf, dict[bytes, RecordState]] = field(default_factory=dict)
    considered: set[tuple[Shelf, bytes]] = field(default_factory=set)
    """States of the long way or a command; the short way changes nothing that waits."""
    streams: dict[str, str] = field(default_factory=dict)
    """Object to the stream of its inputs; what follows from them is written to the same one."""
    connections: dict[Shelf, Connections] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    gate_time_ms: int = 0
    index: int = -1
    """The record that is being judged."""


@dataclass(slots=True, kw_only=True)
class Input:
    """One input partition while a batch is judged, so that what is the same for its records is looked up once."""

    name: bytes
    """`<topic>/<partition>`, as the ledger names it."""
    system: str | None
    """None = commands."""
    shelf: Shelf
    plan: ExpressPlan | None
    echoes: EchoPlan | None
    known: States
    pending: dict[bytes, RecordState]
    partitions: int | None
    read_to: int = 0
    expressed: int = 0
    echoed: int = 0
    going: alarms.Going = field(default_factory=alarms.Going)


def whole(steps: Generator[None, None, Judged]) -> Judged:
    """Take all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            judged: Judged = end.value
            return judged


class LogRecord(Protocol):
    """A consumed record, as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def revision_parts(state: RecordState) -> tuple[bytes, bytes]:
    """How a new revision enters the digest of a batch; with its length, so that no two batches read alike."""
    value = state.value
    return b"%d|%d|" % (state.revision, -1 if value is None else len(value)), value or b""
