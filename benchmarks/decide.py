"""Microseconds per decision on its ways, and whether they grow with the number of objects in the map.

Needs no Kafka. The same thousand records of ten objects are decided under a map of 10 and under one of 1,000 objects,
and, beside them, a thousand records of a thousand objects: then nothing of an object is in the processor's caches when
its next record comes. All are measured in turns in one process; the least of many turns counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import yaml

from broker.gate.change import Position, read
from broker.gate.decide import decide
from broker.gate.express import express
from broker.gate.state import RecordState
from broker.rules import Rules, rules_of
from schemas.envelope import change_headers
from schemas.registry import canonical_digest

FEW, MANY = 10, 1_000
RECORDS = 1_000
TURNS = 40
GATE_MS = 1_795_000_000_000
SYSTEMS = ("crm", "erp", "billing")
FIELDS = ("customer_id", "name", "email", "phone", "city", "credit_limit", "balance")
OWNERS = {
    "short": {},
    "beside": {"credit_limit": "erp", "balance": "billing"},
    "object": {"credit_limit": "erp"},
    "merge": {"credit_limit": "erp", "balance": "billing"},
}
"""Way to the fields that are not crm's."""
WAYS = {
    "short": "one decision, the short way: a full image of the only owner",
    "beside": "one decision, the short way: a full image of one of three owners",
    "object": "one decision, the long way: a full image, two owners",
    "merge": "one decision, a merge: three fields of three owners",
}
SHORT = ("short", "beside")
Call = Callable[[], object]


def _contract(name: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"name": FIELDS[0], "type": "string"}]
    fields += [{"name": field, "type": ["null", "string"], "default": None} for field in FIELDS[1:]]
    return {"type": "record", "name": name, "fields": fields}


def map_of_many(way: str, count: int) -> dict[str, str]:
    """The files of a map of `count` objects that are alike."""
    systems = {
        name: {"title": name, "kind": "service", "contact": f"mailto:{name}@example.com", "objects": []}
        for name in SYSTEMS
    }
    texts, entries = {"systems.yaml": yaml.safe_dump({"systems": systems})}, []
    for number in range(count):
        name = f"object{number}"
        contract = _contract(name)
        document = {
            "object": name,
            "description": "One of many.",
            "key": FIELDS[0],
            "steward": {"team": "sales", "contact": "mailto:sales@example.com"},
            "contract": f"{name}.avsc",
            "system_of_record": "crm",
            "create": "crm",
            "delete": {"authority": "crm", "consumers": "soft"},
            "fields": {field: {"system_of_record": owner} for field, owner in OWNERS[way].items()},
            "systems": {system: {"read": "all"} for system in SYSTEMS},
        }
        texts[f"{name}.yaml"] = yaml.safe_dump(document)
        texts[f"{name}.avsc"] = json.dumps(contract)
        entry = {"id": 100 + number, "subject": name, "version": 1, "file": f"{name}.avsc"}
        entries.append(entry | {"sha256": canonical_digest(contract)})
    return texts | {"registry.json": json.dumps({"schemas": entries})}


def _values(number: int, name: str) -> dict[str, Any]:
    told = {field: f"{field} {number}" for field in FIELDS[2:]}
    return {FIELDS[0]: f"C-{number}", "name": name} | told


def _calls(way: str, count: int, spread: int) -> list[Call]:
    """A thousand decisions that are all accepted, of the first `spread` objects of a map."""
    rules = rules_of(map_of_many(way, count), 1)
    made = _short if way in SHORT else _long
    calls = []
    for number in range(RECORDS):
        name = f"object{number % spread}"
        reader = rules.readers[name]
        owners: Any = [("crm", "seq:0:00000001", None)]
        owners += [
            (owner, "seq:0:00000001", frozenset({field}))
            for field, owner in sorted(OWNERS[way].items(), key=lambda of: of[1])
        ]
        state = RecordState(reader.encode(_values(number, "Ada")), 1, tuple(owners))
        fields = ("name", "credit_limit", "balance") if way == "merge" else None
        headers = tuple(
            change_headers(
                event_id=f"seq:0:{number + 2:08d}",
                system="crm",
                object_name=name,
                time_ms=GATE_MS - 500,
                fields=fields,
            )
        )
        calls.append(made(rules, name, state, number, reader.encode(_values(number, "Eve")), headers))
    return calls


def _short(rules: Rules, name: str, state: RecordState, number: int, value: bytes, headers: Any) -> Call:
    key, plans = f"C-{number}".encode(), rules.express
    return lambda: express(plans["crm", name], state, key, value, headers, GATE_MS)


def _long(rules: Rules, name: str, state: RecordState, number: int, value: bytes, headers: Any) -> Call:
    change = read(
        rules.ownership_map,
        rules.readers,
        object_name=name,
        system="crm",
        key=f"C-{number}".encode(),
        position=Position(f"changes.crm.{name}", 0, number),
        received_ms=GATE_MS,
        headers=headers,
        value=value,
    )
    objects, readers = rules.ownership_map.objects, rules.readers

    def decision() -> object:
        reader = readers[name]
        terms = objects[name].at(GATE_MS)
        return decide(terms, 1, state, change, GATE_MS, decode=reader.decode, encode=reader.encode)

    return decision


def once(calls: list[Call]) -> float:
    """Microseconds that one of these took."""
    began = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - began) / len(calls) * 1e6


def measured(way: str) -> tuple[float, float, float]:
    """(us per decision with few objects in the map, with many, with many that are all written)."""
    kinds = [_calls(way, FEW, FEW), _calls(way, MANY, FEW), _calls(way, MANY, MANY)]
    for calls in kinds:
        for call in calls:
            _accepted(way, call())
    turns = [[once(calls) for calls in kinds] for _ in range(TURNS)]
    few, many, spread = (min(times) for times in zip(*turns, strict=True))
    return few, many, spread


def _accepted(way: str, result: Any) -> None:
    """A figure of something that was not decided as meant would be none."""
    found = result is not None if way in SHORT else result.outcome.value == "accepted"
    if not found:
        raise RuntimeError(f"{way}: {result}")
