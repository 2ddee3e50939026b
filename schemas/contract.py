"""The contract of an object: its Avro record, checked before it may be used.

Pure. A contract that could harm its readers is refused: recursion (a value of 4.8 kB could end the process), items
that take no bytes (five bytes could become twenty million items), decimals without a bound, and unions in which a
value does not tell its branch (a merged record could be written with the other one, I6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, cast

import fastavro.schema

from schemas.errors import ContractRefused

DEPTH_MAX = 16
DECIMAL_DIGITS_MAX = 38
_PRIMITIVES = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
_FORMS = {
    **dict.fromkeys(("int", "long", "float", "double"), "numbers"),
    **dict.fromkeys(("string", "enum"), "texts"),
    **dict.fromkeys(("bytes", "fixed"), "bytes"),
    **dict.fromkeys(("record", "map"), "records"),
}
"""Types whose values look alike once they are decoded."""

CLASSES = ("pii", "secret", "internal", "public")
"""What a field may be said to be, in the property `class` of a field of the contract."""

AvroSchema = Any
"""A parsed Avro schema: fastavro gives and takes plain JSON values."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of an object's contract."""

    name: str
    schema_id: int
    schema: AvroSchema
    fields: tuple[str, ...]
    """Top-level fields in order: the grain of ownership."""
    required: frozenset[str]
    """Fields that cannot be null: a record without them cannot exist."""
    key_field: str = ""
    classes: Mapping[str, str] = dataclass_field(default_factory=dict)
    """Top-level field to its class, where the contract says one."""


def make_contract(document: Mapping[str, Any], schema_id: int) -> Contract:
    """Check an Avro schema as an object contract. Raises ContractRefused with the place of the fault."""
    try:
        parsed = fastavro.schema.parse_schema(dict(document), _force=True)
    except Exception as error:  # fastavro raises several unrelated classes, and KeyError, on bad schemas
        msg = f"not an Avro schema: {error}"
        raise ContractRefused(msg) from error
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        msg = "an object contract is an Avro record"
        raise ContractRefused(msg)
    _check(parsed, path=str(parsed["name"]), inside=(), depth=0)
    fields = cast("list[dict[str, Any]]", parsed["fields"])
    return Contract(
        name=str(parsed["name"]),
        schema_id=schema_id,
        schema=parsed,
        fields=tuple(str(field["name"]) for field in fields),
        required=frozenset(str(field["name"]) for field in fields if not _nullable(field["type"])),
        classes=classes_of(document),
    )


def classes_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Top-level field to what the schema says that it is. Raises ContractRefused for a class that is none."""
    told = {str(field["name"]): field["class"] for field in document["fields"] if "class" in field}
    for name, kind in told.items():
        if kind not in CLASSES:
            msg = f"{document['name']}.{name}: {str(kind)[:40]!r} is no class"
            raise ContractRefused(msg, f"Use one of {', '.join(CLASSES)}.")
    return told


def spellings_of(contract: Contract) -> dict[str, frozenset[str]]:
    """Top-level field to the names under which older writers may know it: its own and its aliases."""
    return {
        str(field["name"]): frozenset((field["name"], *field.get("aliases", ())))
        for field in contract.schema["fields"]
    }


def _nullable(schema: AvroSchema) -> bool:
    return schema == "null" or (isinstance(schema, list) and "null" in schema)


def _check(schema: AvroSchema, *, path: str, inside: tuple[str, ...], depth: int) -> int:
    """Refuse harmful shapes; returns the least number of bytes that a value of this schema takes."""
    if depth > DEPTH_MAX:
        msg = f"{path}: nested deeper than {DEPTH_MAX}"
        raise ContractRefused(msg)
    if isinstance(schema, list):
        _check_branches(schema, path)
        for branch in schema:
            _check(branch, path=path, inside=inside, depth=depth + 1)
        return 1
    if isinstance(schema, str):
        return _check_name(schema, path, inside)
    kind = schema["type"]
    if kind == "record":
        name = str(schema["name"])
        below = (*inside, name)
        return sum(
            _check(field["type"], path=f"{path}.{field['name']}", inside=below, depth=depth + 1)
            for field in schema["fields"]
        )
    if kind in ("array", "map"):
        items = schema["items" if kind == "array" else "values"]
        if _check(items, path=f"{path}[]", inside=inside, depth=depth + 1) == 0 and kind == "array":
            msg = f"{path}: items that take no bytes"
            raise ContractRefused(msg)
        return 1
    if schema.get("logicalType") == "decimal" and int(schema.get("precision", 0)) > DECIMAL_DIGITS_MAX:
        msg = f"{path}: a decimal of more than {DECIMAL_DIGITS_MAX} digits"
        raise ContractRefused(msg)
    if kind == "fixed":
        return int(schema["size"])
    return 1 if kind == "enum" else _check(kind, path=path, inside=inside, depth=depth + 1)


def _check_branches(branches: list[AvroSchema], path: str) -> None:
    kinds = [branch if isinstance(branch, str) else str(branch["type"]) for branch in branches]
    forms = [_FORMS.get(kind, kind) for kind in kinds if kind != "null"]
    named_before = any(form not in {*_FORMS.values(), "boolean", "array"} for form in forms)
    if len(set(forms)) < len(forms) or (named_before and len(forms) > 1):
        msg = f"{path}: a union in which a value does not tell its branch"
        raise ContractRefused(msg, "Use one number, one text, one bytes and one record branch at most.")


def _check_name(name: str, path: str, inside: tuple[str, ...]) -> int:
    if name == "null":
        return 0
    if name in _PRIMITIVES:
        return 1
    if name in inside:
        msg = f"{path}: {name} contains itself"
        raise ContractRefused(msg)
    return 0  # a named type used again: counted as empty, the careful answer
