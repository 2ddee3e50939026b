"""Which topics are indexed, and what becomes of their records in SQL.

A family is read by one consumer and written by one function. No Kafka client lives here, and no transaction
begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker import telemetry, topics
from broker.published import published_of
from broker.store.cases import index_cases, index_proposals
from broker.store.engine import Connection
from broker.store.ledger import index_ledger
from broker.store.levels import index_acknowledgements
from broker.store.positions import record_gap
from broker.store.trail import index_trail
from broker.store.versions import index_versions
from schemas.errors import SchemaError
from schemas.registry import envelopes


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of a topic, as far as indexing needs it."""

    topic: str
    partition: int
    offset: int
    appended_ms: int
    value: bytes | None


Write = Callable[[Connection, Sequence[LogRecord]], None]


@dataclass(frozen=True, slots=True)
class Family:
    """Topics that are read together."""

    name: str
    topics: tuple[str, ...]
    write: Write


def families(systems: Iterable[str]) -> list[Family]:
    """Everything that control indexes, for these systems."""
    names = sorted(systems)
    return [
        Family("map", (topics.OWNERSHIP_MAP,), _write_versions),
        Family("quarantine", (topics.QUARANTINE,), _write_cases),
        Family("trail", (topics.TRAIL,), _write_trail),
        Family("ledger", (topics.LEDGER,), _write_ledger),
        Family("acknowledgements", tuple(topics.acknowledgements(name) for name in names), _write_acks),
        Family("proposals", tuple(topics.proposals(name) for name in names), _write_proposals),
    ]


def _decoded(
    connection: Connection, records: Sequence[LogRecord], envelope: str
) -> Iterator[tuple[LogRecord, Mapping[str, Any]]]:
    registry = envelopes()
    allowed = registry.ids(f"solesource.{envelope}")
    for record in records:
        try:
            yield record, registry.codec.decode(record.value or b"", allowed)
        except SchemaError as error:
            # I6: it stays in the topic with its bytes; here it is counted as a gap, in the open.
            record_gap(connection, record.topic, record.partition, record.offset, record.offset + 1)
            place = f"{record.topic}/{record.partition}/{record.offset}"
            telemetry.log("indexer.unreadable", level="error", place=place, code=error.code)


def _write_versions(connection: Connection, records: Sequence[LogRecord]) -> None:
    index_versions(connection, (published_of(entry) for _, entry in _decoded(connection, records, "map")))


def _write_cases(connection: Connection, records: Sequence[LogRecord]) -> None:
    index_cases(connection, (case for _, case in _decoded(connection, records, "case")))


def _write_trail(connection: Connection, records: Sequence[LogRecord]) -> None:
    lines = (((r.partition, r.offset), line) for r, line in _decoded(connection, records, "trail"))
    index_trail(connection, lines)


def _write_ledger(connection: Connection, records: Sequence[LogRecord]) -> None:
    index_ledger(connection, ((r.appended_ms, entry) for r, entry in _decoded(connection, records, "ledger")))


def _write_acks(connection: Connection, records: Sequence[LogRecord]) -> None:
    found = ((r.appended_ms, ack) for r, ack in _decoded(connection, records, "acknowledgement"))
    index_acknowledgements(connection, found)


def _write_proposals(connection: Connection, records: Sequence[LogRecord]) -> None:
    for record, proposal in _decoded(connection, records, "proposal"):
        owner = record.topic.removeprefix(topics.proposals(""))
        index_proposals(connection, owner, [proposal])
