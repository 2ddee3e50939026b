"""The part of a contract that a restricted reader sees, as a contract of its own.

Pure. Both ends derive it from the contract and the names of the fields: the broker to write deliveries, the SDK to read
them. Its id follows from its content, so neither needs a registry in between, and a reader that derived another one
notices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from schemas.contract import AvroSchema

PROJECTED_ID_MIN = 1 << 30
"""Ids from here on are derived, those below are given in registry.json."""
MASKED: AvroSchema = ["null", "string"]
"""What stands in place of a masked field: null stays null, any value is a keyed digest in hex."""
_NAMED = ("record", "enum", "fixed")


def projected(
    document: Mapping[str, Any], fields: Iterable[str], masked: Collection[str] = ()
) -> dict[str, Any]:
    """The Avro schema of a contract with these of its fields only."""
    wanted, named = set(fields), _named_types(document)
    known: set[str] = set()
    kept = []
    for field in document["fields"]:
        if field["name"] not in wanted:
            continue
        if field["name"] in masked:
            kept.append({"name": field["name"], "type": MASKED, "default": None})
        else:
            kept.append({**field, "type": _inlined(field["type"], named, known)})
    # Nothing of the whole is taken over unseen: its documentation may speak of the fields that are hidden.
    return {"type": "record", "name": document["name"], "fields": kept}


def projected_id(document: Mapping[str, Any]) -> int:
    """The schema id of a projected contract, from its content."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return PROJECTED_ID_MIN | int.from_bytes(hashlib.sha256(canonical).digest()[:4], "big") >> 2


def _named_types(schema: AvroSchema) -> dict[str, AvroSchema]:
    """Every type that is given a name somewhere inside."""
    if isinstance(schema, list):
        return {name: found for branch in schema for name, found in _named_types(branch).items()}
    if not isinstance(schema, Mapping):
        return {}
    found = {str(schema["name"]): schema} if schema.get("type") in _NAMED else {}
    for field in schema.get("fields", ()):
        found |= _named_types(field["type"])
    for part in ("items", "values"):
        if part in schema:
            found |= _named_types(schema[part])
    return found | (_named_types(schema["type"]) if not isinstance(schema.get("type"), str) else {})


def _inlined(schema: AvroSchema, named: Mapping[str, AvroSchema], known: set[str]) -> AvroSchema:
    """The schema with the definition of every named type at its first use: the field that had it may be hidden."""
    if isinstance(schema, list):
        return [_inlined(branch, named, known) for branch in schema]
    if isinstance(schema, str):
        return _inlined(named[schema], named, known) if schema in named and schema not in known else schema
    made = dict(schema)
    if made.get("type") in _NAMED:
        name = str(made["name"])
        if name in known:
            return name
        known.add(name)
    if "fields" in made:
        made["fields"] = [
            {**field, "type": _inlined(field["type"], named, known)} for field in made["fields"]
        ]
    for part in ("items", "values"):
        if part in made:
            made[part] = _inlined(made[part], named, known)
    if not isinstance(made.get("type"), str):
        made["type"] = _inlined(made["type"], named, known)
    return made
