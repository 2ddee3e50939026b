"""What a sink shall write of an authoritative record, and how several revisions of one key become one update.

Pure. No retries, no offsets, no system: those are the sink loop's and the adapter's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from connectors.sdk.sink import Update
from connectors.sdk.store import AppliedRevision
from schemas.authoritative import AuthoritativeEnvelope


@dataclass(slots=True)
class Pending:
    """An update on its way, with the offsets that wait for it."""

    partition: TopicPartition
    key: bytes
    update: Update
    offsets: list[int] = field(default_factory=list)
    attempts: int = 0
    due_ms: int = 0
    """Monotonic time before which it is not tried (again)."""


def next_update(
    envelope: AuthoritativeEnvelope,
    values: Mapping[str, Any],
    *,
    system: str,
    key: str,
    decided_ms: int,
    before: Update | AppliedRevision | None,
    generation: str = "",
) -> Update | None:
    """The update for this record after `before` (an update not yet applied, or the last applied revision).

    None when `before` is as new or newer: nobody is taken backwards.  # I4
    In another generation than that of `before` the same revision is news: other fields of it may be seen.
    """
    other = before is not None and before.generation != generation
    if before is not None and envelope.revision + other <= before.revision:
        return None
    # Nothing was applied of this life of the record yet; an update that waits may already be about to create it.
    fresh = before is None or before.deleted or (isinstance(before, Update) and before.created)
    # A revision in between was never seen (compacted away) or was given up: patching would leave its fields
    # behind.
    gap = before is not None and (other or envelope.revision != before.revision + 1)
    fields = frozenset(values)
    own = envelope.owned_by(system, fields)
    writable = fields - own  # I11: never a field to its own system of record
    if envelope.deleted:
        write: frozenset[str] = frozenset()
    elif fresh or gap:
        write = writable
    else:
        # What was its own at the last revision was left out there; now that it is another's, it is written.
        write = (envelope.changed | (before.own if before is not None else frozenset())) & writable
        if envelope.reassert is not None and envelope.reassert[0] == system:
            write |= envelope.reassert[1] & writable
    if isinstance(before, Update) and not before.deleted:
        write = (write | before.write) & writable
    return Update(
        object=envelope.object,
        key=key,
        revision=envelope.revision,
        deleted=envelope.deleted,
        values=values,
        write=write,
        writable=writable,
        created=fresh,
        cause=envelope.causation,
        time_ms=envelope.time_ms,
        ingress_ms=envelope.ingress_ms,
        decided_ms=decided_ms,
        generation=generation,
        own=own,
    )


def nothing_to_do(update: Update, system: str) -> str | None:
    """Why the adapter need not see this update; None when it must."""
    if update.deleted:
        # The system ended the record itself; by now it may hold a new one under the same key.
        return "deleted here" if update.cause[0] == system else None
    return None if update.write else "nothing to write"
