"""Telling people: a notice for a team or a person, once for each thing that there is to say."""

from __future__ import annotations

import hashlib

from broker.store.audit import Actor
from broker.store.decided import Session
from broker.store.governed import Notice


def tell(session: Session, actor: Actor, whom: str, subject: str, text: str, *, once: str = "") -> bool:
    """Leave a notice. `once`: what it is about to be told of no more than once; "" = always. Whether it is new."""
    told = f"{whom} {subject} {text} {once or actor.now_ms}"
    notice_id = hashlib.sha256(told.encode()).hexdigest()[:24]
    if session.get(Notice, notice_id) is not None:
        return False
    session.add(Notice(notice_id=notice_id, whom=whom, subject=subject, text=text, at_ms=actor.now_ms))
    return True


def object_address(name: str) -> str:
    """The console's page of an object."""
    return f"/ownership/objects/{name}"


def address_of(subject: str) -> str:
    """The console's page of what a notice is about."""
    kind, _, name = subject.partition(":")
    places = {"request": f"/approvals/{name}", "cases": f"/review?object={name}"}
    return places.get(kind, object_address(name))
