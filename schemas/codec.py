"""Bytes and records: Confluent wire format V0 around an Avro datum, decoded under limits.

Pure. V0 is one zero byte, the schema id as four bytes big-endian, then the datum. A value that names another
contract, is longer than allowed, is truncated, or leaves bytes over is unreadable; nothing is coerced (I6).
V1, in which a header names the schema, is read by making V0 of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from io import BytesIO
from typing import Any, cast

import fastavro
import fastavro.read
import fastavro.schema

from schemas.contract import DECIMAL_DIGITS_MAX, AvroSchema
from schemas.errors import UnknownSchemaId, UnreadableValue

VALUE_LENGTH_MAX = 1024 * 1024
"""Longest value in bytes that is decoded; a longer one is held by reference."""

MAGIC = 0
FRAME_LENGTH = 5
SCHEMA_HEADER = "__value_schema_id"
"""Where Confluent's serializers put the schema of a value that has no prefix (`SchemaId` in their clients)."""
MAGIC_GUID, GUID_LENGTH = 1, 16
Record = dict[str, Any]
_EXACT = Context(prec=DECIMAL_DIGITS_MAX)


def frame(schema_id: int) -> bytes:
    """The five bytes before the datum."""
    return bytes((MAGIC,)) + schema_id.to_bytes(4, "big")


