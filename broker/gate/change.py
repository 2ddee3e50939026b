"""One change as the gate reads it: who wrote, what they set, where it stands in the log.

Pure. `read` is total: bytes that cannot be read become a change with a fault, never an exception (I6).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.gate.reason import Reason
from ownership.map import ObjectMap, OwnershipMap
from schemas.codec import VALUE_LENGTH_MAX, Codec
from schemas.contract import Contract
from schemas.envelope import ChangeEnvelope, Headers, parse_change, source_of
from schemas.errors import MalformedEnvelope, SchemaError, UnknownSchemaId
from schemas.keys import is_canonical

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a change cannot be judged field by field."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change event, read. With a fault, only the fields up to `value` are to be relied on."""

    object: str
    system: str
    """The writer, known by the topic: its principal alone may write there."""
    key: bytes
    position: Position
    received_ms: int
    headers: Headers
    value: bytes | None
    event_id: str = ""
    time_ms: int = 0
    deletes: bool = False
    fields: frozenset[str] | None = None
    unavailable: frozenset[str] = frozenset()
    values: Values | None = None
    pass_through: bool = False
    """The bytes are a full image in the contract in force: they may be passed on untouched."""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """What is needed to read and write values of one object."""

    contract: Contract
    schema_ids: frozenset[int]
    codec: Codec

    def encode(self, values: Values) -> bytes:
        """Wire bytes in the contract in force."""
        return self.codec.encode(self.contract.schema_id, values)

    def decode(self, value: bytes) -> Values:
        """The values of wire bytes of any version of the contract."""
        return self.codec.decode(value, self.schema_ids)


def case_id_of(position: Position) -> str:
    """The stable name of whatever comes of the record at this position."""
    text = f"{position.topic}/{position.partition}/{position.offset}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return "Q-" + base64.b32encode(digest).decode().rstrip("=")


def read(
    ownership_map: OwnershipMap, readers: Mapping[str, ObjectReader], *, object_name: str, system: str,
    key: bytes | None, position: Position, received_ms: int, headers: Headers, value: bytes | None,
) -> Change:
    """The change in a record of `changes.<system>.<object>`; what is wrong with it stands in `fault`."""
    bare = Change(object_name, system, key or b"", position, received_ms, headers, value)
    if value is not None and len(value) > VALUE_LENGTH_MAX:
        return _faulty(bare, Reason.TOO_LARGE, f"{len(value)} bytes, at most {VALUE_LENGTH_MAX} are read")
    if key is None or not is_canonical(key):
        return _faulty(bare, Reason.BAD_KEY, f"a key of {len(key or b'')} bytes that is not canonical UTF-8")
    try:
        envelope = parse_change(headers)
    except MalformedEnvelope as error:
        return _faulty(bare, Reason.MALFORMED_ENVELOPE, error.detail)
    entry = ownership_map.objects.get(object_name)
    refused = _claims(bare, envelope) or _standing(bare, entry)
    if refused is not None or entry is None:
        return refused or bare
    return _values(bare, envelope, entry, readers[object_name])


def _faulty(bare: Change, reason: Reason, detail: str, envelope: ChangeEnvelope | None = None) -> Change:
    return Change(
        bare.object, bare.system, bare.key, bare.position, bare.received_ms, bare.headers, bare.value,
        event_id=envelope.event_id if envelope else "", time_ms=envelope.time_ms if envelope else 0,
        deletes=envelope.deletes if envelope else False, fault=Fault(reason, detail),
    )


def _claims(bare: Change, envelope: ChangeEnvelope) -> Change | None:
    if envelope.source != source_of(bare.system):
        detail = f"ce_source is {envelope.source!r:.100}, the topic is {bare.system}'s"
        return _faulty(bare, Reason.CLAIM_MISMATCH, detail, envelope)
    if envelope.object != bare.object:
        detail = f"ce_type speaks of {envelope.object!r:.100}, the topic of {bare.object}"
        return _faulty(bare, Reason.CLAIM_MISMATCH, detail, envelope)
    return None


def _standing(bare: Change, entry: ObjectMap | None) -> Change | None:
    if entry is None:
        return _faulty(bare, Reason.UNKNOWN_OBJECT, f"{bare.object} is not in the ownership map")
    if bare.system not in entry.systems:
        return _faulty(bare, Reason.SYSTEM_NOT_LISTED, f"{bare.system} has no part in {bare.object}")
    return None


def _values(bare: Change, envelope: ChangeEnvelope, entry: ObjectMap, reader: ObjectReader) -> Change:
    values: Values | None = None
    if envelope.deletes != (bare.value is None):
        detail = "a delete carries a value" if envelope.deletes else "an upsert carries no value"
        return _faulty(bare, Reason.MALFORMED_ENVELOPE, detail, envelope)
    if bare.value is not None:
        try:
            values = reader.decode(bare.value)
        except UnknownSchemaId as error:
            return _faulty(bare, Reason.UNKNOWN_SCHEMA, error.detail, envelope)
        except SchemaError as error:
            return _faulty(bare, Reason.UNREADABLE, error.detail, envelope)
        filed = str(values[entry.key_field]).encode()
        if filed != bare.key:
            return _faulty(bare, Reason.KEY_MISMATCH, f"{entry.key_field} differs from the record's key", envelope)
    return Change(
        bare.object, bare.system, bare.key, bare.position, bare.received_ms, bare.headers, bare.value,
        envelope.event_id, envelope.time_ms, envelope.deletes, envelope.fields, envelope.unavailable, values,
        envelope.fields is None and not envelope.unavailable and bare.value is not None
        and bare.value.startswith(_frame(reader)),
    )


def _frame(reader: ObjectReader) -> bytes:
    return b"\x00" + reader.contract.schema_id.to_bytes(4, "big")
