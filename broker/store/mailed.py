"""Which notices were mailed: asked for and written by whoever sends them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.store.governed import Mailed, Notice


def not_mailed(session: Session, since_ms: int, limit: int) -> Sequence[Notice]:
    """Notices left since a moment of which nothing was written yet, oldest first."""
    done = select(Mailed.notice_id).where(Mailed.notice_id == Notice.notice_id)
    query = select(Notice).where(Notice.at_ms >= since_ms, ~done.exists())
    return session.scalars(query.order_by(Notice.at_ms, Notice.notice_id).limit(limit)).all()


def mailed(session: Session, notice_id: str, outcome: str, detail: str, at_ms: int) -> None:
    """Write what became of a notice. `outcome`: sent, refused, or nowhere (nobody knows an address)."""
    session.add(Mailed(notice_id=notice_id, outcome=outcome, detail=detail[:500], at_ms=at_ms))
