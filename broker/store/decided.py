"""Reading what people decided. Queries only; rows are those of `governed`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from broker.store.governed import (
    Agreed,
    AuditEntry,
    ChangeRequest,
    KeptAnswer,
    Notice,
    Proof,
    Remark,
    SignOff,
    Waiver,
)

__all__ = ["Session"]


def requests_page(
    session: Session, *, state: str | None, before: tuple[int, str] | None, limit: int
) -> Sequence[ChangeRequest]:
    """Requests, the one that moved last first; `before`: (moved at, name) of the last one seen."""
    query = select(ChangeRequest)
    if state is not None:
        query = query.where(ChangeRequest.state == state)
    if before is not None:
        query = query.where(tuple_(ChangeRequest.state_ms, ChangeRequest.request_id) < before)
    order = ChangeRequest.state_ms.desc(), ChangeRequest.request_id.desc()
    return session.scalars(query.order_by(*order).limit(limit)).all()


def requests_in(session: Session, *states: str) -> Sequence[ChangeRequest]:
    """Every request in one of these states, the one that waits longest first."""
    query = select(ChangeRequest).where(ChangeRequest.state.in_(states))
    return session.scalars(query.order_by(ChangeRequest.state_ms, ChangeRequest.request_id)).all()


def agreements_to(session: Session, request_id: str, plan_hash: str) -> Sequence[Agreed]:
    """Who has agreed to a plan."""
    query = select(Agreed).where(Agreed.request_id == request_id, Agreed.plan_hash == plan_hash)
    return session.scalars(query.order_by(Agreed.at_ms)).all()


def remarks_on(session: Session, request_id: str) -> Sequence[Remark]:
    """What was said, oldest first."""
    return session.scalars(
        select(Remark).where(Remark.request_id == request_id).order_by(Remark.at_ms, Remark.remark_id)
    ).all()


def waivers_at(session: Session, now_ms: int) -> Sequence[Waiver]:
    """Waivers that count, or have counted since that moment; the one that ends first first."""
    query = select(Waiver).where(Waiver.expires_ms > now_ms, Waiver.ended_ms.is_(None))
    return session.scalars(query.order_by(Waiver.expires_ms, Waiver.waiver_id)).all()


def proofs(session: Session) -> Sequence[Proof]:
    """Everything that was found out, oldest first."""
    return session.scalars(select(Proof).order_by(Proof.at_ms, Proof.proof_id)).all()


def last_sign_offs(session: Session) -> dict[str, int]:
    """Object to when it was signed off last."""
    query = select(SignOff.object, func.max(SignOff.at_ms)).group_by(SignOff.object)
    return {str(name): int(at_ms) for name, at_ms in session.execute(query)}


def notices_for(session: Session, whom: Sequence[str], limit: int = 50) -> Sequence[Notice]:
    """What these teams and people were told, newest first."""
    query = select(Notice).where(Notice.whom.in_(whom))
    return session.scalars(query.order_by(Notice.at_ms.desc(), Notice.notice_id).limit(limit)).all()


def audit_page(
    session: Session, *, subject: str | None = None, key: str | None = None, before: int | None, limit: int
) -> Sequence[AuditEntry]:
    """Entries of the audit, newest first; `before`: the number of the last one seen."""
    query = select(AuditEntry)
    if subject is not None:
        query = query.where(AuditEntry.subject == subject)
    if key is not None:
        query = query.where(AuditEntry.key == key)
    if before is not None:
        query = query.where(AuditEntry.sequence < before)
    return session.scalars(query.order_by(AuditEntry.sequence.desc()).limit(limit)).all()


def kept_answer(session: Session, by: str, key: str) -> KeptAnswer | None:
    """The answer that a repeated request gets."""
    return session.get(KeptAnswer, (by, key))
