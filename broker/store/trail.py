"""The trail: one line per change that was neither accepted nor held, and per step of a case.

A line of a case moves that case by the transition table (`settle`). Decides nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from broker.store.case_states import Step, fold
from broker.store.engine import add, upsert
from broker.store.tables import cases, outcome_totals, trail

COUNTED = frozenset({"echo", "stale", "duplicate", "parked", "refused", "proposed", "observed"})
"""Kinds of line that are the outcome of a change; the others are steps."""


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One line, as the console shows it."""

    kind: str
    system: str
    reason: str
    fields: tuple[str, ...]
    revision: int
    gate_time_ms: int
    case_id: str | None
    by: str | None
    note: str | None
    result: str | None


def index_trail(connection: Connection, lines: Iterable[tuple[tuple[int, int], Mapping[str, Any]]]) -> None:
    """Write lines, each with its (partition, offset); a line that is there already counts once."""
    moved: set[str] = set()
    counts: Counter[tuple[str, str, str]] = Counter()
    for (partition, offset), record in lines:
        row = {name: record[name] for name in trail.c.keys() if name in record}  # noqa: SIM118
        row |= {"trail_partition": partition, "trail_offset": offset, "record_key": record["key"]}
        if not upsert(connection, trail, [row], replace=False):
            continue
        if record["case_id"]:
            moved.add(str(record["case_id"]))
        if record["kind"] in COUNTED:
            counts[str(record["object"]), str(record["system"]), str(record["kind"])] += 1
    for (object_name, system, outcome), changes in counts.items():
        count_outcome(connection, object_name, system, outcome, changes)
    for case_id in sorted(moved):
        settle(connection, case_id)


def count_outcome(
    connection: Connection, object_name: str, system: str, outcome: str, changes: int = 1
) -> None:
    """More changes of `system` with this outcome."""
    row = {"object": object_name, "system": system, "outcome": outcome, "changes": changes}
    add(connection, outcome_totals, row, ("changes",))


def settle(connection: Connection, case_id: str) -> None:
    """Bring a case to where its trail says it is, whichever of the two topics was read first."""
    opened_ms = connection.scalar(select(cases.c.gate_time_ms).where(cases.c.case_id == case_id))
    if opened_ms is None:
        return
    rows = connection.execute(_in_order(select(trail).where(trail.c.case_id == case_id))).all()
    standing = fold(
        int(opened_ms), (Step(r.kind, tuple(r.fields), r.result, int(r.gate_time_ms)) for r in rows)
    )
    connection.execute(
        update(cases)
        .where(cases.c.case_id == case_id)
        .values(state=standing.state, result=standing.result, state_ms=standing.since_ms)
    )


def attempts_of(connection: Connection, case_id: str) -> int:
    """How many times a case was judged again."""
    lines = select(func.count()).select_from(trail)
    return int(connection.scalar(lines.where(trail.c.case_id == case_id, trail.c.kind == "redriven")) or 0)


def _in_order(query: Any) -> Any:
    return query.order_by(trail.c.gate_time_ms, trail.c.trail_partition, trail.c.trail_offset)


def lines_of_case(connection: Connection, case_id: str) -> list[TrailLine]:
    """The steps of one case, oldest first."""
    return _read(connection, _in_order(select(trail).where(trail.c.case_id == case_id)))


def lines_of_record(connection: Connection, object_name: str, key: bytes, limit: int = 20) -> list[TrailLine]:
    """What the trail says of one record, newest first."""
    query = (
        select(trail)
        .where(trail.c.object == object_name, trail.c.record_key == key)
        .order_by(trail.c.gate_time_ms.desc(), trail.c.trail_partition, trail.c.trail_offset.desc())
        .limit(limit)
    )
    return _read(connection, query)


def _read(connection: Connection, query: Any) -> list[TrailLine]:
    return [
        TrailLine(
            kind=row.kind,
            system=row.system,
            reason=row.reason,
            fields=tuple(row.fields),
            revision=row.revision,
            gate_time_ms=row.gate_time_ms,
            case_id=row.case_id,
            by=row.by,
            note=row.note,
            result=row.result,
        )
        for row in connection.execute(query)
    ]


def outcome_counts(connection: Connection) -> list[tuple[str, str, str, int]]:
    """(object, system, outcome, changes) since the first line."""
    rows = connection.execute(select(outcome_totals).order_by(*outcome_totals.primary_key))
    return [(row.object, row.system, row.outcome, row.changes) for row in rows]


def prune_trail(connection: Connection, before_ms: int) -> int:
    """Forget lines older than a gate time, unless they belong to a case. Returns how many."""
    old = delete(trail).where(trail.c.gate_time_ms < before_ms, trail.c.case_id.is_(None))
    return connection.execute(old).rowcount
