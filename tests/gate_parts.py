"""A gate without Kafka for tests of the core: a map, a contract, and a judge that is fed records one by one.

Only makers of facts live here; what should come of them is said by the tests and by tests/oracle.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import yaml

from broker.commands import command_value
from broker.gate.change import Change, Fault, Position, read
from broker.gate.outgoing import ENVELOPE, Destination, Outgoing
from broker.gate.state import NO_RECORD, RecordState
from broker.lane.judge import Judge
from broker.lane.judged import Judged
from broker.lane.memory import SlotMemory
from broker.rules import Rules, rules_of
from schemas.authoritative import AuthoritativeEnvelope, parse_authoritative
from schemas.envelope import change_headers
from schemas.registry import canonical_digest, envelopes

T0 = 1_795_000_000_000
"""A Wednesday in November 2026, in ms."""
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 16, "scale": 2}
FIELDS = ("customer_id", "name", "email", "phone", "credit_limit")
CUSTOMER: dict[str, Any] = {
    "type": "record",
    "name": "customer",
    "fields": [
        {"name": "customer_id", "type": "string"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "email", "type": ["null", "string"], "default": None},
        {"name": "phone", "type": ["null", "string"], "default": None},
        {"name": "credit_limit", "type": ["null", MONEY], "default": None},
    ],
}
FLAT = {
    **CUSTOMER,
    "fields": [*CUSTOMER["fields"][:4], {"name": "credit_limit", "type": ["null", "long"], "default": None}],
}
"""The same without logical types: its values need not be decoded to be passed on."""
SYSTEMS = ("crm", "erp", "billing")
BESIDE_AN_OUTCOME = ("write_war", "owner_went_back", "holds_rose")
"""Reasons of cases that tell how things have gone for a while, not what became of one change."""


def object_document(**changed: Any) -> dict[str, Any]:
    """The map of `customer`: crm creates, deletes and owns all but the credit limit, which is erp's."""
    document: dict[str, Any] = {
        "object": "customer",
        "description": "A company or person that buys from us.",
        "key": "customer_id",
        "steward": {"team": "sales-operations", "contact": "mailto:sales@example.com"},
        "contract": "customer.avsc",
        "system_of_record": "crm",
        "create": "crm",
        "delete": {"authority": "crm", "consumers": "soft"},
        "fields": {"credit_limit": {"system_of_record": "erp"}},
        "systems": {
            "crm": {"read": "all"},
            "erp": {"read": "all", "on_violation": "quarantine"},
            "billing": {"read": "all", "on_violation": "quarantine"},
        },
    }
    return document | changed


def systems_document(names: Iterable[str] = SYSTEMS, **publishes: list[str]) -> dict[str, Any]:
    return {
        "systems": {
            name: {
                "title": name.upper(),
                "kind": "service",
                "contact": f"mailto:{name}@example.com",
                "objects": publishes.get(name, []),
            }
            for name in names
        }
    }


def registry_document(*contracts: Mapping[str, Any], name: str = "customer") -> dict[str, str]:
    """Schema files and registry of the versions of one contract; the last is in force, ids from 100 on."""
    texts, entries = {}, []
    for number, contract in enumerate(contracts):
        file = f"{name}-{number}.avsc"
        texts[file] = json.dumps(contract)
        entry = {"id": 100 + number, "subject": name, "version": number + 1, "file": file}
        entries.append(entry | {"sha256": canonical_digest(contract)})
    return texts | {"registry.json": json.dumps({"schemas": entries})}


def map_texts(
    document: Mapping[str, Any] | None = None, contracts: Sequence[Mapping[str, Any]] = (CUSTOMER,)
) -> dict[str, str]:
    """The files of a map version, as they are published."""
    return {
        "systems.yaml": yaml.safe_dump(systems_document(ghost=["customer"], names=(*SYSTEMS, "ghost"))),
        "customer.yaml": yaml.safe_dump(document or object_document(), sort_keys=False),
        **registry_document(*contracts),
    }


