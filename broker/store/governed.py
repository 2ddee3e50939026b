"""What people decided about the map: change requests, agreements, waivers, reviews, and the audit of all of it.

Typed models. None of it can be read from the topics again: a backup must hold these tables, and their shapes change by
migrations only (`migrations/versions`). Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import BigInteger, Boolean, Index, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from broker.store.tables import lasting

Name = Annotated[str, mapped_column(String(512))]
Key = Annotated[str, mapped_column(String(512), primary_key=True)]
Prose = Annotated[str, mapped_column(Text)]
Moment = Annotated[int, mapped_column(BigInteger)]
Number = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
Digest = Annotated[bytes, mapped_column(LargeBinary)]


class Governed(DeclarativeBase):
    """Base of what people decide: each row has a revision, and whoever changes an older one is refused."""

    metadata = lasting


class Plain(DeclarativeBase):
    """Base of what stands beside it: the audit itself, and answers kept for requests that are repeated."""

    metadata = lasting


class Counted:
    """SQLAlchemy counts the revision of a row, and compares it whenever the row is changed."""

    revision: Mapped[int] = mapped_column(BigInteger)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, object]:  # noqa: N805 - a class is what it is given
        return {"version_id_col": cls.__table__.c.revision}  # type: ignore[attr-defined]


class ChangeRequest(Counted, Governed):
    """A plan that somebody puts up for approval."""

    __tablename__ = "change_requests"
    request_id: Mapped[Key]
    title: Mapped[Name]
    reason: Mapped[Prose]
    requester: Mapped[Name]
    state: Mapped[Name]
    plan: Mapped[str] = mapped_column(Text, deferred=True, info={"digest": True})
    """As its file has it. It may be long: lists do without it, and the audit keeps its digest."""
    plan_hash: Mapped[Name]
    asked: Mapped[Prose]
    """The teams that were asked, a line each."""
    base_version: Mapped[Moment]
    created_ms: Mapped[Moment]
    state_ms: Mapped[Moment]
    """Since when it is in its state."""
    approved_ms: Mapped[Moment | None]
    force_from_ms: Mapped[Moment | None]
    """When it is to take force."""
    map_version: Mapped[Moment | None]
    """The version of the map that it became."""
    __table_args__ = (Index("change_requests_by_state", "state", "state_ms", "request_id"),)


class Agreed(Counted, Governed):
    """Somebody's agreement to a plan; to its hash, so that another plan needs another one."""

    __tablename__ = "agreements"
    request_id: Mapped[Key]
    plan_hash: Mapped[Key]
    by: Mapped[Key]
    teams: Mapped[Prose]
    """Those that they spoke for then, a line each."""
    note: Mapped[Prose]
    at_ms: Mapped[Moment]


class Remark(Counted, Governed):
    """What somebody said about a change request."""

    __tablename__ = "remarks"
    remark_id: Mapped[Key]
    request_id: Mapped[Name]
    by: Mapped[Name]
    text: Mapped[Prose]
    at_ms: Mapped[Moment]
    __table_args__ = (Index("remarks_by_request", "request_id", "at_ms"),)


class Waiver(Counted, Governed):
    """Somebody answers for something that is missing, until it expires."""

    __tablename__ = "waivers"
    waiver_id: Mapped[Key]
    code: Mapped[Name]
    subject: Mapped[Name]
    """`customer crm -> erp`, as a connection is written, or an object."""
    owner: Mapped[Name]
    reason: Mapped[Prose]
    by: Mapped[Name]
    at_ms: Mapped[Moment]
    expires_ms: Mapped[Moment]
    ended_ms: Mapped[Moment | None]
    """When it was taken back."""
    __table_args__ = (Index("waivers_by_subject", "subject", "code"),)


class SignOff(Counted, Governed):
    """A steward has reviewed an object's part of the map."""

    __tablename__ = "sign_offs"
    object: Mapped[Key]
    at_ms: Mapped[Number]
    by: Mapped[Name]
    note: Mapped[Prose]
    map_version: Mapped[Moment]
    pack_sha256: Mapped[Name]
    """Digest of the review pack that was looked at; "" = none was."""


class Proof(Counted, Governed):
    """What was found out about a connector or a connection, and until when it counts."""

    __tablename__ = "proofs"
    proof_id: Mapped[Key]
    kind: Mapped[Name]
    """conformance | certificate"""
    subject: Mapped[Name]
    """A system, or a connection as it is written."""
    reference: Mapped[Prose]
    passed: Mapped[bool] = mapped_column(Boolean)
    by: Mapped[Name]
    at_ms: Mapped[Moment]
    expires_ms: Mapped[Moment]
    __table_args__ = (Index("proofs_by_subject", "kind", "subject", "at_ms"),)


class Notice(Counted, Governed):
    """Something that a team or a person is told."""

    __tablename__ = "notices"
    notice_id: Mapped[Key]
    whom: Mapped[Name]
    """A team of the map, or a person."""
    subject: Mapped[Name]
    """What it is about: `request:ID`, `review:OBJECT`."""
    text: Mapped[Prose]
    at_ms: Mapped[Moment]
    __table_args__ = (Index("notices_by_whom", "whom", "at_ms"),)


class AuditEntry(Plain):
    """One row that was written, as it was afterwards, chained to the entry before it."""

    __tablename__ = "audit"
    sequence: Mapped[Number]
    at_ms: Mapped[Moment]
    by: Mapped[Name]
    via: Mapped[Name]
    action: Mapped[Name]
    subject: Mapped[Name]
    """Table of the row."""
    key: Mapped[Name]
    after: Mapped[Prose]
    """The row, as JSON."""
    previous: Mapped[Digest]
    digest: Mapped[Digest]
    __table_args__ = (Index("audit_by_subject", "subject", "key", "sequence"),)


class Checkpoint(Plain):
    """A signature under the audit up to an entry."""

    __tablename__ = "audit_checkpoints"
    sequence: Mapped[Number]
    digest: Mapped[Digest]
    signature: Mapped[Digest]
    signer: Mapped[Name]
    """Fingerprint of the public key."""
    at_ms: Mapped[Moment]


class Mailed(Plain):
    """What became of a notice on its way to a mail server. Nobody decided it, so it is not audited."""

    __tablename__ = "mailed"
    notice_id: Mapped[Key]
    outcome: Mapped[Name]
    detail: Mapped[Name]
    at_ms: Mapped[Moment]


class KeptAnswer(Plain):
    """The answer to a request that may be sent again (Idempotency-Key)."""

    __tablename__ = "kept_answers"
    by: Mapped[Key]
    key: Mapped[Key]
    asked_sha256: Mapped[Name]
    status: Mapped[int]
    etag: Mapped[Name]
    body: Mapped[Prose]
    at_ms: Mapped[Moment]
