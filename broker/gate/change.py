"""One change as the gate reads it: who wrote, what they set, where it stands in the log.

Pure. `read` is total: bytes that cannot be read become a change with a fault, never an exception (I6).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from broker.gate.reason import Reason
from ownership.map import ObjectMap, OwnershipMap
from schemas.codec import FRAME_LENGTH, SCHEMA_HEADER, VALUE_LENGTH_MAX, Codec, schema_id_of
from schemas.contract import Contract
from schemas.envelope import ChangeEnvelope, Headers, parse_change, source_of
from schemas.errors import MalformedEnvelope, SchemaError, UnknownSchemaId
from schemas.keys import is_canonical

Values = Mapping[str, Any]


class Position(NamedTuple):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a change cannot be judged field by field."""

    reason: Reason
    detail: str


class Change(NamedTuple):
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
    time: bytes = b""
    """`ce_time` as it was sent."""


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """What is needed to read and write values of one object."""

    contract: Contract
    schema_ids: frozenset[int]
    codec: Codec
    frame: bytes
    """How values of the contract in force begin."""
    spellings: Mapping[str, frozenset[str]]
    """Field to the names under which other contracts know it."""
    learned: frozenset[int]
    """Of the ids those that are no version of the contract: what they have more, nobody has said anything about."""
    walkers: Mapping[bytes, Callable[[bytes], None]]
    """How values begin to what looks through them."""

    def walked(self, value: bytes) -> None:
        """Look through bytes from outside before they are decoded. Raises SchemaError."""
        walk = self.walkers.get(value[:FRAME_LENGTH])
        if walk is not None and len(value) <= VALUE_LENGTH_MAX:  # else decoding says what is wrong
            walk(value)

    def encode(self, values: Values) -> bytes:
        """Wire bytes in the contract in force."""
        return self.codec.encode(self.contract.schema_id, values)

    def decode(self, value: bytes) -> Values:
        """The values of wire bytes of any version, as the contract in force has them."""
        if value.startswith(self.frame):
            return self.codec.decode(value)
        return self.codec.decode(value, self.schema_ids, self.contract.schema)

    def told(self, value: bytes) -> Values:
        """As `decode`, but what the writer's own contract has: a field it lacks was not told as null.

        Of a learned contract also what is in none of ours, unless it is null. What a version of ours had more was let
        go of, and is nobody's any more.
        """
        self.walked(value)
        if value.startswith(self.frame):
            return self.codec.decode(value)
        written = self.codec.decode(value, self.schema_ids)
        told = {
            name: seen
            for name, seen in self.decode(value).items()
            if not self.spellings[name].isdisjoint(written)
        }
        if schema_id_of(value) in self.learned:
            known = frozenset().union(*self.spellings.values())
            told |= {name: more for name, more in written.items() if name not in known and more is not None}
        return told


def case_id_of(position: Position) -> str:
    """The stable name of whatever comes of the record at this position."""
    return case_name(f"{position.topic}/{position.partition}/{position.offset}")