@dataclass(slots=True)
class Record:
    """A consumed record, as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Seen(NamedTuple):
    """What one record brought about."""

    outcome: str
    reason: str
    judged: Judged
    before: RecordState
    after: RecordState

    def to(self, destination: Destination) -> list[Any]:
        return [o.body for o, _ in self.judged.outgoing if o.destination is destination]

    @property
    def revisions(self) -> list[tuple[AuthoritativeEnvelope, Outgoing]]:
        """The authoritative records written, read as a sink reads them."""
        return [
            (parse_authoritative(o.headers), o)
            for o, _ in self.judged.outgoing
            if o.destination is Destination.AUTHORITATIVE
        ]


@dataclass
class Bench:
    """One slot's judge over one partition of `customer`, and the log that it reads and writes."""

    rules: Rules = field(default_factory=lambda: rules_of(map_texts(), 1))
    memory: SlotMemory = field(default_factory=lambda: SlotMemory(slot=0, partitions={"customer": 1}))
    now_ms: int = T0
    offsets: dict[str, int] = field(default_factory=dict)
    log: list[Record] = field(default_factory=list)
    """Every record that was judged."""
    written: list[tuple[int, Outgoing]] = field(default_factory=list)
    """(gate time, record) of everything that came of it."""
    ledger: list[dict[str, Any]] = field(default_factory=list)

    def upsert(
        self,
        system: str,
        event: str,
        values: Mapping[str, Any],
        *,
        fields: Iterable[str] | None = None,
        key: str = "C-1",
        **more: Any,
    ) -> Record:
        """The record of a write; `values` without the key field get it."""
        full = {"customer_id": key} | dict(values)
        full = dict.fromkeys(self.rules.readers["customer"].contract.fields) | full
        value = more.pop("value", None) or self.rules.readers["customer"].encode(full)
        return self.record(system, event, value, fields=fields, key=key, **more)

    def delete(self, system: str, event: str, *, key: str = "C-1", **more: Any) -> Record:
        return self.record(system, event, None, fields=(), key=key, deletes=True, **more)

    def tick(self, **more: Any) -> Record:
        return self.command({"command": "tick"}, key=b"", **more)

    def command(self, command: Mapping[str, Any], *, key: bytes = b"C-1", at_ms: int | None = None) -> Record:
        always: dict[str, Any] = {"command_id": "K-1", "by": "control", "issued_ms": self.now_ms, "note": ""}
        given = always | dict(command)
        value = command_value(given.pop("command"), **given)
        return self._place("commands.customer", key, value, (), at_ms)

    def redrive(self, held: Record, system: str, *, attempt: int = 1, at_ms: int | None = None) -> Record:
        """The order to judge a held record again."""
        order = {
            "command": "redrive",
            "case_id": "Q-1",
            "system": system,
            "value": held.value,
            "headers": dict(held.headers),
            "topic": held.topic,
            "partition": held.partition,
            "offset": held.offset,
            "attempt": attempt,
        }
        return self.command(order, key=held.key or b"", at_ms=at_ms)

    def record(
        self,
        system: str,
        event: str,
        value: bytes | None,
        *,
        fields: Iterable[str] | None,
        key: str = "C-1",
        at_ms: int | None = None,
        **headers: Any,
    ) -> Record:
        made = change_headers(
            event_id=event,
            system=system,
            object_name="customer",
            time_ms=self.now_ms - 500,
            fields=fields,
            **headers,
        )
        return self._place(f"changes.{system}.customer", key.encode(), value, tuple(made), at_ms)

    def _place(self, topic: str, key: bytes, value: bytes | None, headers: Any, at_ms: int | None) -> Record:
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        if at_ms is None:
            self.now_ms += 10
        return Record(topic, 0, offset, self.now_ms if at_ms is None else at_ms, key, value, headers)

    def judge(self, *records: Record, fault: Fault | None = None) -> Judged:
        """Judge a batch and keep it, as a slot does after its commit; `fault`: they are in the way."""
        judged = Judge(self.memory, "worker").judge(self.rules, records, fault)
        Judge(self.memory, "worker").keep(judged)
        self.log += records
        self.written += [(judged.gate_time_ms, outgoing) for outgoing, _ in judged.outgoing]
        self.ledger.append(judged.ledger)
        return judged

    def see(self, record: Record, fault: Fault | None = None) -> Seen:
        """Judge one record."""
        key = record.key or b""
        before = self.state(key)
        judged = self.judge(record, fault=fault)
        outcome = next(iter(judged.account), "")
        reason = next((reason for _, _, _, reason in judged.reasons), "")
        return Seen(outcome, reason, judged, before, self.state(key))

    def state(self, key: bytes = b"C-1") -> RecordState:
        return self.memory.states.get(("customer", 0), {}).get(key) or NO_RECORD

    def values(self, key: bytes = b"C-1") -> dict[str, Any] | None:
        """The authoritative values now."""
        value = self.state(key).value
        return None if value is None else dict(self.rules.readers["customer"].decode(value))


def change_of(rules: Rules, record: Record, position: Position | None = None) -> Change:
    """A record of a `changes` topic, as the gate reads it."""
    _, system, object_name = record.topic.split(".")
    return read(
        rules.ownership_map,
        rules.readers,
        object_name=object_name,
        system=system,
        key=record.key,
        position=position or Position(record.topic, record.partition, record.offset),
        received_ms=record.timestamp,
        headers=record.headers,
        value=record.value,
    )


def encoded(outgoing: Outgoing) -> bytes | None:
    """The bytes of a record as the lane writes them; an envelope that does not fit its schema raises."""
    if outgoing.body is None or isinstance(outgoing.body, bytes):
        return outgoing.body
    registry = envelopes()
    return registry.codec.encode(registry.id_of(ENVELOPE[outgoing.destination]), outgoing.body)


def money(text: str | int) -> Decimal:
    return Decimal(text).quantize(Decimal("0.01"))
