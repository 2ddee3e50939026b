"""What a quarterly review asks of the store: cases, ages and deliveries of some objects. Queries only.

Times are milliseconds since 1970 by the broker's clock; a period holds its first moment and not its last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from broker.store.cases import UNDECIDED
from broker.store.ledger import RECEIVED
from broker.store.levels import COUNTS, END_TO_END, Window
from broker.store.tables import account_hours, cases, delivery_totals, windows


@dataclass(frozen=True, slots=True)
class HeldCount:
    """How many cases one system brought about for one reason."""

    object: str
    system: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Waited:
    """Undecided cases of an object."""

    counts: tuple[int, ...]
    """By age, youngest first: one more than there are bounds."""
    oldest_ms: int
    """When the one that waits longest was received."""


def judged_between(connection: Connection, from_ms: int, to_ms: int) -> int:
    """How many changes of any object the gate judged in the hours that begin in a period."""
    query = select(func.sum(account_hours.c.changes)).where(account_hours.c.entry == RECEIVED)
    found = connection.scalar(
        query.where(account_hours.c.hour_ms >= from_ms, account_hours.c.hour_ms < to_ms)
    )
    return int(found or 0)


def held_between(connection: Connection, objects: Sequence[str], from_ms: int, to_ms: int) -> list[HeldCount]:
    """Cases received in a period, decided or not, by object, system and reason; most first within an object."""
    keys = (cases.c.object, cases.c.system, cases.c.reason)
    count = func.count().label("held")
    query = (
        select(*keys, count)
        .where(cases.c.object.in_(objects), cases.c.received_ms >= from_ms, cases.c.received_ms < to_ms)
        .group_by(*keys)
        .order_by(cases.c.object, count.desc(), cases.c.system, cases.c.reason)
    )
    rows = connection.execute(query)
    return [HeldCount(name, system, reason, int(held)) for name, system, reason, held in rows]


def waiting_at(
    connection: Connection, objects: Sequence[str], at_ms: int, bounds_ms: Sequence[int]
) -> dict[str, Waited]:
    """Undecided cases by object and age. `bounds_ms`: ages, rising; a case of just that age is beyond it."""
    younger = [cases.c.received_ms > at_ms - bound for bound in bounds_ms]
    band = case(*((within, number) for number, within in enumerate(younger)), else_=len(bounds_ms))
    query = (
        select(cases.c.object, band.label("band"), func.count(), func.min(cases.c.received_ms))
        .where(cases.c.object.in_(objects), cases.c.state.in_(UNDECIDED))
        .group_by(cases.c.object, "band")
    )
    counts: dict[str, list[int]] = {}
    oldest: dict[str, int] = {}
    for name, number, count, received_ms in connection.execute(query):
        counts.setdefault(name, [0] * (len(bounds_ms) + 1))[number] = int(count)
        oldest[name] = min(oldest.get(name, received_ms), received_ms)
    return {name: Waited(tuple(found), oldest[name]) for name, found in counts.items()}


def delivered_between(
    connection: Connection, objects: Sequence[str], from_ms: int, to_ms: int
) -> dict[tuple[str, str], Window]:
    """Counts and end-to-end times of the minutes that begin in a period, summed per (object, system).

    `minute_ms` is the first of them. What is not there was not measured.
    """
    query = (
        select(windows)
        .where(windows.c.object.in_(objects), windows.c.minute_ms >= from_ms, windows.c.minute_ms < to_ms)
        .order_by(windows.c.object, windows.c.system, windows.c.minute_ms)
    )
    found: dict[tuple[str, str], Window] = {}
    # A busy quarter has 130 000 minutes of each connection: in the key's order, never all of them at once, and
    # of their hops only the one that is promised.
    for row in connection.execute(query, execution_options={"yield_per": 1_000}):
        counts = {name: getattr(row, name) for name in COUNTS}
        whole = [hop for hop in row.hops if hop["hop"] == END_TO_END]
        found.setdefault((row.object, row.system), Window(row.minute_ms)).include(counts | {"hops": whole})
    return found


def delivered_ever(connection: Connection, objects: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many updates were ever told as applied, left out or given up, per (object, system)."""
    table = delivery_totals.c
    query = select(table.object, table.system, table.applied + table.skipped + table.failed)
    rows = connection.execute(query.where(table.object.in_(objects)))
    return {(name, system): int(count) for name, system, count in rows}
