"""An object as a data contract of the Open Data Contract Standard 3.1.0, for catalogues that read that.

Pure. https://bitol-io.github.io/open-data-contract-standard/v3.1.0/. What the standard has no word for stands in
`customProperties` under `solesource.*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from ownership.map import ObjectMap, OwnershipMap

VERSION = "v3.1.0"
_TYPES = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
    "enum": "string",
    "bytes": "string",
    "fixed": "string",
    "array": "array",
    "map": "object",
    "record": "object",
}
_LOGICAL = {
    "decimal": "number",
    "date": "date",
    "time-millis": "time",
    "time-micros": "time",
    "timestamp-millis": "timestamp",
    "timestamp-micros": "timestamp",
}
AvroField = Mapping[str, Any]
PREFIX = "solesource."
KEPT = (
    "generation",
    "partitions",
    "systems",
    "handover",
    "conflicts",
    "conflict_process",
    "review",
    "slas",
)
"""Keys of an object's file that the standard has no word for: they go into the contract as they are written."""


def odcs_of(
    ownership_map: OwnershipMap,
    name: str,
    topic: str,
    fields: Mapping[str, AvroField],
    written: Mapping[str, Any],
) -> dict[str, Any]:
    """The contract of an object.

    `topic`: of its authoritative records; `fields`: those of its Avro contract; `written`: its file's values.
    """
    untils = {field: rule["until"] for field, rule in written.get("fields", {}).items() if "until" in rule}
    entry = ownership_map.objects[name]
    return {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": f"solesource-{name}",
        "name": name,
        "version": f"{ownership_map.version}",
        "status": "active",
        "description": {
            "purpose": entry.description,
            "usage": entry.conflicts or "Conflicts: nothing is said.",
        },
        "schema": [
            {
                "name": name,
                "physicalName": topic,
                "physicalType": "topic",
                "logicalType": "object",
                "description": entry.description,
                "properties": [
                    _property(entry, field, fields[field], untils.get(field)) for field in entry.fields
                ],
                "customProperties": _custom(
                    systemOfRecord=entry.system_of_record,
                    create=entry.create,
                    delete=entry.delete,
                    consumers="soft" if entry.delete_softly else "hard",
                    **{key: _plain(written[key]) for key in KEPT if key in written},
                ),
            }
        ],
        "team": {
            "name": entry.steward_team,
            "members": [{"username": entry.steward_contact, "role": "steward"}],
        },
        "support": [{"channel": entry.steward_team, "url": entry.steward_contact}],
        "roles": list(_roles(entry)),
        "slaProperties": list(_promises(entry)),
    }


def _property(entry: ObjectMap, name: str, field: AvroField, until: Any) -> dict[str, Any]:
    kind, nullable = _type(field["type"])
    found: dict[str, Any] = {
        "name": name,
        "logicalType": kind,
        "physicalType": _physical(field["type"]),
        "required": not nullable,
        "customProperties": _custom(
            systemOfRecord=entry.owner_of(name) or "nobody",
            readers=", ".join(entry.readers_of(name)),
            avro=_plain({key: value for key, value in field.items() if key != "name"}),
            **({"until": _plain(until)} if until is not None else {}),
        ),
    }
    if field.get("doc"):
        found["description"] = field["doc"]
    if entry.classes.get(name):
        found["classification"] = entry.classes[name]
    if name == entry.key_field:
        found |= {"primaryKey": True, "primaryKeyPosition": 1, "unique": True}
    return found


def _type(schema: Any) -> tuple[str, bool]:
    """(logical type, whether it may be nothing)."""
    if isinstance(schema, list):
        kinds = [_type(branch)[0] for branch in schema if branch != "null"]
        return (kinds[0] if len(set(kinds)) == 1 else "object"), "null" in schema
    if isinstance(schema, str):
        return _TYPES.get(schema, "object"), False
    logical = _LOGICAL.get(schema.get("logicalType", ""))
    return logical or _type(schema["type"])[0], False


def _physical(schema: Any) -> str:
    if isinstance(schema, list):
        return " | ".join(_physical(branch) for branch in schema)
    if isinstance(schema, str):
        return schema
    return str(schema.get("logicalType") or schema["type"])


def _roles(entry: ObjectMap) -> Iterator[dict[str, Any]]:
    for system in sorted(entry.systems):
        owns = [name for name in entry.fields if entry.owner_of(name) == system]
        read = entry.readers.get(system, frozenset())
        if owns:
            yield {
                "role": system,
                "access": "write",
                "description": f"System of record of {', '.join(owns)}.",
            }
        elif read is None or read:
            seen = "whole records" if read is None else ", ".join(sorted(read))
            yield {"role": system, "access": "read", "description": f"Reads {seen}."}


def _promises(entry: ObjectMap) -> Iterator[dict[str, Any]]:
    for sla in entry.slas:
        between = f"{sla.source} -> {sla.sink}"
        yield _promise("latency", sla.latency_p99_ms / 1000, "s", entry.name, f"{between}, 99 of 100 changes")
        yield _promise("latency", sla.latency_max_ms / 1000, "s", entry.name, f"{between}, at most")
        if sla.expect_every_ms is not None:
            yield _promise("frequency", sla.expect_every_ms / 1000, "s", entry.name, between)
        yield _promise("errorRate", sla.alert_above * 100, "%", entry.name, f"{between}, alert above")
        yield _promise("timeToRepair", sla.healthy_within_ms / 1000, "s", entry.name, between)


def _promise(what: str, value: float, unit: str, element: str, description: str) -> dict[str, Any]:
    return {"property": what, "value": value, "unit": unit, "element": element, "description": description}


def _custom(**said: Any) -> list[dict[str, Any]]:
    return [{"property": PREFIX + name, "value": value} for name, value in said.items()]


def _plain(value: Any) -> Any:
    """A copy, with moments and days as texts: not every reader of YAML knows them, or aliases."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value
