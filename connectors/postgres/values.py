"""From PostgreSQL's texts to the values of a contract. Pure.

A text that does not fit is passed on as it is: the contract's codec then finds it unfit and it is held with
its own bytes (I6). Snapshot and stream share this path, so both say the same about the same row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.postgres.pgoutput import UNCHANGED, Cell
from connectors.postgres.settings import TableMapping
from connectors.sdk.source import ChangeEvent
from schemas.contract import AvroSchema, Contract
from schemas.version import SourceVersion


def _truth(text: str) -> bool | str:
    return {"t": True, "true": True, "f": False, "false": False}.get(text, text)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))


_LOGICAL: Mapping[str, Callable[[str], Any]] = {
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time-millis": time.fromisoformat,
    "time-micros": time.fromisoformat,
    "timestamp-millis": datetime.fromisoformat,
    "timestamp-micros": datetime.fromisoformat,
    "local-timestamp-millis": datetime.fromisoformat,
    "local-timestamp-micros": datetime.fromisoformat,
    "uuid": str,
}
_PLAIN: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "boolean": _truth,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "bytes": _octets,
    "record": json.loads,
    "array": json.loads,
    "map": json.loads,
    "enum": str,
}


def contract_value(text: str | None, schema: AvroSchema) -> Any:
    """The value of a column's text for a field of that Avro type; the text itself when it does not fit."""
    if text is None:
        return None
    if isinstance(schema, list):
        schema = next((branch for branch in schema if branch != "null"), "string")
    kind = schema if isinstance(schema, str) else schema["type"]
    logical = None if isinstance(schema, str) else schema.get("logicalType")
    reading = _LOGICAL.get(logical) if logical else None
    try:
        return (reading or _PLAIN.get(kind, str))(text)
    except (ValueError, InvalidOperation):
        return text


class RowReader:
    """Turns rows of one table into change events of its object."""

    def __init__(self, object_name: str, mapping: TableMapping, contract: Contract) -> None:
        self.object = object_name
        self.mapping = mapping
        types = {str(field["name"]): field["type"] for field in contract.schema["fields"]}
        self._types = {name: types[name] for name in mapping.fields}
        self._fields = None if set(mapping.fields) >= set(contract.fields) else frozenset(mapping.fields)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs, the key first."""
        return (self.mapping.key, *sorted(set(self.mapping.fields.values()) - {self.mapping.key}))

    def upsert(
        self,
        row: Mapping[str, Cell],
        version: SourceVersion,
        *,
        time_ms: int,
        rest: str = "",
        before: Mapping[str, Cell] | None = None,
    ) -> ChangeEvent:
        """The event of a row as it is after the change.

        `before`: the whole old row, where the log has it. Then the event sets only what differs, and says
        nothing of other systems' fields that were merely there.
        """
        values, unavailable = {}, set()
        for name, column in self.mapping.fields.items():
            cell = row.get(column)
            if cell is UNCHANGED:
                unavailable.add(name)
            else:
                values[name] = contract_value(cell, self._types[name])
        return ChangeEvent(
            object=self.object,
            key=self.key(row),
            version=version,
            time_ms=time_ms,
            values=values,
            rest=rest,
            fields=self._set_fields(row, before),
            unavailable=frozenset(unavailable),
        )

    def _set_fields(
        self, row: Mapping[str, Cell], before: Mapping[str, Cell] | None
    ) -> frozenset[str] | None:
        if before is None:
            return self._fields
        differing = frozenset(
            name
            for name, column in self.mapping.fields.items()
            if row.get(column) is not UNCHANGED and row.get(column) != before.get(column)
        )
        return differing or self._fields  # a touched but unchanged row is told whole: it changes nothing

    def delete(self, row: Mapping[str, Cell], version: SourceVersion, *, time_ms: int) -> ChangeEvent:
        """The event of a row that is gone; only its key is looked at."""
        return ChangeEvent(self.object, self.key(row), version, time_ms, {}, deletes=True)

    def key(self, row: Mapping[str, Cell]) -> str:
        return str(row[self.mapping.key])
