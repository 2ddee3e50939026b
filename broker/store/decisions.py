"""What people decided here and sent to the gate. Done means the trail says so; this table alone proves
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select, update

from broker.store.engine import upsert
from broker.store.tables import decisions


class Sending(StrEnum):
    """How far a decision got on its way into the log."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a person about a case."""

    command_id: str
    case_id: str
    decision: str
    by: str
    note: str
    issued_ms: int
    delivery: Sending


def begin_decision(connection: Connection, decision: Decision) -> bool:
    """Note a decision before it is sent; False when this very one was noted before (a form sent twice)."""
    row = {name: getattr(decision, name) for name in decisions.c.keys()}  # noqa: SIM118 - columns by name
    return upsert(connection, decisions, [row], replace=False) == 1


def mark_decision(connection: Connection, command_id: str, delivery: Sending) -> None:
    """Note whether the log has taken it."""
    connection.execute(
        update(decisions).where(decisions.c.command_id == command_id).values(delivery=delivery)
    )


def decisions_of_case(connection: Connection, case_id: str) -> list[Decision]:
    """Every decision sent about a case, oldest first."""
    query = select(decisions).where(decisions.c.case_id == case_id).order_by(decisions.c.issued_ms)
    return [
        Decision(
            command_id=row.command_id,
            case_id=row.case_id,
            decision=row.decision,
            by=row.by,
            note=row.note,
            issued_ms=row.issued_ms,
            delivery=Sending(row.delivery),
        )
        for row in connection.execute(query)
    ]
