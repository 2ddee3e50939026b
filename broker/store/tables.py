"""The tables of the read model, and which of them can be rebuilt from the topics. Typed models stand in `governed`.

Only shapes: no query, no connection. Times are milliseconds since 1970, offsets are Kafka's.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 1
"""Rises with every change of the shapes below."""

metadata = MetaData()
"""What is made as it stands here: it can be made again from the topics (all but the version itself)."""
lasting = MetaData()
"""What cannot: people decided it. Made and changed by migrations (`broker/store/migrations`)."""


def _name(column: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(column, String(512), primary_key=key, nullable=nullable)


def _number(column: str, *, key: bool = False, nullable: bool = False) -> Column[int]:
    return Column(column, BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


store_version = Table(
    "store_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)

positions = Table(
    "positions", metadata, _name("topic", key=True), _number("partition", key=True), _number("next_offset")
)

gaps = Table(
    "gaps",
    metadata,
    _name("topic", key=True),
    _number("partition", key=True),
    _number("from_offset", key=True),
    _number("to_offset"),
)

cases = Table(
    "cases",
    metadata,
    _name("case_id", key=True),
    _name("object"),
    Column("record_key", LargeBinary, nullable=False),
    _name("system"),
    Column("event_id", Text),
    Column("deletes", Boolean, nullable=False),
    _number("source_time_ms", nullable=True),
    _number("received_ms"),
    _number("gate_time_ms"),
    _name("topic"),
    _number("partition"),
    _number("offset"),
    Column("sha256", LargeBinary, nullable=False),
    _name("outcome"),
    _name("reason"),
    Column("detail", Text, nullable=False),
    _number("map_version"),
    Column("verdicts", JSON, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("value", LargeBinary),
    Column("by_reference", Boolean, nullable=False),
    Column("authoritative", LargeBinary),
    _number("revision"),
    _name("state"),
    _name("result", nullable=True),
    _number("state_ms"),
    Index("cases_by_state", "state", "received_ms", "case_id"),
    Index("cases_by_cause", "reason", "system", "object"),
    Index("cases_by_record", "object", "record_key"),
)

case_fields = Table(
    "case_fields",
    metadata,
    _name("case_id", key=True),
    _name("field", key=True),
    _name("verdict"),
    Index("case_fields_by_field", "field", "case_id"),
)

trail = Table(
    "trail",
    metadata,
    _number("trail_partition", key=True),
    _number("trail_offset", key=True),
    _name("kind"),
    _name("object"),
    Column("record_key", LargeBinary, nullable=False),
    _name("system"),
    Column("event_id", Text),
    _name("topic"),
    _number("partition"),
    _number("offset"),
    _name("reason"),
    Column("fields", JSON, nullable=False),
    _number("revision"),
    _number("map_version"),
    _number("received_ms"),
    _number("gate_time_ms"),
    _name("case_id", nullable=True),
    _name("by", nullable=True),
    Column("note", Text),
    _name("result", nullable=True),
    Index("trail_by_case", "case_id"),
    Index("trail_by_record", "object", "record_key"),
    Index("trail_by_time", "gate_time_ms"),
)

proposals = Table(
    "proposals",
    metadata,
    _name("proposal_id", key=True),
    _name("owner"),
    _name("object"),
    Column("record_key", LargeBinary, nullable=False),
    _name("proposer"),
    _name("by"),
    Column("note", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    _name("case_id", nullable=True),
    _number("opened_ms"),
    _number("expires_ms"),
    Index("proposals_by_case", "case_id"),
)

slots = Table(
    "slots",
    metadata,
    _number("slot", key=True),
    _number("sequence"),
    _name("worker"),
    _number("map_version"),
    _number("gate_time_ms"),
    _number("written_ms"),
    Column("chain", LargeBinary, nullable=False),
)

inputs = Table(
    "inputs",
    metadata,
    _name("topic", key=True),
    _number("partition", key=True),
    _number("next_offset"),
    _number("moved_ms"),
)

account_hours = Table(
    "account_hours", metadata, _number("hour_ms", key=True), _name("entry", key=True), _number("changes")
)

ledger_faults = Table(
    "ledger_faults",
    metadata,
    _number("slot", key=True),
    _number("sequence", key=True),
    _name("fault"),
    _number("written_ms"),
)

outcome_totals = Table(
    "outcome_totals",
    metadata,
    _name("object", key=True),
    _name("system", key=True),
    _name("outcome", key=True),
    _number("changes"),
)

_counts = ("applied", "skipped", "failed", "retries")

windows = Table(
    "windows",
    metadata,
    _name("object", key=True),
    _name("system", key=True),
    _number("minute_ms", key=True),
    *(_number(name) for name in _counts),
    Column("hops", JSON, nullable=False),
)

delivery_totals = Table(
    "delivery_totals",
    metadata,
    _name("object", key=True),
    _name("system", key=True),
    *(_number(name) for name in _counts),
    Column("hops", JSON, nullable=False),
)

sinks = Table(
    "sinks",
    metadata,
    _name("object", key=True),
    _name("system", key=True),
    _number("partition", key=True),
    _number("through_offset"),
    _number("acknowledged_ms"),
    _number("applied_ms"),
    _number("last_source_ms"),
    _number("latency_ms", nullable=True),
    _number("changed_ms", nullable=True),
)

failed_deliveries = Table(
    "failed_deliveries",
    metadata,
    _name("delivery_id", key=True),
    _name("system"),
    _name("object"),
    _number("partition"),
    _number("offset"),
    Column("record_key", LargeBinary, nullable=False),
    _number("revision"),
    _name("code"),
    Column("message", Text, nullable=False),
    _number("attempts"),
    _number("failed_ms"),
)

syncs = Table(
    "syncs",
    metadata,
    _name("object", key=True),
    _name("source", key=True),
    _name("sink", key=True),
    _name("state"),
    _number("since_ms"),
    _number("evaluated_ms"),
    Column("sentence", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("next_step", Text, nullable=False),
    Column("measures", JSON, nullable=False),
)

map_versions = Table(
    "map_versions",
    metadata,
    _number("version", key=True),
    _name("digest"),
    Column("documents", JSON, nullable=False),
    _name("by"),
    _number("published_ms"),
)

decisions = Table(
    "decisions",
    lasting,
    _name("command_id", key=True),
    _name("case_id"),
    _name("decision"),
    _name("by"),
    Column("note", Text, nullable=False),
    _number("issued_ms"),
    _name("delivery"),
    Index("decisions_by_case", "case_id"),
)

settlements = Table(
    "settlements",
    lasting,
    _name("delivery_id", key=True),
    _name("by"),
    Column("note", Text, nullable=False),
    _number("settled_ms"),
)

REBUILT = (
    positions,
    gaps,
    cases,
    case_fields,
    trail,
    proposals,
    slots,
    inputs,
    account_hours,
    ledger_faults,
    outcome_totals,
    windows,
    delivery_totals,
    sinks,
    failed_deliveries,
    syncs,
    map_versions,
)
"""Derived from the topics. What is `lasting` is what people did here: a backup must hold it."""
