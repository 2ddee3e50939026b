"""Updates that a system would not take after all retries: they need a person, who says when one is settled.

That a person settled one is kept apart from the failures, so that a rebuild from the topics does not forget
it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from broker.store.engine import upsert
from broker.store.tables import failed_deliveries, settlements


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """One update that was given up."""

    delivery_id: str
    system: str
    object: str
    key: bytes
    revision: int
    code: str
    message: str
    attempts: int
    failed_ms: int


_SETTLED = select(settlements.c.delivery_id)


def open_deliveries(connection: Connection, limit: int = 100) -> list[FailedDelivery]:
    """Failed updates that nobody has settled yet, newest first."""
    query = select(failed_deliveries).where(failed_deliveries.c.delivery_id.not_in(_SETTLED))
    rows = connection.execute(query.order_by(failed_deliveries.c.failed_ms.desc()).limit(limit))
    return [
        FailedDelivery(
            delivery_id=row.delivery_id,
            system=row.system,
            object=row.object,
            key=bytes(row.record_key),
            revision=row.revision,
            code=row.code,
            message=row.message,
            attempts=row.attempts,
            failed_ms=row.failed_ms,
        )
        for row in rows
    ]


def open_delivery_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """How many wait for a person, per (object, system)."""
    columns = (failed_deliveries.c.object, failed_deliveries.c.system)
    query = select(*columns, func.count()).where(failed_deliveries.c.delivery_id.not_in(_SETTLED))
    rows = connection.execute(query.group_by(*columns))
    return {(str(object_name), str(system)): int(count) for object_name, system, count in rows}


def settle_delivery(connection: Connection, delivery_id: str, *, by: str, note: str, at_ms: int) -> bool:
    """Record that a person dealt with a failed update; False when there is none or it was settled before."""
    known = select(failed_deliveries.c.delivery_id).where(failed_deliveries.c.delivery_id == delivery_id)
    if connection.execute(known).first() is None:
        return False
    row = {"delivery_id": delivery_id, "by": by, "note": note, "settled_ms": at_ms}
    return upsert(connection, settlements, [row], replace=False) == 1
