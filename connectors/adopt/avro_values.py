"""Values in Avro, as Confluent's serializers frame them, read by the schemas of a registry. Pure.

A schema's own way to say what a value means, and Kafka Connect's, become one: a document as JsonConverter writes it.
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format, and for
`connect.name` and its like io.confluent.connect.avro.AvroData, whose spelling Apicurio's converter has as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from connectors.adopt.connect_types import ConnectSchema
from connectors.adopt.errors import Unmapped
from schemas.codec import VALUE_LENGTH_MAX, Codec, named_schema
from schemas.contract import AvroSchema, make_contract
from schemas.errors import ContractRefused, UnreadableValue
from schemas.walk import walker_of

KNOWN_MAX = 1000
_DEPTH_MAX = 32
_CONNECT, _DEBEZIUM = "org.apache.kafka.connect.data", "io.debezium.time"
_LOGICAL = {
    "decimal": f"{_CONNECT}.Decimal",
    "date": f"{_CONNECT}.Date",
    "time-millis": f"{_CONNECT}.Time",
    "timestamp-millis": f"{_CONNECT}.Timestamp",
    "time-micros": f"{_DEBEZIUM}.MicroTime",
    "timestamp-micros": f"{_DEBEZIUM}.MicroTimestamp",
    "timestamp-nanos": f"{_DEBEZIUM}.NanoTimestamp",
}
"""What Avro calls it, and who means the same."""
_WITHIN = frozenset({"type", "items", "values", "fields"})
Read = tuple[Any, ConnectSchema]


def schema_named(value: bytes | None) -> int | None:
    """The id that a value or a key names; None where it is not framed."""
    found = named_schema((), value)
    return found if isinstance(found, int) else None


class AvroReader:
    """Reads values by the schemas that it was given."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Callable[[bytes], Read]] = OrderedDict()

    def knows(self, number: int) -> bool:
        """Whether it was told about an id."""
        return number in self._known

    def learn(self, number: int, document: Mapping[str, Any] | str) -> None:
        """A registry's schema, or why its values cannot be read; what could harm whoever reads by it is not read."""
        try:
            self._known[number] = (
                _refusing(document) if isinstance(document, str) else _reading(number, document)
            )
        except ContractRefused as error:
            self._known[number] = _refusing(error.detail)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def read(self, value: bytes) -> Read:
        """(what a value says, its schema). Raises Unmapped."""
        number = schema_named(value)
        if number is None:
            raise Unmapped(
                f"{len(value)} bytes that do not begin with a schema's id, as Avro's serializers write it"
            )
        if number not in self._known:
            raise Unmapped(f"the registry has no schema {number}")
        try:
            return self._known[number](value)
        except Unmapped as error:
            raise Unmapped(f"schema {number}: {error}") from error


def _refusing(why: str) -> Callable[[bytes], Read]:
    def read(_: bytes) -> Read:
        raise Unmapped(why)

    return read


def _reading(number: int, document: Mapping[str, Any]) -> Callable[[bytes], Read]:
    schema = make_contract(_stripped(document), number).schema
    codec, walk, meant = Codec({number: schema}), walker_of(schema), ConnectSchema(connect_document(document))

    def read(value: bytes) -> Read:
        try:
            if len(value) <= VALUE_LENGTH_MAX:  # else decoding says what is wrong
                walk(value)
            return codec.decode(value), meant
        except UnreadableValue as error:
            raise Unmapped(error.detail) from error

    return read


def _stripped(schema: AvroSchema) -> Any:
    """A schema without logical types: values are read as they are stored, and meant as `connect_document` says."""
    if isinstance(schema, list):
        return [_stripped(branch) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: _stripped(part) if name in _WITHIN else part
        for name, part in schema.items()
        if name != "logicalType"
    }


def connect_document(schema: AvroSchema) -> dict[str, Any]:
    """What Kafka Connect would call a schema. One that is recursive has an end here, too."""
    return _connect(schema, {}, 0)


def _connect(schema: AvroSchema, named: dict[str, dict[str, Any]], depth: int) -> dict[str, Any]:
    if depth > _DEPTH_MAX:
        return {}
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return _connect(branches[0], named, depth + 1) if len(branches) == 1 else {}
    if not isinstance(schema, Mapping):
        return named.get(str(schema).rpartition(".")[2], {"type": schema})
    kind = schema.get("type")
    if kind == "record":
        found: dict[str, Any] = {"type": "struct", "fields": []}
        named[str(schema.get("name")).rpartition(".")[2]] = found
        found["fields"] += [
            {**_connect(field.get("type"), named, depth + 1), "field": field.get("name")}
            for field in schema.get("fields", ())
        ]
    elif kind == "array":
        found = {"type": "array", "items": _connect(schema.get("items"), named, depth + 1)}
    elif isinstance(kind, str):
        found = {"type": "bytes" if kind == "fixed" else kind}
    else:
        found = dict(_connect(kind, named, depth + 1))
    name = schema.get("connect.name") or _LOGICAL.get(str(schema.get("logicalType")))
    if name is not None:
        scale = {"scale": str(schema.get("scale", 0))}
        found |= {"name": name, "parameters": scale | (schema.get("connect.parameters") or {})}
    return found
