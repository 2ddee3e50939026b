"""A contract in words: its fields as a table, and what a version changes for those who read and write it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.contract import classes_of
from schemas.evolution import Clash, Compatibility, clashes

Document = Mapping[str, Any]
_WORDS = {
    "boolean": "yes or no",
    "int": "whole number",
    "long": "whole number",
    "float": "number",
    "double": "number",
    "bytes": "bytes",
    "string": "text",
    "null": "nothing",
}
_MEANINGS = {
    "date": "date",
    "time-millis": "time of day",
    "time-micros": "time of day",
    "timestamp-millis": "time",
    "timestamp-micros": "time, to the microsecond",
    "local-timestamp-millis": "time without a zone",
    "local-timestamp-micros": "time without a zone, to the microsecond",
    "uuid": "UUID",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a version does to one field."""

    field: str
    what: str
    """added, removed, changed or renamed"""
    detail: str


@dataclass(frozen=True, slots=True)
class Difference:
    """From one version of a contract to another."""

    changes: tuple[Change, ...]
    old_data: tuple[Clash, ...]
    """What stands against reading what was written before."""
    old_readers: tuple[Clash, ...]
    """What stands against readers who stay with the version before."""


def in_words(schema: Any) -> str:
    """A type as people say it."""
    if isinstance(schema, list):
        kinds = [in_words(branch) for branch in schema if branch != "null"]
        return " or ".join(kinds) + (", or nothing" if "null" in schema else "")
    if isinstance(schema, str):
        return _WORDS.get(schema, schema.rsplit(".", 1)[-1])
    return _meaning(schema) or _made_of(schema)


def _meaning(schema: Mapping[str, Any]) -> str:
    if schema.get("logicalType") == "decimal":
        places = int(schema.get("scale", 0))
        return f"amount of up to {int(schema['precision']) - places} digits and {places} decimals"
    return _MEANINGS.get(schema.get("logicalType", ""), "")


def _made_of(schema: Mapping[str, Any]) -> str:
    match kind := schema["type"]:
        case "enum":
            return "one of " + ", ".join(schema["symbols"])
        case "fixed":
            return f"{schema['size']} bytes"
        case "array":
            return f"list of: {in_words(schema['items'])}"
        case "map":
            return f"named values: {in_words(schema['values'])}"
        case "record":
            return f"{schema['name'].rsplit('.', 1)[-1]} ({', '.join(field['name'] for field in schema['fields'])})"
        case _:
            return in_words(kind)


def difference(older: tuple[int, Document], newer: tuple[int, Document]) -> Difference:
    """What a newer version changes, and for whom. Raises ContractRefused for what is no Avro schema."""
    pair = (older, newer)
    return Difference(
        tuple(_changes(older[1], newer[1])),
        clashes(pair, Compatibility.BACKWARD),
        clashes(pair, Compatibility.FORWARD),
    )


def _changes(older: Document, newer: Document) -> Iterator[Change]:
    before = {field["name"]: field for field in older["fields"]}
    after = {field["name"]: field for field in newer["fields"]}
    renamed = {
        alias: name
        for name, field in after.items()
        if name not in before
        for alias in field.get("aliases", ())
        if alias in before and alias not in after
    }
    for name, field in after.items():
        if name in renamed.values():
            old = next(alias for alias, new in renamed.items() if new == name)
            yield Change(name, "renamed", f"was {old}")
        elif name not in before:
            without = "" if "default" in field else "; who does not send it cannot write the record"
            yield Change(name, "added", in_words(field["type"]) + without)
        elif before[name]["type"] != field["type"]:
            was, now = in_words(before[name]["type"]), in_words(field["type"])
            yield Change(
                name, "changed", f"{was} becomes {now}" if was != now else f"{was}, stored otherwise"
            )
        was, now = (_class(fields.get(name)) for fields in (before, after))
        if name in before and was != now:
            yield Change(name, "changed", f"class {was} becomes {now}")
    for name in sorted(before.keys() - after.keys() - renamed.keys()):
        yield Change(name, "removed", f"its values are let go of: {in_words(before[name]['type'])}")


def _class(field: Mapping[str, Any] | None) -> str:
    return str((field or {}).get("class", "none"))


def markdown(name: str, version: int, schema_id: int, document: Document, classes: Mapping[str, str]) -> str:
    """A page about a contract; classes: field to what it is (such as pii), where the map says so."""
    classes = {**classes, **classes_of(document)}
    lines = [f"# {name}", "", str(document.get("doc", "")).strip(), ""]
    lines += [
        f"Version {version}, schema id {schema_id}.",
        "",
        "| field | type | class | what it is |",
        "|---|---|---|---|",
    ]
    for field in document["fields"]:
        told = field["name"]
        cells = [told, in_words(field["type"]), classes.get(told, ""), str(field.get("doc", ""))]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
