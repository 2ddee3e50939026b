"""What a connector may offer beside its source: reading every record of an object again, behind live changes.

Types only. How chunks reach Kafka, how fast and when they may, is `backfill_loop`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.sdk.errors import ConnectorError
from connectors.sdk.source import ChangeEvent
from schemas.version import SourceVersion


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Which records: from a key through a key, in the system's own order of keys; None = no bound."""

    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records as they are, and what has to happen before they may be published."""

    events: Sequence[ChangeEvent]
    after: str | None
    """Where the next chunk begins, opaque to the runner; None = this was the last one."""
    mark: str
    """How far the source must have published before this chunk may be: everything that its rows show."""
    version: SourceVersion | None = None
    """Version of the end of a record that was read earlier and is gone now; None where ends are not told."""


class Backfill(Protocol):
    """Reads records again, page by page. Runs beside the connector, in a process of its own.

    Two rules keep it from overwriting anything newer. The version of an event is above every change that is on
    Kafka when the record is read, below every other one, and above that of an earlier reading that saw less. And
    `behind` says truly whether the source has published all that the rows of a chunk show.
    """

    async def open(self, object_name: str, keys: KeyRange) -> int | None:
        """Connect. Returns about how many records there are to read; None where that cannot be said cheaply.

        Raises ConnectionLost, or ConnectorError where the connector never ran on this system.
        """
        ...

    async def chunk(self, after: str | None) -> Chunk:
        """The records after that place; None = from the beginning."""
        ...

    async def look_again(self, keys: Sequence[str]) -> Chunk:
        """The records of these keys (in the order in which `chunk` gave them) as they are now.

        Those that are gone are left out; others may be among them. `after` is not looked at.
        """
        ...

    async def behind(self, mark: str, position: str | None) -> int:
        """How far the source still has to publish to reach `mark`, in any unit; 0 = it has passed it.

        `position` is what the source's runner stored last. A number that changes says that the source moves.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; never raises for a system that is gone."""
        ...


class BackfillNotOffered(ConnectorError):
    """The adapter cannot read records again."""

    code = "backfill.not_offered"
    remedy = "Give its Parts a backfill: docs/how-to/write-a-connector.md, section 5."


class ObjectUnknown(ConnectorError):
    """The configuration of the connector does not have that object, or the object not that field."""

    code = "backfill.unknown"
    remedy = "Name an object under `objects` of the connector's file, and fields of its contract."


class OtherUnderWay(ConnectorError):
    """A backfill of the same object with other bounds or fields was stopped before its end."""

    code = "backfill.other_under_way"
    remedy = "Finish it with the options that it was started with, or give --again to forget it."


class SourceNeverRan(ConnectorError):
    """There is no source whose changes could go first."""

    code = "backfill.source_never_ran"
    remedy = "Start the connector first: its first start reads every record by itself."


class SourceStands(ConnectorError):
    """The connector's source does not publish what is waiting, so nothing may be published behind it."""

    code = "backfill.source_stands"
    remedy = (
        "Start the connector (or see why it stands), then start the backfill again: it goes on where it was."
    )
