"""The only way to change what people decided: a session that writes an audit entry for every row it writes.

Nobody can forget the audit, because entries are made from what SQLAlchemy has flushed. Entries form a chain by digest;
the last of a transaction is signed, in the same transaction and then in a file outside the database. Rows are never
deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event, func, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from broker.store.engine import reading, writing
from broker.store.errors import StoreError
from broker.store.governed import AuditEntry, Checkpoint, Governed
from broker.store.signing import Head, Signer

FIRST = b"\0" * 32
"""What the first entry is chained to."""


class RowMovedError(StoreError):
    """Somebody else changed the same row in the meantime."""

    code = "store.row_moved"
    remedy = "Look at it again, and repeat what you wanted if you still want it."


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, by which way, and when."""

    by: str
    via: str
    """cli | api | console"""
    now_ms: int


def document_of(row: Governed) -> dict[str, Any]:
    """A row as the audit keeps it."""
    told = {}
    for attribute in row.__mapper__.column_attrs:
        value = getattr(row, attribute.key)
        if attribute.columns[0].info.get("digest"):
            value = hashlib.sha256(value.encode()).hexdigest()
        told[attribute.key] = value
    return told


def canonical(document: Any) -> str:
    """One text for one document."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(row: Governed) -> str:
    """By which a row is found: its primary key, as one text."""
    return canonical([getattr(row, str(column.key)) for column in row.__mapper__.primary_key])


def digest_of(previous: bytes, entry: AuditEntry) -> bytes:
    """The link of an entry: of everything it says, and of the link before it."""
    told = [
        entry.sequence, entry.at_ms, entry.by, entry.via, entry.action, entry.subject, entry.key, entry.after,
    ]  # fmt: skip
    return hashlib.sha256(previous + canonical(told).encode()).digest()


@contextmanager
def deciding(engine: Engine, signer: Signer, actor: Actor, action: str) -> Iterator[Session]:
    """One transaction of what people decide, audited and signed. `action`: what is done, such as `request.approve`.

    Raises RowMovedError where a row was changed since it was read, StoreUnavailableError, and AnchorsError before
    anything is written.
    """
    signer.check()
    with writing(engine) as connection, Session(connection, autoflush=False) as session:
        _refuse_deleting(session)
        _note(session, actor, action)
        try:
            yield session
            session.flush()
        except StaleDataError as error:
            msg = "somebody else has changed it meanwhile"
            raise RowMovedError(msg) from error
        _sign(session, signer, actor)
    anchor_missing(engine, signer)


def _refuse_deleting(session: Session) -> None:
    @event.listens_for(session, "before_flush")
    def refuse(flushed: Session, _context: object, _instances: object) -> None:
        assert not flushed.deleted, "rows of what people decided are never deleted"


def _note(session: Session, actor: Actor, action: str) -> None:
    @event.listens_for(session, "after_flush")
    def note(flushed: Session, _context: object) -> None:
        changed = [row for row in flushed.dirty if flushed.is_modified(row)]
        rows = [row for row in (*flushed.new, *changed) if isinstance(row, Governed)]
        for row in sorted(rows, key=lambda one: (one.__tablename__, key_of(one))):
            _append(flushed, actor, action, row)


def _append(session: Session, actor: Actor, action: str, row: Governed) -> None:
    sequence, previous = last_link(session)
    entry = AuditEntry(
        sequence=sequence + 1,
        at_ms=actor.now_ms,
        by=actor.by,
        via=actor.via,
        action=action,
        subject=row.__tablename__,
        key=key_of(row),
        after=canonical(document_of(row)),
        previous=previous,
    )
    entry.digest = digest_of(previous, entry)
    names = AuditEntry.__mapper__.columns.keys()
    session.connection().execute(insert(AuditEntry), {name: getattr(entry, name) for name in names})


def last_link(session: Session) -> tuple[int, bytes]:
    """(number, digest) of the last entry; 0 where there is none."""
    query = select(AuditEntry.sequence, AuditEntry.digest).order_by(AuditEntry.sequence.desc()).limit(1)
    found = session.connection().execute(query).first()
    return (int(found[0]), bytes(found[1])) if found else (0, FIRST)


def _sign(session: Session, signer: Signer, actor: Actor) -> None:
    sequence, digest = last_link(session)
    signed = session.scalar(select(func.max(Checkpoint.sequence))) or 0
    if sequence > signed:
        head = signer.head(sequence, digest)
        session.add(
            Checkpoint(
                sequence=sequence,
                digest=digest,
                signature=head.signature,
                signer=signer.fingerprint,
                at_ms=actor.now_ms,
            )
        )
        session.flush()


def anchor_missing(engine: Engine, signer: Signer) -> int:
    """Add to the file what the database has signed since; also what a process left over that ended in between."""
    with reading(engine) as connection:
        known = _anchored(signer)
        query = select(Checkpoint.sequence, Checkpoint.digest, Checkpoint.signature)
        rows = connection.execute(
            query.where(Checkpoint.sequence > known).order_by(Checkpoint.sequence)
        ).all()
    signer.anchor(Head(int(row[0]), bytes(row[1]), bytes(row[2])) for row in rows)
    return len(rows)


def _anchored(signer: Signer) -> int:
    """The number of the last signature in the file, found from its end: it may be long."""
    if not signer.anchors.exists():
        return 0
    with signer.anchors.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1024))
        lines = file.read().splitlines()
    return int(json.loads(lines[-1])["sequence"]) if lines else 0
