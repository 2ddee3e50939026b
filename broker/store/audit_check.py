"""Verifying the audit: its chain, the signatures under it, the file of signatures outside, and the rows it tells of.

Finds what was edited, deleted, inserted or cut off, in the audit and in the tables themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.store.audit import FIRST, canonical, digest_of, document_of, key_of
from broker.store.engine import Connection
from broker.store.governed import AuditEntry, Checkpoint, Governed
from broker.store.signing import Head, fits


@dataclass(frozen=True, slots=True)
class Tampering:
    """Something that is not as it was written."""

    code: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.detail} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what was found."""

    entries: int
    rows: int
    signatures: int
    anchors: int
    found: tuple[Tampering, ...]


def verify(connection: Connection, keys: Sequence[Ed25519PublicKey], anchors: Iterable[Head]) -> Verified:
    """Look at all of it, in the one consistent view that a connection has; `keys`: of all that have signed."""
    with Session(connection) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.sequence)).all()
        checkpoints = session.scalars(select(Checkpoint).order_by(Checkpoint.sequence)).all()
        rows = {name: session.scalars(select(model)).all() for name, model in _models().items()}
        outside = list(anchors)
        digests = {entry.sequence: bytes(entry.digest) for entry in entries}
        found = [
            *_chain(entries),
            *_signatures(checkpoints, digests, keys),
            *_anchors(outside, digests, keys),
            *_rows(entries, rows),
        ]
    counted = sum(len(some) for some in rows.values())
    return Verified(len(entries), counted, len(checkpoints), len(outside), tuple(found))


def _models() -> dict[str, type[Governed]]:
    return {mapper.class_.__tablename__: mapper.class_ for mapper in Governed.registry.mappers}


def _chain(entries: Sequence[AuditEntry]) -> Iterator[Tampering]:
    previous = FIRST
    for number, entry in enumerate(entries, 1):
        where = f"audit {entry.sequence}"
        if entry.sequence != number:
            yield Tampering("audit.gap", where, f"entry {number} is missing, or was put in")
            return
        if bytes(entry.previous) != previous:
            yield Tampering("audit.link", where, "it does not continue the entry before it")
        if bytes(entry.digest) != digest_of(bytes(entry.previous), entry):
            yield Tampering("audit.entry", where, "it is not as it was written")
        previous = bytes(entry.digest)


def _signatures(
    checkpoints: Sequence[Checkpoint], digests: dict[int, bytes], keys: Sequence[Ed25519PublicKey]
) -> Iterator[Tampering]:
    for one in checkpoints:
        where = f"audit_checkpoints {one.sequence}"
        if not fits(keys, Head(one.sequence, bytes(one.digest), bytes(one.signature))):
            yield Tampering("audit.signature", where, "its signature was made by none of these keys")
        if digests.get(one.sequence) != bytes(one.digest):
            yield Tampering("audit.signed_otherwise", where, "what it signed is not what the audit says")
    last, signed = max(digests, default=0), max((one.sequence for one in checkpoints), default=0)
    if last != signed:
        yield Tampering("audit.unsigned", f"audit {last}", f"signed is the audit up to {signed}")


def _anchors(
    outside: Sequence[Head], digests: dict[int, bytes], keys: Sequence[Ed25519PublicKey]
) -> Iterator[Tampering]:
    for head in outside:
        where = f"anchor {head.sequence}"
        if not fits(keys, head):
            yield Tampering("audit.anchor", where, "its signature was made by none of these keys")
        elif head.sequence not in digests:
            yield Tampering(
                "audit.cut", where, f"the audit ends with {max(digests, default=0)}: its end was cut off"
            )
        elif digests[head.sequence] != head.digest:
            yield Tampering("audit.rewritten", where, "the audit says something else than what was signed")
    last, anchored = max(digests, default=0), max((head.sequence for head in outside), default=0)
    if anchored < last:
        detail = f"the file of signatures ends with {anchored}, the audit with {last}"
        yield Tampering("audit.anchors_behind", f"anchor {anchored}", detail)


def _rows(entries: Sequence[AuditEntry], rows: dict[str, Sequence[Any]]) -> Iterator[Tampering]:
    """The tables beside the last thing that the audit says of each of their rows."""
    told = {(entry.subject, entry.key): entry.after for entry in entries}
    seen = set()
    for name, some in rows.items():
        for row in some:
            place = (name, key_of(row))
            seen.add(place)
            where = f"{name} {place[1]}"
            if place not in told:
                yield Tampering("audit.row_unknown", where, "the audit knows nothing of this row")
            elif told[place] != canonical(document_of(row)):
                differing = _differing(told[place], document_of(row))
                yield Tampering("audit.row_changed", where, f"it was changed beside the audit: {differing}")
    for name, key in sorted(told.keys() - seen):
        yield Tampering("audit.row_gone", f"{name} {key}", "the audit tells of a row that is not there")


def _differing(told: str, found: dict[str, Any]) -> str:
    try:
        before = dict(json.loads(told))
    except ValueError:
        return "what the audit says of it cannot be read"
    return ", ".join(sorted(name for name in found if before.get(name) != found[name]))
