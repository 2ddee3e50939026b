"""What the gate knows about one record before a change: the authoritative value and what lies beside it.

Pure and frozen. `RecordState` can be rebuilt from `authoritative.<object>`, `Memory` from `state.<object>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import NamedTuple

from schemas import authoritative

RECENT_MAX = 64
RECENT_USUAL = 16
RECENT_BUSY_MS = 600_000
"""The newest 16 replaced values of a record count, and of one edited in quick succession all of the last ten minutes,
64 at most: a system that polls sends back what it was given dozens of edits ago."""
RECENT_BYTES = 65_536
"""Where the values are large, as many as this, and the newest in any case: each is decoded."""
RECENT_MS = 3_600_000
"""Replaced values are kept for an hour. `min.compaction.lag.ms` keeps them in the log for a day longer, so
that a rebuilt slot knows the same ones. They tell a late echo from a violation (decision 0004)."""
PARKED_MS = 24 * 3_600_000
BRAKE_MS = 2_000
"""First pause between two re-assertions of one field to one system; doubles each time."""
BRAKE_MS_MAX = 3_600_000
WAR_AT = 5
"""At so many re-assertions of one field to one system without a quiet time, people are told: a write war."""
PROPOSAL_MS = 7 * 24 * 3_600_000

Owners = authoritative.Owners
Replaced = tuple[int, bytes]
"""(append time of the change that replaced a value, the value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grave:
    """What remains of a deleted record."""

    revision: int
    owners: Owners
    deleted_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A write that waits for its record."""

    system: str
    event_id: str
    received_ms: int
    source_time_ms: int
    topic: str
    partition: int
    offset: int
    fields: frozenset[str] | None
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasserted:
    """The brake of one field that one system keeps changing."""

    system: str
    field: str
    count: int
    last_ms: int
    pending: bool
    """A re-assertion is owed, and waits for the pause to end."""

    @property
    def due_ms(self) -> int:
        """Gate time from which the next re-assertion is allowed."""
        return self.last_ms + min(BRAKE_MS << min(self.count - 1, 20), BRAKE_MS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProposal:
    """A question put to the owner of a field."""

    proposal_id: str
    case_id: str | None
    field: str
    owner: str
    value: bytes
    """A record with the suggested value, in wire format."""
    opened_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the authoritative record cannot hold; written to `state.<object>` when it changes."""

    grave: Grave | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    parked: tuple[Parked, ...] = ()
    reassertions: tuple[Reasserted, ...] = ()
    proposals: tuple[OpenProposal, ...] = ()
    former: Owners = ()
    """Last accepted events of systems for fields that they own no more."""

    @property
    def waits(self) -> bool:
        """Whether time alone can change something here."""
        return bool(self.parked or self.proposals or any(entry.pending for entry in self.reassertions))


NO_MEMORY = Memory()


class RecordState(NamedTuple):
    """One record as the gate last left it."""

    value: bytes | None = None
    """Authoritative value in wire format; None = there is no record now."""
    revision: int = 0
    owners: Owners = ()
    recent: tuple[Replaced, ...] = ()
    """Replaced values, newest last."""
    memory: Memory = NO_MEMORY
    older: Iterable[Replaced] = ()
    """Those from before `recent`, newest first: kept elsewhere, and looked up when somebody looks so far back."""

    def last_write(self, name: str) -> tuple[str, str] | None:
        """(writer, event id) of the last accepted write of a field."""
        rest: tuple[str, str] | None = None
        for owner, event, fields in self.owners:
            if fields is None:
                rest = (owner, event)
            elif name in fields:
                return owner, event
        return rest

    def version_of(self, system: str, name: str) -> str | None:
        """Event id of the last accepted write of a field, if its writer was `system`."""
        last = self.last_write(name)
        return last[1] if last is not None and last[0] == system else None

    def former_version_of(self, system: str, name: str) -> str | None:
        """Event id of the last accepted write of a field by `system` in an earlier term of it."""
        for former, event, fields in self.memory.former:
            if former == system and fields is not None and name in fields:
                return event
        return None


NO_RECORD = RecordState()


def remembered(recent: tuple[Replaced, ...], replaced: bytes, received_ms: int) -> tuple[Replaced, ...]:
    """`recent` with one more value, replaced by a change appended at `received_ms`; without oldest ones of no more use.

    By append time, which the log tells for ever, and not by gate time: a slot that opens knows the same values (I5).
    """
    if recent and (len(recent) >= RECENT_MAX or received_ms - recent[0][0] >= RECENT_MS):
        recent = recent[-(RECENT_MAX - 1) :]
        # From the old end alone, so that it does not matter when this was last done.
        while recent and received_ms - recent[0][0] >= RECENT_MS:
            recent = recent[1:]
    return (*recent, (received_ms, replaced))


def lately(state: RecordState, gate_time_ms: int) -> Iterator[Replaced]:
    """Of the newest replaced values those that are not too old, newest first.

    What a slot remembers must not depend on when it was opened, nor on what is kept elsewhere (I5).
    """
    looked_at = 0
    for number, entry in enumerate(islice(chain(reversed(state.recent), state.older), RECENT_MAX)):
        age_ms, looked_at = gate_time_ms - entry[0], looked_at + len(entry[1])
        if number >= RECENT_USUAL and age_ms >= RECENT_BUSY_MS:
            return  # those before it would be a look-up on disk each
        if number > 0 and looked_at > RECENT_BYTES:
            return
        if age_ms < RECENT_MS:
            yield entry


def wars(before: Memory, after: Memory) -> tuple[Reasserted, ...]:
    """The brakes that just now came to be a write war: each is told once, until two hours were quiet."""
    if before.reassertions is after.reassertions:
        return ()
    known = {(entry.system, entry.field): entry.count for entry in before.reassertions}
    return tuple(
        entry
        for entry in after.reassertions
        if known.get((entry.system, entry.field), 0) < WAR_AT <= entry.count
    )


def braked(
    memory: Memory, system: str, fields: frozenset[str], gate_time_ms: int
) -> tuple[Memory, frozenset[str]]:
    """Apply the brake: (memory after, fields that may be re-asserted now); the others wait for their pause to end."""
    entries = {(entry.system, entry.field): entry for entry in memory.reassertions}
    allowed = set()
    for name in sorted(fields):
        entry = entries.get((system, name))
        if entry is None or gate_time_ms - entry.last_ms > 2 * BRAKE_MS_MAX:
            entries[system, name] = Reasserted(
                system=system, field=name, count=1, last_ms=gate_time_ms, pending=False
            )
            allowed.add(name)
        elif gate_time_ms >= entry.due_ms:
            entries[system, name] = replace(entry, count=entry.count + 1, last_ms=gate_time_ms, pending=False)
            allowed.add(name)
        else:
            entries[system, name] = replace(entry, pending=True)
    return replace(memory, reassertions=tuple(entries.values())), frozenset(allowed)
