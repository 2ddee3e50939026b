"""Cases: what was held, with its original bytes, for as long as people need it.

Reading for the console and the CLI, writing for the indexer. Who may decide, and what, is not known here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from broker.store.case_states import CaseState
from broker.store.engine import upsert
from broker.store.tables import case_fields, cases, proposals
from broker.store.trail import count_outcome, settle

PAGE_LENGTH = 50
UNDECIDED = (CaseState.OPEN, CaseState.ASKED)
NEEDS_A_PERSON = ("held", "refused", "proposed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one field; values are JSON text, None = there was none."""

    field: str
    verdict: str
    reason: str
    owner: str | None
    authoritative: str | None
    attempted: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """One held write."""

    case_id: str
    object: str
    key: bytes
    system: str
    event_id: str | None
    deletes: bool
    source_time_ms: int | None
    received_ms: int
    outcome: str
    reason: str
    detail: str
    map_version: int
    verdicts: tuple[Verdict, ...]
    headers: Mapping[str, bytes]
    value: bytes | None
    by_reference: bool
    revision: int
    place: tuple[str, int, int]
    """Where the original stands in the log: topic, partition, offset."""
    state: CaseState
    result: str | None
    state_ms: int

    @property
    def held_fields(self) -> tuple[str, ...]:
        """The fields that were not accepted."""
        return tuple(v.field for v in self.verdicts if v.verdict in NEEDS_A_PERSON)

    @property
    def askable_fields(self) -> tuple[str, ...]:
        """Those of them that have an owner who can be asked."""
        return tuple(v.field for v in self.verdicts if v.owner and v.verdict in NEEDS_A_PERSON)

    @property
    def owners(self) -> tuple[str, ...]:
        """Systems of record of those fields."""
        names = {v.owner for v in self.verdicts if v.owner and v.verdict in NEEDS_A_PERSON}
        return tuple(sorted(names))


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases; empty = any. `state` may also be `undecided`."""

    state: str = "undecided"
    system: str = ""
    field: str = ""
    reason: str = ""
    object: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Cases of one cause."""

    reason: str
    system: str
    object: str
    count: int
    last_ms: int


_AS_IT_CAME = (
    "case_id", "object", "system", "event_id", "deletes", "source_time_ms", "received_ms", "gate_time_ms",
    "topic", "partition", "offset", "sha256", "outcome", "reason", "detail", "map_version", "verdicts",
    "value", "by_reference", "authoritative", "revision",
)  # fmt: skip


def index_cases(connection: Connection, records: Iterable[Mapping[str, Any]]) -> None:
    """Write cases of the quarantine topic; one that is there already stays as it is (names are stable)."""
    for record in records:
        headers = {name: base64.b64encode(value).decode() for name, value in record["headers"].items()}
        row = {name: record[name] for name in _AS_IT_CAME}
        row |= {"record_key": record["key"], "headers": headers, "state": CaseState.OPEN, "result": None}
        row["state_ms"] = record["gate_time_ms"]
        if not upsert(connection, cases, [row], replace=False):
            continue
        case_id = str(record["case_id"])
        fields = [
            {"case_id": case_id, "field": verdict["field"], "verdict": verdict["verdict"]}
            for verdict in record["verdicts"]
        ]
        upsert(connection, case_fields, fields)
        count_outcome(connection, str(record["object"]), str(record["system"]), str(record["outcome"]))
        settle(connection, case_id)


