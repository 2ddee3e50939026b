"""A change request as people and programs read it."""

from __future__ import annotations

from typing import Any

from broker.governance.maps import in_force
from broker.governance.requests import agreements, plan_of, terms
from broker.governance.taking_force import hindrances
from broker.store.decided import Session, agreements_to, remarks_on
from broker.store.governed import ChangeRequest, SignOff, Waiver
from ownership.approval import Terms, lacking
from ownership.changed import moment
from ownership.lifecycle import WAITING, State
from ownership.plan import Plan
from ownership.reviews import ReviewDue
from ownership.waivable import waived_words


def request_line(row: ChangeRequest) -> dict[str, Any]:
    """A request in a list."""
    return {
        "request": row.request_id,
        "title": row.title,
        "state": row.state,
        "since": moment(row.state_ms),
        "requester": row.requester,
        "revision": row.revision,
    }


def waiver_line(row: Waiver) -> dict[str, Any]:
    """A waiver in a list."""
    return {
        "waiver": row.waiver_id,
        "code": row.code,
        "words": waived_words(row.code),
        "subject": row.subject,
        "owner": row.owner,
        "by": row.by,
        "reason": row.reason,
        "ends": moment(row.expires_ms),
        "ended": moment(row.ended_ms) if row.ended_ms is not None else None,
    }


def review_line(one: ReviewDue) -> dict[str, Any]:
    """A review in a list."""
    return {
        "object": one.object,
        "standing": one.standing.value,
        "due": str(one.due),
        "last": str(one.last) if one.last is not None else None,
        "team": one.team,
    }


def sign_off_line(row: SignOff) -> dict[str, Any]:
    """A review that was done."""
    return {"object": row.object, "by": row.by, "map_version": row.map_version}


def request_document(session: Session, row: ChangeRequest, now_ms: int) -> dict[str, Any]:
    """Everything about a request: what, how far, who, what is missing."""
    plan = plan_of(row)
    on_top = in_force(session).published.version == row.base_version
    asked = terms(in_force(session), plan) if on_top else None
    waiting = State(row.state) in (State.DRAFT, *WAITING)
    return {
        "request": row.request_id,
        "title": row.title,
        "reason": row.reason,
        "requester": row.requester,
        "state": row.state,
        "since": moment(row.state_ms),
        "revision": row.revision,
        "base_version": row.base_version,
        "map_version": row.map_version,
        "plan_hash": row.plan_hash,
        "force_from": moment(row.force_from_ms) if row.force_from_ms else None,
        "changes": [
            {
                "object": c.object,
                "kind": c.kind.value,
                "fields": list(c.fields),
                "systems": list(c.systems),
                "words": c.words,
            }
            for c in plan.changes
        ],
        "replay": _replay(plan),
        "reach": _reach(asked),
        "asked": _asked(session, row, asked),
        "agreed": [
            {"by": one.by, "teams": one.teams.split("\n"), "note": one.note, "at": moment(one.at_ms)}
            for one in agreements_to(session, row.request_id, row.plan_hash)
        ],
        "hindrances": hindrances(session, row, now_ms) if waiting else [],
        "remarks": [
            {"by": one.by, "text": one.text, "at": moment(one.at_ms)}
            for one in remarks_on(session, row.request_id)
        ],
    }


def _replay(plan: Plan) -> dict[str, Any] | None:
    if plan.replay is None:
        return None
    flips = [flip.model_dump() for flip in plan.replay.flips]
    return {
        "judged": plan.replay.judged,
        "since": moment(plan.replay.since_ms),
        "made": moment(plan.replay.made_ms),
        "reviewed_before": plan.replay.reviewed_before,
        "reviewed_after": plan.replay.reviewed_after,
        "flips": flips,
    }


def _reach(asked: Terms | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    return {
        "reach": asked.reach.value,
        "reasons": list(asked.reasons),
        "people": asked.people,
        "in_sight_hours": asked.in_sight_ms // 3_600_000,
    }


def _asked(session: Session, row: ChangeRequest, asked: Terms | None) -> list[dict[str, Any]]:
    if asked is None:
        return []
    given = agreements(session, row)
    still = lacking(asked, given)
    return [
        {
            "team": demand.team or "anybody else",
            "why": demand.why,
            "agreed": bool(given) if not demand.team else any(demand.team in one.teams for one in given),
        }
        for demand in asked.demands
    ] + ([{"team": "", "why": still[-1], "agreed": False}] if still and "people" in still[-1] else [])


def request_text(document: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [
        f"{document['request']}  {document['title']}",
        f"{document['state'].replace('_', ' ')} since {document['since']}, asked by {document['requester']}",
        f"Why: {document['reason']}",
        "",
        *(f"  {c['kind']:<8}  {c['words']}" for c in document["changes"]),
    ]
    if reach := document["reach"]:
        reasons = "; ".join(reach["reasons"])
        lines += ["", f"Its reach is {reach['reach']}: {reasons}."]
        lines += [
            f"  {'agreed' if one['agreed'] else 'asked ':<7} {one['team']}: {one['why']}"
            for one in document["asked"]
        ]
    lines += [f"  by {one['by']}, {one['at']}: {one['note'] or 'agreed'}" for one in document["agreed"]]
    lines += [f"  {one['by']}, {one['at']}: {one['text']}" for one in document["remarks"]]
    if document["hindrances"]:
        lines += ["", "Before it can take force:", *(f"  - {words}" for words in document["hindrances"])]
    elif document["state"] in ("approved", "scheduled"):
        lines += ["", f"Put it in force: solesource request apply {document['request']} --by YOU"]
    return "\n".join(lines)
