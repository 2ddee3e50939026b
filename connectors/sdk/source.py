"""What a source promises: changes of a system, in the system's own order, read again until they are
committed.

Types only. How they reach Kafka is `source_loop`'s; how they look on the wire is `publish`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.version import SourceVersion, event_id


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One change of one record, as its system tells it."""

    object: str
    key: str
    version: SourceVersion
    """The system's own order of this record's changes; must not fall within one record."""
    time_ms: int
    """When the change happened, by the system's clock."""
    values: Mapping[str, Any]
    """Values by field of the contract, in the types of the contract. Empty for a delete."""
    rest: str = ""
    """What makes the id unique where the version alone does not; the same change always gets the same rest.
    """
    deletes: bool = False
    fields: frozenset[str] | None = None
    """Fields that this change sets; None = every field of the contract (full image)."""
    unavailable: frozenset[str] = field(default_factory=frozenset)
    """Fields that the system could not read along, although they are part of the image."""
    original: bytes | None = None
    """What came, where no change can be made of it: the gate holds these bytes as unreadable."""

    @property
    def event_id(self) -> str:
        """The id on the wire; equal whenever the same change is read again."""
        return event_id(self.version, self.rest)


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """Changes, and the position after them."""

    events: Sequence[ChangeEvent]
    position: str | None
    """Opaque to the runner. The same position as before and no events mean idle."""


class Source(Protocol):
    """Reads the changes of one system. The runner calls one method at a time."""

    async def open(self, position: str | None) -> None:
        """Connect and stand at `position`; None = never read: begin with a snapshot of every record.

        Called again (after `close`) whenever a method raised. What was read but not committed is read again.
        Raises ConnectionLost when the system cannot be reached, PositionLost when it no longer has the
        changes.
        """
        ...

    async def read(self) -> ReadBatch:
        """The next changes, in order; empty at once when there are none: the runner paces, a source never
        sleeps.

        An empty batch with a new position is committed like any other. Raises ConnectionLost.
        """
        ...

    async def commit(self, position: str | None) -> None:
        """Kafka has every record up to `position`: only now may the system forget them.

        Called with the position of the batch read last. Idempotent. Raises ConnectionLost.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; never raises for a system that is gone."""
        ...