def index_proposals(connection: Connection, owner: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write questions put to an owner."""
    for record in records:
        row = {name: record[name] for name in proposals.c.keys() if name in record}  # noqa: SIM118
        row |= {"record_key": record["key"], "owner": owner}
        upsert(connection, proposals, [row])


def questions_of_case(connection: Connection, case_id: str) -> list[tuple[str, int, int]]:
    """(owner, asked at, open until) of every question asked because of a case."""
    query = select(proposals).where(proposals.c.case_id == case_id).order_by(proposals.c.opened_ms)
    return [(row.owner, row.opened_ms, row.expires_ms) for row in connection.execute(query)]


def _conditions(wanted: CaseFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state == "undecided":
        conditions.append(cases.c.state.in_(UNDECIDED))
    elif wanted.state:
        conditions.append(cases.c.state == wanted.state)
    named = {name: getattr(wanted, name) for name in ("system", "reason", "object", "detail")}
    conditions.extend(cases.c[name] == value for name, value in named.items() if value)
    if wanted.field:
        touched = select(case_fields.c.case_id).where(
            case_fields.c.field == wanted.field, case_fields.c.verdict.in_(NEEDS_A_PERSON)
        )
        conditions.append(cases.c.case_id.in_(touched))
    return conditions


def causes(connection: Connection, wanted: CaseFilter) -> list[Cause]:
    """The cases grouped by cause, largest group first."""
    keys = (cases.c.reason, cases.c.system, cases.c.object)
    count = func.count().label("count")
    query = select(*keys, count, func.max(cases.c.received_ms).label("last_ms")).where(*_conditions(wanted))
    rows = connection.execute(query.group_by(*keys).order_by(count.desc(), *keys))
    return [Cause(row.reason, row.system, row.object, int(row[3]), int(row.last_ms)) for row in rows]


def list_cases(
    connection: Connection,
    wanted: CaseFilter,
    *,
    before: tuple[int, str] | None = None,
    limit: int = PAGE_LENGTH,
) -> list[Case]:
    """A page of cases, newest first; `before` = (received_ms, case_id) of the last one of the page above."""
    conditions = _conditions(wanted)
    if before is not None:
        received_ms, case_id = before
        same = and_(cases.c.received_ms == received_ms, cases.c.case_id < case_id)
        conditions.append(or_(cases.c.received_ms < received_ms, same))
    query = select(cases).where(*conditions)
    rows = connection.execute(query.order_by(cases.c.received_ms.desc(), cases.c.case_id.desc()).limit(limit))
    return [_case(row) for row in rows]


def of_each_detail(connection: Connection, reason: str, limit: int) -> list[Case]:
    """One undecided case of a reason for each object and detail, those first that were met first."""
    first = func.min(cases.c.case_id).label("case_id")
    groups = (
        select(first, func.min(cases.c.received_ms).label("since"))
        .where(*_conditions(CaseFilter(reason=reason)))
        .group_by(cases.c.object, cases.c.detail)
        .order_by(func.min(cases.c.received_ms))
        .limit(limit)
        .subquery()
    )
    rows = connection.execute(
        select(cases).join(groups, cases.c.case_id == groups.c.case_id).order_by(groups.c.since)
    )
    return [_case(row) for row in rows]


def find_case(connection: Connection, case_id: str) -> Case | None:
    """One case by its name."""
    row = connection.execute(select(cases).where(cases.c.case_id == case_id)).first()
    return None if row is None else _case(row)


def case_counts(connection: Connection) -> dict[str, int]:
    """How many cases there are per state."""
    rows = connection.execute(select(cases.c.state, func.count()).group_by(cases.c.state))
    return {str(state): int(count) for state, count in rows}


def filter_choices(connection: Connection) -> tuple[list[str], list[str]]:
    """Systems and fields that occur in cases."""
    systems = connection.scalars(select(cases.c.system).distinct().order_by(cases.c.system)).all()
    fields = connection.scalars(
        select(case_fields.c.field)
        .where(case_fields.c.verdict.in_(NEEDS_A_PERSON))
        .distinct()
        .order_by(case_fields.c.field)
    ).all()
    return [str(name) for name in systems], [str(name) for name in fields]


def _case(row: Any) -> Case:
    names = ("field", "verdict", "reason", "owner", "authoritative", "attempted")
    return Case(
        case_id=row.case_id,
        object=row.object,
        key=bytes(row.record_key),
        system=row.system,
        event_id=row.event_id,
        deletes=row.deletes,
        source_time_ms=row.source_time_ms,
        received_ms=row.received_ms,
        outcome=row.outcome,
        reason=row.reason,
        detail=row.detail,
        map_version=row.map_version,
        verdicts=tuple(Verdict(*(verdict.get(name) for name in names)) for verdict in row.verdicts),
        headers={name: base64.b64decode(value) for name, value in row.headers.items()},
        value=None if row.value is None else bytes(row.value),
        by_reference=row.by_reference,
        revision=row.revision,
        place=(row.topic, row.partition, row.offset),
        state=CaseState(row.state),
        result=row.result,
        state_ms=row.state_ms,
    )
