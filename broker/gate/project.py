"""What a restricted reader gets of an authoritative record: its fields and no byte of any other, headers included.

Pure. A hidden field leaves nothing behind: neither name, nor owner, nor the event that set it, nor its time. That the
record has a new revision is all that shows. A masked field is a keyed digest, in which equal values look equal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from broker.gate.change import ObjectReader
from ownership.reading import Reading
from schemas.authoritative import (
    AuthoritativeEnvelope,
    authoritative_headers,
    format_owners,
    parse_authoritative,
)
from schemas.codec import Codec
from schemas.contract import AvroSchema
from schemas.envelope import Headers
from schemas.projection import projected, projected_id

NOBODY = "solesource"
"""Stands as the cause of a revision of which the reader sees nothing."""
SEQUENCE = "ce_sequence"
"""Offset of the authoritative record in the same partition: what a reader's acknowledgements count in."""


class Revision(NamedTuple):
    """One authoritative record, as the log has it."""

    key: bytes
    value: bytes | None
    headers: Headers
    offset: int
    appended_ms: int


@dataclass(frozen=True, slots=True)
class Projection:
    """How the deliveries of one reading are made."""

    reading: Reading
    document: AvroSchema
    """The contract of what it delivers."""
    schema_id: int
    codec: Codec
    source: ObjectReader


def projection_of(reading: Reading, source: ObjectReader) -> Projection:
    """Derive the contract of a reading. Raises what fastavro raises for a contract that cannot be."""
    document = projected(source.contract.schema, reading.fields, reading.masked)
    number = projected_id(document)
    return Projection(reading, document, number, Codec.of_document(number, document), source)


def project(
    projection: Projection, revision: Revision, mask_key: bytes, *, begins: bool = False
) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """(value, headers) of the delivery of one revision.

    `begins`: the first that this generation has of the record, so all of it is news. `mask_key` is not looked at where
    nothing is masked. Raises MalformedEnvelope or UnreadableValue for what the gate did not write.
    """
    reading, envelope = projection.reading, parse_authoritative(revision.headers)
    visible = frozenset(reading.fields)
    changed = visible if begins and not envelope.deleted else envelope.changed & visible
    asserted = _asserted(reading, envelope, visible)
    shown = bool(begins or envelope.deleted or envelope.changed & visible or asserted)
    headers = authoritative_headers(
        object_name=reading.object,
        key=revision.key,
        revision=envelope.revision,
        deleted=envelope.deleted,
        # When something happened that is hidden is hidden too.
        time_ms=envelope.time_ms if shown else revision.appended_ms,
        system=envelope.causation[0] if shown and not begins else NOBODY,
        event_id="",
        changed=changed,
        owners=_owners(envelope, visible),
        map_version=envelope.map_version,
        ingress_ms=envelope.ingress_ms if shown else revision.appended_ms,
        reassert=(reading.system, asserted) if asserted else None,
    )
    headers.append((SEQUENCE, b"%d" % revision.offset))
    if revision.value is None:
        return None, headers
    whole = projection.source.decode(revision.value)
    values = {name: _shown(reading, mask_key, name, whole.get(name)) for name in reading.fields}
    return projection.codec.encode(projection.schema_id, values), headers


def masked(mask_key: bytes, system: str, object_name: str, field: str, value: Any) -> str:
    """The keyed digest of a value, in hex; two readers, or two fields, cannot compare theirs."""
    said = f"{system}\0{object_name}\0{field}\0{type(value).__name__}\0{value!r}"
    return hmac.new(mask_key, said.encode(), hashlib.sha256).hexdigest()[:32]


def _shown(reading: Reading, mask_key: bytes, name: str, value: Any) -> Any:
    if name not in reading.masked or value is None:
        return value
    return masked(mask_key, reading.system, reading.object, name, value)


def _asserted(reading: Reading, envelope: AuthoritativeEnvelope, visible: frozenset[str]) -> frozenset[str]:
    """The fields that this reader must write again; what another one must is none of its business."""
    if envelope.reassert is None or envelope.reassert[0] != reading.system:
        return frozenset()
    return envelope.reassert[1] & visible - reading.masked


def _owners(envelope: AuthoritativeEnvelope, visible: frozenset[str]) -> bytes:
    """Whose the visible fields are, without the events that set them."""
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for name, owner in owners_by_field(envelope, visible).items():
        groups[owner].add(name)
    return format_owners((owner, "", frozenset(names)) for owner, names in sorted(groups.items()))


def owners_by_field(envelope: AuthoritativeEnvelope, fields: frozenset[str]) -> Mapping[str, str]:
    """Field to the system that the record names as its owner; those that it names none for are left out."""
    systems = {owner for owner, _, _ in envelope.owners}
    return {name: owner for owner in systems for name in envelope.owned_by(owner, fields)}
