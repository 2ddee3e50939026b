"""A batch of which Kafka kept a part: what it committed of the slot's last transaction, and what it took back.

That should not be, and yet Kafka does it where a coordinator is killed with a commit that nobody else has heard of, and
comes back within its session (decision 0021). A commit that was asked for and not answered is the only one that can end
so, and after it the slot opens anew. So each opening looks at the last batch, whose ledger record says where it wrote.

Pure. In one partition all of a transaction is committed, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from broker import topics
from broker.lane.memory import Shelf
from broker.lane.places import Place, place_in


class Written(NamedTuple):
    """A ledger record, as the log has it."""

    record: Mapping[str, Any]
    appended_ms: int


@dataclass(frozen=True, slots=True)
class LedgerEnd:
    """The end of one slot's ledger."""

    last: Written | None = None
    """The last record that is committed."""
    before: Written | None = None
    """The one before."""
    attempted: Written | None = None
    """The newest of those behind it that were taken back."""


@dataclass(frozen=True, slots=True)
class Torn:
    """A batch that must be made whole before another one is judged."""

    record: Mapping[str, Any]
    """Its ledger record."""
    before: Mapping[str, Any] | None
    """That of the batch before."""
    missing: frozenset[Place]
    """Where Kafka took back what it wrote."""

    @property
    def since(self) -> Mapping[str, int]:
        """Input, `topic/partition`, to where it began to read; one that is not here was read from its beginning."""
        return self.before["positions"] if self.before is not None else {}

    @property
    def moved(self) -> dict[str, int]:
        """The inputs that it read, and where it ended."""
        since = self.since
        return {name: at for name, at in self.record["positions"].items() if since.get(name) != at}

    @property
    def shelves(self) -> set[Shelf]:
        """Those whose inputs it read."""
        return {(topics.stream_in(topic) or "", partition) for topic, partition in map(place_in, self.moved)}


def begins(record: Mapping[str, Any]) -> dict[Place, int]:
    """Where in each of its outputs a batch begins; those of which that is not known are left out."""
    return {place_in(name): at for name, at in record.get("outputs", {}).items() if at >= 0}


def torn(
    record: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    found: Mapping[Place, bool],
    *,
    committed: bool,
) -> Torn | None:
    """A batch, if it is torn. `found`: whether something of it is there, of each output that could be looked at;
    `committed`: whether its ledger record is.
    """
    missing = frozenset(place for place, there in found.items() if not there)
    if committed:
        return Torn(record, before, missing) if missing else None
    if len(missing) == len(found):
        return None  # it was taken back everywhere, as it should be
    return Torn(record, before, missing | {(topics.LEDGER, int(record["slot"]))})
