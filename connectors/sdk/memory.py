"""A scripted source and sink in memory: for an author's tests, and for the SDK's own. Not for production."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.sdk.adapter import Connector, Context, Parts
from connectors.sdk.errors import ConnectionLost
from connectors.sdk.feedback import Proposal, Refusal
from connectors.sdk.sink import Applied, Outcome, Sink, Skipped, Update
from connectors.sdk.source import ChangeEvent, ReadBatch, Source


@dataclass
class MemorySource:
    """Tells the changes it was given, again until they are committed. Its position is how many were
    committed.
    """

    changes: list[ChangeEvent] = field(default_factory=list)
    batch: int = 100
    lose_connection: int = 0
    """How many of the next reads raise ConnectionLost."""
    committed: list[str | None] = field(default_factory=list)
    opened: list[str | None] = field(default_factory=list)
    _at: int = 0

    async def open(self, position: str | None) -> None:
        self.opened.append(position)
        self._at = int(position or 0)

    async def read(self) -> ReadBatch:
        if self.lose_connection > 0:
            self.lose_connection -= 1
            raise ConnectionLost("scripted")
        events = self.changes[self._at : self._at + self.batch]
        self._at += len(events)
        return ReadBatch(events, str(self._at))

    async def commit(self, position: str | None) -> None:
        self.committed.append(position)

    async def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class MemorySink:
    """Keeps records by key; obeys a script of outcomes per key, connection losses and stalls."""

    script: dict[str, list[Outcome]] = field(default_factory=dict)
    """Per key, the outcomes of the next tries; after them it applies."""
    lose_connection: int = 0
    """How many of the next calls raise ConnectionLost."""
    stall: asyncio.Event | None = None
    """Given: every call waits until it is set."""
    records: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    revisions: dict[tuple[str, str], int] = field(default_factory=dict)
    calls: list[Sequence[Update]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def apply(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        if self.stall is not None:
            await self.stall.wait()
        if self.lose_connection > 0:
            self.lose_connection -= 1
            raise ConnectionLost("scripted")
        self.calls.append(updates)
        return [self._apply(update) for update in updates]

    def _apply(self, update: Update) -> Outcome:
        planned = self.script.get(update.key)
        if planned:
            return planned.pop(0)
        name = (update.object, update.key)
        if self.revisions.get(name, 0) > update.revision:
            return Skipped("lower revision")
        self.revisions[name] = update.revision
        if update.deleted:
            self.records.pop(name, None)
        else:
            self.records.setdefault(name, {}).update({f: update.values[f] for f in update.write})
        return Applied()

    async def receive_refusal(self, refusal: Refusal) -> None:
        if all(known.case_id != refusal.case_id for known in self.refusals):
            self.refusals.append(refusal)

    async def receive_proposal(self, proposal: Proposal) -> None:
        if all(known.proposal_id != proposal.proposal_id for known in self.proposals):
            self.proposals.append(proposal)

    async def close(self) -> None:
        """Nothing to let go of."""


def memory_connector(source: Source | None = None, sink: Sink | None = None) -> Connector:
    """A connector of these two parts."""
    build: Callable[[Context], Parts] = lambda _context: Parts(source, sink)  # noqa: E731 - one expression
    return Connector("memory", build)


def record_of(sink: MemorySink, object_name: str, key: str) -> Mapping[str, object] | None:
    """What the sink holds of a record."""
    return sink.records.get((object_name, key))