def case_name(text: str) -> str:
    """The name of a case, the same for the same text."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return "Q-" + base64.b32encode(digest).decode().rstrip("=")


def read(
    ownership_map: OwnershipMap,
    readers: Mapping[str, ObjectReader],
    *,
    object_name: str,
    system: str,
    key: bytes | None,
    position: Position,
    received_ms: int,
    headers: Headers,
    value: bytes | None,
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
    fault = _odd_value(envelope, value) or _misclaimed(bare, envelope)
    if fault is None and entry is None:
        fault = Fault(Reason.UNKNOWN_OBJECT, f"{object_name} is not in the ownership map")
    if fault is None and entry is not None and system not in entry.systems:
        fault = Fault(Reason.SYSTEM_NOT_LISTED, f"{system} has no part in {object_name}")
    if fault is not None or entry is None:
        return _told(bare, envelope, fault=fault)
    return _valued(bare, envelope, entry, readers[object_name])


def in_the_way(bare: Change, fault: Fault) -> Change:
    """The change in a record over which a batch failed: what its headers say; of its value nothing is read again."""
    try:
        return _told(bare, parse_change(bare.headers), fault=fault)
    except MalformedEnvelope:
        return bare._replace(fault=fault)


def _faulty(bare: Change, reason: Reason, detail: str) -> Change:
    return bare._replace(fault=Fault(reason, detail))


def _told(bare: Change, envelope: ChangeEnvelope, *, fault: Fault | None) -> Change:
    return bare._replace(
        event_id=envelope.event_id,
        time_ms=envelope.time_ms,
        deletes=envelope.deletes,
        fields=envelope.fields,
        unavailable=envelope.unavailable,
        fault=fault,
        time=envelope.time,
    )


def _odd_value(envelope: ChangeEnvelope, value: bytes | None) -> Fault | None:
    if envelope.deletes == (value is None):
        return None
    if envelope.deletes:
        return Fault(Reason.MALFORMED_ENVELOPE, "a delete carries a value")
    return Fault(Reason.NOT_HYDRATED, "an upsert without a value")


def _misclaimed(bare: Change, envelope: ChangeEnvelope) -> Fault | None:
    if envelope.source != source_of(bare.system):
        detail = f"ce_source is {envelope.source!r:.100}, the topic is {bare.system}'s"
        return Fault(Reason.CLAIM_MISMATCH, detail)
    if envelope.object != bare.object:
        detail = f"ce_type speaks of {envelope.object!r:.100}, the topic of {bare.object}"
        return Fault(Reason.CLAIM_MISMATCH, detail)
    return None


def _valued(bare: Change, envelope: ChangeEnvelope, entry: ObjectMap, reader: ObjectReader) -> Change:
    if bare.value is None:
        return _told(bare, envelope, fault=None)
    try:
        headers, value = _prefixed(bare.headers, bare.value, reader.codec)
        values = reader.told(value)
    except UnknownSchemaId as error:
        return _told(bare, envelope, fault=Fault(Reason.UNKNOWN_SCHEMA, error.detail))
    except SchemaError as error:
        return _told(bare, envelope, fault=Fault(Reason.UNREADABLE, error.detail))
    unavailable = envelope.unavailable
    if not value.startswith(reader.frame):
        unavailable |= frozenset(entry.fields) - values.keys()
    if (fault := _contradiction(bare.key, envelope, entry, values, unavailable)) is not None:
        return _told(bare, envelope, fault=fault)
    whole = envelope.fields is None and not unavailable and value.startswith(reader.frame)
    return Change(
        bare.object,
        bare.system,
        bare.key,
        bare.position,
        bare.received_ms,
        headers,
        value,
        envelope.event_id,
        envelope.time_ms,
        False,
        envelope.fields,
        unavailable,
        values,
        whole,
        None,
        envelope.time,
    )


def _prefixed(headers: Headers, value: bytes, codec: Codec) -> tuple[Headers, bytes]:
    """Headers and value of a change in wire format V0, whichever it was sent in. Raises SchemaError."""
    named = [text for name, text in headers if name == SCHEMA_HEADER]
    if not named:
        return headers, value
    value = codec.prefixed(named[-1] or b"", value)
    return tuple(header for header in headers if header[0] != SCHEMA_HEADER), value


def _contradiction(
    key: bytes, envelope: ChangeEnvelope, entry: ObjectMap, values: Values, unavailable: frozenset[str]
) -> Fault | None:
    """What headers, key and value say differently of one change."""
    listed = envelope.fields
    if listed is not None and (lacking := listed & (unavailable - envelope.unavailable)):
        detail = (
            f"ce_fields lists {', '.join(sorted(lacking))}, which the contract of the value does not have"
        )
        return Fault(Reason.MALFORMED_ENVELOPE, detail)
    if unavailable.issuperset(entry.fields if listed is None else listed):
        return Fault(Reason.MALFORMED_ENVELOPE, "every field it sets is unavailable")
    if listed is None or entry.key_field in listed:
        identifier = values.get(entry.key_field)
        if identifier is None or str(identifier).encode() != key:
            return Fault(Reason.KEY_MISMATCH, f"{entry.key_field} differs from the record's key")
    return None
