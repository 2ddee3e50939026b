"""What is known of connectors and connections, and what somebody answers for instead: the production gate's facts."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping

from broker.governance.maps import in_force
from broker.governance.texts import bounded
from broker.store.audit import Actor
from broker.store.decided import Session, proofs, waivers_at
from broker.store.errors import StoreError
from broker.store.governed import Proof, Waiver
from ownership.approval import teams_of
from ownership.going_live import Connection, Evidence
from ownership.lifecycle import StepRefused
from ownership.map import OwnershipMap
from ownership.waivable import OF_CONNECTIONS, OF_OBJECTS

CONFORMANCE, CERTIFICATE = "conformance", "certificate"
DAY_MS = 86_400_000
WAIVED_MS_MAX = 100 * DAY_MS
"""A waiver lasts until after the next quarterly review at most."""


class NoSuchWaiverError(StoreError):
    """There is no waiver of this name."""

    code = "waiver.unknown"
    remedy = "See `solesource waiver list`."


def connection_in(text: str) -> Connection | None:
    """The connection of `customer crm -> erp`; None where it is none."""
    object_name, _, ends = text.partition(" ")
    source, arrow, sink = ends.partition(" -> ")
    return Connection(object_name, source, sink) if arrow and object_name and source and sink else None


def waived_at(session: Session, now_ms: int) -> Mapping[str, set[str]]:
    """Subject to the codes that are waived for it now."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in waivers_at(session, now_ms):
        found[row.subject].add(row.code)
    return found


def evidence_at(session: Session, now_ms: int) -> Evidence:
    """What counts at a moment: of each subject the latest proof, as long as it has not expired."""
    latest: dict[tuple[str, str], Proof] = {}
    for row in proofs(session):
        latest[row.kind, row.subject] = row
    good = {place for place, row in latest.items() if row.passed and row.expires_ms > now_ms}
    certified = (connection_in(subject) for kind, subject in good if kind == CERTIFICATE)
    waived = {
        connection_in(subject): frozenset(codes) for subject, codes in waived_at(session, now_ms).items()
    }
    return Evidence(
        conforming=frozenset(subject for kind, subject in good if kind == CONFORMANCE),
        certified=frozenset(one for one in certified if one is not None),
        waived={one: codes for one, codes in waived.items() if one is not None},
    )


def prove(
    session: Session, actor: Actor, kind: str, subject: str, *, passed: bool, reference: str, days: int
) -> Proof:
    """Record what was found out of a connector or a connection."""
    row = Proof(
        proof_id=secrets.token_hex(8),
        kind=kind,
        subject=subject,
        reference=reference,
        passed=passed,
        by=actor.by,
        at_ms=actor.now_ms,
        expires_ms=actor.now_ms + days * DAY_MS,
    )
    session.add(row)
    return row


def waive(session: Session, actor: Actor, *, code: str, subject: str, reason: str, expires_ms: int) -> Waiver:
    """Answer for something that is missing, as the steward of the object. Raises StepRefused."""
    now = in_force(session).map
    object_name = subject.partition(" ")[0]
    entry = now.objects.get(object_name)
    if entry is None:
        objects = ", ".join(sorted(now.objects)) or "none"
        raise StepRefused(
            "waiver.subject", f"{subject!r} begins with no object of the map", f"Objects are: {objects}."
        )
    if entry.steward_team not in teams_of(now, actor.by):
        detail = f"{entry.steward_team} answers for {object_name}, and {actor.by} does not speak for it"
        raise StepRefused("waiver.not_yours", detail, "Ask a member of that team.")
    known = _codes_of(subject, now)
    if code not in known:
        detail = f"{code!r} is nothing that {subject} could lack"
        raise StepRefused("waiver.code", detail, f"Codes are: {', '.join(known)}.")
    if not actor.now_ms < expires_ms <= actor.now_ms + WAIVED_MS_MAX:
        days = WAIVED_MS_MAX // DAY_MS
        raise StepRefused("waiver.expires", "a waiver ends", f"Let it end within {days} days from now.")
    row = Waiver(
        waiver_id=f"wv-{secrets.token_hex(5)}",
        code=code,
        subject=subject,
        owner=entry.steward_team,
        reason=bounded(reason, "reason"),
        by=actor.by,
        at_ms=actor.now_ms,
        expires_ms=expires_ms,
    )
    session.add(row)
    return row


def _codes_of(subject: str, now: OwnershipMap) -> Mapping[str, str]:
    """What the subject of a waiver may lack. Raises StepRefused where it is neither an object nor a connection."""
    if subject in now.objects:
        return OF_OBJECTS
    connection = connection_in(subject)
    if connection is not None and {connection.source, connection.sink} <= now.systems.keys():
        return OF_CONNECTIONS
    raise StepRefused(
        "waiver.subject",
        f"{subject!r} is neither an object nor a connection between systems of the map",
        "Write it like `customer`, or like `customer crm -> erp`.",
    )


def end_waiver(session: Session, actor: Actor, waiver_id: str) -> Waiver:
    """Take a waiver back. Raises NoSuchWaiverError, StepRefused."""
    row = session.get(Waiver, waiver_id)
    if row is None or row.ended_ms is not None:
        msg = f"there is no waiver {waiver_id} that could be ended"
        raise NoSuchWaiverError(msg)
    if row.owner not in teams_of(in_force(session).map, actor.by):
        raise StepRefused("waiver.not_yours", f"{row.owner} answers for it", "Ask a member of that team.")
    row.ended_ms = actor.now_ms
    return row
