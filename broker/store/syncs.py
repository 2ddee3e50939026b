"""The last evaluation of every sync: its state and its sentence. Shapes and queries; judging is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from broker.store.engine import upsert
from broker.store.tables import syncs


@dataclass(frozen=True, slots=True)
class SyncRow:
    """One sync (object from source to sink) as last evaluated."""

    object: str
    source: str
    sink: str
    state: str
    since_ms: int
    evaluated_ms: int
    sentence: str
    effect: str
    next_step: str
    measures: Mapping[str, Any]
    """Per hop p50_ms, p99_ms, count; `promise_ms`, `promise_max_ms`."""


def write_syncs(connection: Connection, rows: Sequence[SyncRow]) -> None:
    """Replace the evaluation; a sync that is not among the rows is no longer promised and goes."""
    kept = {(row.object, row.source, row.sink) for row in rows}
    for old in connection.execute(select(syncs.c.object, syncs.c.source, syncs.c.sink)).all():
        if tuple(old) not in kept:
            object_name, source, sink = old
            connection.execute(
                delete(syncs).where(
                    syncs.c.object == object_name, syncs.c.source == source, syncs.c.sink == sink
                )
            )
    names = syncs.c.keys()
    upsert(connection, syncs, [{name: getattr(row, name) for name in names} for row in rows])


def read_syncs(connection: Connection) -> list[SyncRow]:
    """Every sync as last evaluated."""
    rows = connection.execute(select(syncs).order_by(*syncs.primary_key))
    return [SyncRow(**row._asdict()) for row in rows]
