"""Quarterly reviews: what is due, who signed, and who is told while nobody does."""

from __future__ import annotations

import hashlib

from broker.clock import day_of
from broker.governance.maps import in_force
from broker.governance.telling import tell
from broker.store.audit import Actor
from broker.store.decided import Session, last_sign_offs
from broker.store.governed import SignOff
from broker.store.reviewed import waiting_at
from ownership.approval import teams_of
from ownership.document import duration_text
from ownership.lifecycle import StepRefused
from ownership.reviews import ReviewDue, Standing, review_due


def reviews(session: Session, now_ms: int) -> list[ReviewDue]:
    """The next review of every object, the most urgent first."""
    signed = {name: day_of(at_ms) for name, at_ms in last_sign_offs(session).items()}
    entries = in_force(session).map.objects
    found = [review_due(entry, signed.get(name), day_of(now_ms)) for name, entry in entries.items()]
    return sorted(found, key=lambda one: (one.due, one.object))


def sign_off(session: Session, actor: Actor, object_name: str, note: str, pack_sha256: str) -> SignOff:
    """Say that an object's part of the map was reviewed, as its steward. Raises StepRefused."""
    now = in_force(session)
    entry = now.map.objects.get(object_name)
    if entry is None:
        known = ", ".join(sorted(now.map.objects)) or "none"
        raise StepRefused(
            "review.unknown", f"{object_name} is no object of the map", f"Objects are: {known}."
        )
    if entry.steward_team not in teams_of(now.map, actor.by):
        detail = f"{entry.steward_team} answers for {object_name}, and {actor.by} does not speak for it"
        raise StepRefused("review.not_yours", detail, "Ask a member of that team.")
    row = SignOff(
        object=object_name,
        at_ms=actor.now_ms,
        by=actor.by,
        note=note,
        map_version=now.published.version,
        pack_sha256=pack_sha256,
    )
    session.add(row)
    return row


def remind(session: Session, actor: Actor) -> int:
    """Tell stewards what is due, and whoever is asked about the systems when nobody listens; each once. How many."""
    told = 0
    now = in_force(session).map
    for one in reviews(session, actor.now_ms):
        if one.standing is Standing.DONE:
            continue
        subject, once = f"review:{one.object}", f"{one.due} {one.standing}"
        text = (
            f"The review of {one.object} {'is' if one.standing is Standing.SOON else 'was'} due on {one.due}."
        )
        told += tell(session, actor, one.team, subject, text, once=once)
        if one.standing is Standing.ESCALATED:
            owner = now.systems[now.objects[one.object].system_of_record]
            text = f"{text} {one.team} has not signed it off."
            told += tell(session, actor, owner.contact, subject, text, once=once)
    return told


def remind_of_cases(session: Session, actor: Actor) -> int:
    """Tell who decides of cases that wait longer than the map says, and whoever is above; once a day. How many."""
    told = 0
    for name, entry in in_force(session).map.objects.items():
        process = entry.conflict_process
        if process is None:
            continue
        waited = waiting_at(session.connection(), [name], actor.now_ms, [process.within_ms]).get(name)
        late = waited.counts[-1] if waited is not None else 0
        if late:
            cases = "1 case" if late == 1 else f"{late} cases"
            text = f"{cases} of {name} wait{'s' if late == 1 else ''} longer than {duration_text(process.within_ms)}."
            once = str(day_of(actor.now_ms))
            for team in filter(None, (process.decides, process.escalate_to)):
                told += tell(session, actor, team, f"cases:{name}", text, once=once)
    return told


def pack_digest(content: bytes) -> str:
    """By which a review pack is known in a sign-off."""
    return hashlib.sha256(content).hexdigest()
