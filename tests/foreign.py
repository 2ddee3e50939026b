"""Foreign topics made by hand: records as Debezium, Connect and CloudEvents write them, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.adopt.avro_values import AvroReader
from connectors.adopt.build import adopted_of
from connectors.adopt.formats import Foreign
from connectors.adopt.position import Standing
from connectors.adopt.settings import mappings_of
from connectors.adopt.source import Adopted
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from tests.connector_parts import context_of

TOPIC = "shop.public.customers"
FIELDS = {"customer_id": {"from": "id", "as": "text"}, "name": "name"}
ROW_SCHEMA = {
    "type": "struct",
    "fields": [
        {"type": "int32", "optional": False, "field": "id"},
        {"type": "string", "optional": True, "field": "name"},
        {
            "type": "bytes",
            "optional": True,
            "name": "org.apache.kafka.connect.data.Decimal",
            "version": 1,
            "parameters": {"scale": "2", "connect.decimal.precision": "14"},
            "field": "credit",
        },
        {
            "type": "int64",
            "optional": True,
            "name": "io.debezium.time.MicroTimestamp",
            "version": 1,
            "field": "at",
        },
    ],
    "optional": True,
    "name": "shop.public.customers.Value",
}
"""As JsonConverter writes the schema of a table (kafka.apache.org, JsonConverter; Debezium's manual, data types)."""


def envelope_schema() -> dict[str, Any]:
    """The schema of Debezium's envelope around that table."""
    return {
        "type": "struct",
        "fields": [
            {**ROW_SCHEMA, "field": "before"},
            {**ROW_SCHEMA, "field": "after"},
            {
                "type": "struct",
                "fields": [{"type": "int64", "optional": True, "field": "lsn"}],
                "field": "source",
            },
            {"type": "string", "optional": False, "field": "op"},
            {"type": "int64", "optional": True, "field": "ts_ms"},
        ],
        "optional": False,
        "name": "shop.public.customers.Envelope",
    }


def envelope(op: str, after: Any, *, lsn: int | None = 7, before: Any = None, **more: Any) -> dict[str, Any]:
    """A change as Debezium writes it."""
    source = {"connector": "postgresql", "name": "shop", "ts_ms": 1_795_000_000_000, "lsn": lsn}
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1_795_000_000_100, **more}


def as_stored(schema: Any) -> Any:
    """An Avro schema by which values are written as they are stored, whatever they mean."""
    return json.loads(json.dumps(schema).replace('"logicalType"', '"meant"'))


_NOTHING: Mapping[str, Any] = {}


class Desk:
    """One topic, read record by record."""

    def __init__(
        self, form: str, folder: Path = Path(), settings: Mapping[str, Any] = _NOTHING, **mapping: Any
    ) -> None:
        document = {"topic": TOPIC, "format": form, "mapping": 1, "fields": FIELDS, **mapping}
        given = {"bootstrap": "127.0.0.1:9092", **settings}
        context = context_of("shop", settings=given, mapping=document, store=Store(":memory:"), folder=folder)
        mappings = mappings_of(context)
        self.mapping = mappings["customer"]
        self.avro = AvroReader()
        self.adopted: Adopted = adopted_of(context, mappings, self.avro)["customer"]
        self.standing = Standing(TOPIC, self.mapping.mapping, self.mapping.digest(), next={0: 0, 1: 0})

    def see(
        self, value: Any, *, key: Any = b'{"id":1}', partition: int = 0, offset: int | None = None
    ) -> ChangeEvent | None:
        """What becomes of a record; values that are no bytes are written as JSON."""
        record = Foreign(
            TOPIC,
            partition,
            self.standing.next[partition] if offset is None else offset,
            1_795_000_000_200,
            key if key is None or isinstance(key, bytes) else json.dumps(key, separators=(",", ":")).encode(),
            value
            if value is None or isinstance(value, bytes)
            else json.dumps(value, separators=(",", ":")).encode(),
        )
        return self.adopted.change(record, self.standing)

    def held(self, value: Any, **more: Any) -> str:
        """Why a record is held."""
        event = self.see(value, **more)
        assert event is not None and event.original is not None, event
        return str(json.loads(event.original)["unmapped"])

    def told(self, value: Any, **more: Any) -> ChangeEvent:
        """The change that it is."""
        event = self.see(value, **more)
        assert event is not None and event.original is None, event and event.original
        return event
