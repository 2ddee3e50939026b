"""Measured levels: acknowledgements of the sinks, summed per object, system and minute, and since the
beginning.

Minutes are those of the broker's append time: one clock for all. Sketches add up exactly. Judging them
against a promise is `broker.agents.service_levels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from broker.store.engine import upsert
from broker.store.tables import delivery_totals, failed_deliveries, sinks, windows
from schemas.hops import Sketch, sketches_of

MINUTE_MS = 60_000
COUNTS = ("applied", "skipped", "failed", "retries")
END_TO_END = "end_to_end"
AcknowledgementRecord = tuple[int, Mapping[str, Any]]
"""(append time in ms, decoded acknowledgement)."""


@dataclass(slots=True)
class Window:
    """What one system applied of one object in one minute (or ever)."""

    minute_ms: int = 0
    applied: int = 0
    skipped: int = 0
    failed: int = 0
    retries: int = 0
    hops: dict[str, Sketch] = field(default_factory=dict)

    def include(self, record: Mapping[str, Any]) -> None:
        """Count one acknowledgement, or another window."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + int(record[name]))
        for hop, sketch in sketches_of(record["hops"]).items():
            self.hops.setdefault(hop, Sketch()).merge(sketch)

    def row(self) -> dict[str, Any]:
        """Columns of the counts and sketches."""
        hops = [sketch.record(hop) for hop, sketch in sorted(self.hops.items())]
        return {name: getattr(self, name) for name in COUNTS} | {"hops": hops}


@dataclass(frozen=True, slots=True)
class SinkStanding:
    """How far one system has applied one partition of an object."""

    stream: str
    """The object, from its second generation on with that: offsets count in its topics (`customer.2`)."""
    system: str
    partition: int
    through_offset: int
    acknowledged_ms: int
    """Append time of the last acknowledgement, by the broker's clock."""
    last_source_ms: int
    latency_ms: int | None
    """End to end, of the last change that was really written."""
    changed_ms: int | None
    """Append time of the acknowledgement that said so."""


def index_acknowledgements(connection: Connection, records: Iterable[AcknowledgementRecord]) -> None:
    """Write acknowledgements of `acks.*`; each must be given once (positions see to that)."""
    minutes: dict[tuple[str, str, int], Window] = {}
    totals: dict[tuple[str, str], Window] = {}
    for appended_ms, record in records:
        object_name, system = str(record["object"]), str(record["system"])
        minute_ms = appended_ms // MINUTE_MS * MINUTE_MS
        minutes.setdefault((object_name, system, minute_ms), Window(minute_ms)).include(record)
        totals.setdefault((object_name, system), Window()).include(record)
        _move_sink(connection, appended_ms, record)
        _record_failures(connection, appended_ms, record)
    for (object_name, system, minute_ms), window in minutes.items():
        _merge(connection, windows, {"object": object_name, "system": system, "minute_ms": minute_ms}, window)
    for (object_name, system), window in totals.items():
        _merge(connection, delivery_totals, {"object": object_name, "system": system}, window)


def _merge(connection: Connection, table: Table, key: Mapping[str, Any], window: Window) -> None:
    stored = connection.execute(
        select(table).where(*(table.c[name] == value for name, value in key.items()))
    ).first()
    if stored is not None:
        window.include(stored._asdict())
    upsert(connection, table, [{**key, **window.row()}])


def _move_sink(connection: Connection, appended_ms: int, record: Mapping[str, Any]) -> None:
    key = {"object": _stream(record), "system": record["system"], "partition": record["partition"]}
    row = {
        **key,
        "through_offset": record["through_offset"],
        "acknowledged_ms": appended_ms,
        "applied_ms": record["applied_ms"],
        "last_source_ms": record["last_source_ms"],
        "latency_ms": None,
        "changed_ms": None,
    }
    whole = sketches_of(record["hops"]).get(END_TO_END)
    if whole is not None and whole.count:
        row |= {"latency_ms": whole.max_ms, "changed_ms": appended_ms}
    before = connection.execute(
        select(sinks).where(*(sinks.c[name] == value for name, value in key.items()))
    ).first()
    if before is not None:
        row["through_offset"] = max(before.through_offset, record["through_offset"])
        row["last_source_ms"] = max(before.last_source_ms, record["last_source_ms"])
        if row["changed_ms"] is None:
            row |= {"latency_ms": before.latency_ms, "changed_ms": before.changed_ms}
    upsert(connection, sinks, [row])


def _stream(record: Mapping[str, Any]) -> str:
    """Where the offsets of an acknowledgement count; one of the first version knows the first generation only."""
    generation = int(record.get("generation", 1))
    return str(record["object"]) if generation == 1 else f"{record['object']}.{generation}"


def _record_failures(connection: Connection, appended_ms: int, record: Mapping[str, Any]) -> None:
    for failure in record["failures"]:
        place = f"{record['system']}/{_stream(record)}/{record['partition']}/{failure['offset']}"
        row = {name: failure[name] for name in ("offset", "revision", "code", "message", "attempts")}
        row |= {name: record[name] for name in ("system", "object", "partition")}
        row |= {"delivery_id": place, "record_key": failure["key"], "failed_ms": appended_ms}
        upsert(connection, failed_deliveries, [row])


def _window(row: Any, minute_ms: int) -> Window:
    counts = {name: int(getattr(row, name)) for name in COUNTS}
    return Window(minute_ms, **counts, hops=sketches_of(row.hops))


def windows_since(connection: Connection, since_ms: int) -> dict[tuple[str, str], list[Window]]:
    """Minute windows from a time on, per (object, system), oldest first."""
    found: dict[tuple[str, str], list[Window]] = {}
    query = select(windows).where(windows.c.minute_ms >= since_ms).order_by(windows.c.minute_ms)
    for row in connection.execute(query):
        found.setdefault((row.object, row.system), []).append(_window(row, row.minute_ms))
    return found


def totals(connection: Connection) -> dict[tuple[str, str], Window]:
    """Everything ever acknowledged, per (object, system)."""
    query = select(delivery_totals).order_by(delivery_totals.c.object, delivery_totals.c.system)
    return {(row.object, row.system): _window(row, 0) for row in connection.execute(query)}


def sink_standings(connection: Connection) -> list[SinkStanding]:
    """How far every sink is."""
    return [
        SinkStanding(
            stream=row.object,
            system=row.system,
            partition=row.partition,
            through_offset=row.through_offset,
            acknowledged_ms=row.acknowledged_ms,
            last_source_ms=row.last_source_ms,
            latency_ms=row.latency_ms,
            changed_ms=row.changed_ms,
        )
        for row in connection.execute(select(sinks))
    ]


def prune_windows(connection: Connection, before_ms: int) -> int:
    """Forget minutes older than a time; the totals keep them. Returns how many."""
    return connection.execute(delete(windows).where(windows.c.minute_ms < before_ms)).rowcount
