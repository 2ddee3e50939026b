"""Commands and moments as the gate meets them, for tests that look at all that comes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.gate.change import Position
from broker.gate.commands import Context
from broker.gate.outgoing import Destination, Outgoing
from tests.gate_parts import Bench, Record

GATE_MS = 1_795_000_100_000
RECEIVED_MS = GATE_MS - 7
PLACE = Position("commands.customer", 2, 9)


def context(bench: Bench, **changed: Any) -> Context:
    rules = bench.rules
    made = Context(
        entry=rules.ownership_map.objects["customer"],
        ownership_map=rules.ownership_map,
        reader=rules.readers["customer"],
        connections={},
        key=b"C-1",
        position=PLACE,
        received_ms=RECEIVED_MS,
        gate_time_ms=GATE_MS,
    )
    return replace(made, **changed)


def command(record: Record, **changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "command": "redrive",
        "case_id": "Q-1",
        "system": record.topic.split(".")[1],
        "value": record.value,
        "headers": dict(record.headers),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "attempt": 1,
        "fields": ["name"],
        "by": "Ina",
        "note": "look",
    }
    return made | changed


def line(kind: str, result: str | None, **told: Any) -> Outgoing:
    body = {
        "kind": kind,
        "object": "customer",
        "key": b"C-1",
        "system": "erp",
        "event_id": None,
        "topic": PLACE.topic,
        "partition": PLACE.partition,
        "offset": PLACE.offset,
        "reason": "",
        "fields": ["name"],
        "revision": 0,
        "map_version": 7,
        "received_ms": RECEIVED_MS,
        "gate_time_ms": GATE_MS,
        "case_id": "Q-1",
        "by": "Ina",
        "note": "look",
        "result": result,
    }
    return Outgoing(Destination.TRAIL, b"C-1", body | told)


def eve(bench: Bench) -> Record:
    return bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"])