def named_schema(headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> int | bytes | None:
    """The id or GUID that a record names its schema by, in a header or before its value; None where it names none."""
    named = (
        next((text for name, text in headers if name == SCHEMA_HEADER), (value or b"")[:FRAME_LENGTH]) or b""
    )
    if named[:1] == bytes((MAGIC_GUID,)) and len(named) == 1 + GUID_LENGTH:
        return named[1:]
    if named[:1] == bytes((MAGIC,)) and len(named) == FRAME_LENGTH:
        return int.from_bytes(named[1:], "big")
    return None


def schema_id_of(value: bytes) -> int:
    """The schema id that a value names. Raises UnreadableValue when it is not in wire format V0."""
    if len(value) < FRAME_LENGTH or value[0] != MAGIC:
        msg = f"{len(value)} bytes that do not begin with the wire format's magic byte and schema id"
        raise UnreadableValue(msg)
    return int.from_bytes(value[1:FRAME_LENGTH], "big")


def guid_text(guid: bytes) -> str:
    """A GUID as registries write it: 8, 4, 4, 4 and 12 hexadecimal digits."""
    digits = guid.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def guid_of(text: str) -> bytes:
    """The 16 bytes of a GUID. Raises ValueError for a text that is not written as `guid_text` does."""
    guid = bytes.fromhex(text.replace("-", ""))
    if len(guid) != GUID_LENGTH or guid_text(guid) != text.lower():
        msg = f"{text[:40]!r} is no GUID"
        raise ValueError(msg)
    return guid


def _exact_decimal(stored: bytes, writer: Mapping[str, Any], _: Any = None) -> Decimal:
    """The number in a decimal's bytes. Raises ValueError when it has more digits than the schema says.

    fastavro's own reader rounds such a number, and a merged record would carry an amount that nobody wrote (I6).
    """
    unscaled = int.from_bytes(stored, "big", signed=True)
    if abs(unscaled) >= 10 ** int(writer["precision"]):
        msg = f"a decimal of more than {writer['precision']} digits"
        raise ValueError(msg)
    return Decimal(unscaled).scaleb(-int(writer.get("scale", 0)), _EXACT)


# fastavro's place for one's own reading of logical types; it holds for the whole process.
fastavro.read.LOGICAL_READERS["bytes-decimal"] = _exact_decimal
fastavro.read.LOGICAL_READERS["fixed-decimal"] = _exact_decimal


class Codec:
    """Encodes and decodes records of the schemas it was given, by id."""

    def __init__(self, schemas: Mapping[int, AvroSchema], guids: Mapping[bytes, int] | None = None) -> None:
        """guids: what a registry calls a schema beside its id."""
        self._guids = dict(guids or {})
        self._schemas = dict(schemas)
        self._frames = {schema_id: frame(schema_id) for schema_id in schemas}

    @classmethod
    def of_document(cls, schema_id: int, document: Mapping[str, Any]) -> Codec:
        """A codec of one schema, given as Avro JSON. Raises what fastavro raises for one that is none."""
        return cls({schema_id: fastavro.schema.parse_schema(dict(document), _force=True)})

    def schema(self, schema_id: int) -> AvroSchema:
        """A schema by its id. Raises KeyError."""
        return self._schemas[schema_id]

    def encode(self, schema_id: int, record: Mapping[str, Any]) -> bytes:
        """Wire bytes of a record. Raises UnreadableValue when it does not fit its schema."""
        out = BytesIO()
        out.write(self._frames[schema_id])
        try:
            fastavro.schemaless_writer(out, self._schemas[schema_id], dict(record), strict=True)
        except Exception as error:  # fastavro raises ValueError, TypeError, KeyError, AttributeError alike
            msg = f"a record does not fit schema {schema_id}: {type(error).__name__}"
            raise UnreadableValue(msg) from error
        return out.getvalue()

    def id_of(self, name: int | bytes) -> int | None:
        """The id of a schema that is named by its id or its GUID; None for a GUID that nobody knows."""
        return name if isinstance(name, int) else self._guids.get(name)

    def prefixed(self, named: bytes, datum: bytes) -> bytes:
        """Wire format V0 of a bare datum whose schema a header names: a magic byte, then a GUID or an id.

        Raises UnknownSchemaId for a GUID that the registry does not list, UnreadableValue for anything else.
        """
        if named[:1] == bytes((MAGIC_GUID,)) and len(named) == 1 + GUID_LENGTH:
            guid = named[1:]
            if guid not in self._guids:
                msg = f"schema GUID {guid_text(guid)} is not in the registry"
                raise UnknownSchemaId(msg, "Write `guid` beside the version's id in `registry.json`.")
            return frame(self._guids[guid]) + datum
        if named[:1] == bytes((MAGIC,)) and len(named) == FRAME_LENGTH:
            return named + datum
        msg = f"header {SCHEMA_HEADER} of {len(named)} bytes is neither a GUID nor an id"
        raise UnreadableValue(msg)

    def decode(
        self, value: bytes, allowed: Iterable[int] | None = None, into: AvroSchema | None = None
    ) -> Record:
        """The record in `value`; with `into`, as a reader of that schema sees it (Avro schema resolution).

        Raises UnknownSchemaId when its id is unknown or not among `allowed`, UnreadableValue when its bytes are
        not exactly one datum of that schema within the limits.
        """
        if len(value) > VALUE_LENGTH_MAX:
            msg = f"{len(value)} bytes, at most {VALUE_LENGTH_MAX} are read"
            raise UnreadableValue(msg, "Send large content by reference.")
        schema_id = schema_id_of(value)
        schema = self._schemas.get(schema_id)
        if schema is None or (allowed is not None and schema_id not in allowed):
            msg = f"schema id {schema_id} is not one of this object's contract"
            raise UnknownSchemaId(msg)
        stream = BytesIO(value)
        stream.seek(FRAME_LENGTH)
        try:
            record = fastavro.schemaless_reader(stream, schema, into)
        except (
            Exception
        ) as error:  # hostile bytes end in EOFError, IndexError, ValueError, OverflowError and more
            msg = f"{len(value)} bytes are not a datum of schema {schema_id}: {type(error).__name__}"
            raise UnreadableValue(msg) from error
        if stream.tell() != len(value):
            msg = f"{len(value) - stream.tell()} bytes are left over after the datum of schema {schema_id}"
            raise UnreadableValue(msg)
        return cast("Record", record)
