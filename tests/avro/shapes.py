"""Schemas of many shapes. Every one is taken as reader and as writer of every other of its group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, name: str = "E", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F", **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size, **more}


def logical(kind: str, meaning: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": meaning, **more}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return logical("bytes", "decimal", precision=precision, scale=scale)


INNER = record(field("a", "int"), name="In")
WIDER = record(field("a", "long"), field("b", "string", default=""), name="In")
RENAMED = record(field("a", "int"), name="Other", aliases=["In"])
KEY = field("k", "string")
NEXT = ["null", "R"]
TYPES: list[Any] = [
    *("null", "boolean", "int", "long", "float", "double", "bytes", "string"),
    *(logical("int", "date"), logical("long", "timestamp-millis"), logical("long", "timestamp-micros")),
    *(logical("long", "timestamp-nanos"), logical("string", "uuid")),
    *(
        decimal(10, 2),
        decimal(12, 2),
        decimal(10, 3),
        fixed(8, "D", logicalType="decimal", precision=10, scale=2),
    ),
    *(enum("A", "B"), enum("A", "B", "C"), enum("B", "A"), enum("A", "X", default="A")),
    *(enum("A", "B", name="G"), enum("A", "B", name="G", aliases=["E"])),
    *(fixed(4), fixed(8), fixed(4, "H"), fixed(4, "H", aliases=["F"])),
    *({"type": "array", "items": items} for items in ("int", "long", ["null", "int"])),
    *({"type": "map", "values": values} for values in ("int", "double", "string")),
    *(INNER, WIDER, RENAMED),
    *(
        ["null", "int"],
        ["int", "null"],
        ["null", "string"],
        ["null", "string", "int"],
        ["null", "long", "string"],
    ),
    *(["null", enum("A")], ["null", enum("A", "B")], ["null", INNER], ["null", WIDER]),
    *(["string"], ["null", "double"], ["null", "bytes"]),
]
RECORDS: list[Any] = [
    record(KEY),
    record(KEY, field("x", "int")),
    record(KEY, field("x", "int", default=0)),
    record(KEY, field("x", ["null", "int"], default=None)),
    record(KEY, field("x", ["null", "int"])),
    record(KEY, field("y", "int", aliases=["x"])),
    record(KEY, field("y", "int", aliases=["x"], default=1)),
    record(field("x", "int"), KEY),
    record(KEY, name="S"),
    record(KEY, name="S", aliases=["R"]),
    record(KEY, namespace="n"),
    record(KEY, field("e", enum("A", default="A"))),
    record(KEY, field("e", enum("A"), default="A")),
    record(KEY, field("next", NEXT, default=None)),
    record(KEY, field("next", NEXT)),
    record(field("k", "long"), field("next", NEXT, default=None)),
    record(KEY, field("list", {"type": "array", "items": INNER}, default=[])),
    record(KEY, field("list", {"type": "array", "items": WIDER}, default=[])),
    record(KEY, field("a", INNER), field("b", "In")),
    record(KEY, field("a", WIDER), field("b", "In")),
]
GROUPS = {"types": [record(field("v", kind)) for kind in TYPES], "records": RECORDS}
"""Types as the one field of a record, which contracts are."""


def pairs() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(reader, writer)."""
    for group in GROUPS.values():
        yield from product(group, group)


def lines() -> str:
    """The pairs as `Verdicts.java` reads them: a line each, with a tab between reader and writer."""
    return "".join(f"{json.dumps(reader)}\t{json.dumps(writer)}\n" for reader, writer in pairs())
