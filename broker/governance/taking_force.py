"""Taking force: what keeps a change request from it, and what becomes of those that were in force before."""

from __future__ import annotations

from collections.abc import Mapping

from broker.governance.evidence import evidence_at
from broker.governance.maps import InForce, in_force, wanted_by
from broker.governance.requests import agreements, begun, may_from_ms, plan_of, take, terms
from broker.governance.telling import tell
from broker.store.audit import Actor
from broker.store.decided import Session, requests_in
from broker.store.governed import ChangeRequest
from broker.store.versions import versions_known
from ownership.approval import lacking
from ownership.changed import moment
from ownership.going_live import Missing, going_live, missing
from ownership.handover import into_the_past
from ownership.lifecycle import State, Step, StepRefused
from ownership.plan import Plan, written

STANDS = {
    State.DRAFT: "it is a draft: nobody was asked yet",
    State.PROPOSED: "it waits for approval",
    State.EFFECTIVE: "it is in force",
    State.SUPERSEDED: "a later version took its place",
    State.ROLLED_BACK: "the map went back to a version before it",
}
"""Why a request that is not approved cannot take force."""


def hindrances(session: Session, row: ChangeRequest, now_ms: int) -> list[str]:
    """Everything that keeps a request from taking force now, a sentence each; the production gate included."""
    now, plan = in_force(session), plan_of(row)
    asked = terms(now, plan)
    state = State(row.state)
    said = (
        []
        if state in (State.APPROVED, State.SCHEDULED)
        else [STANDS[state], *lacking(asked, agreements(session, row))]
    )
    if (now.published.version, now.published.digest) != (plan.base_version, plan.base_digest):
        said.append(
            f"it was made for version {plan.base_version} of the map, and {now.published.version} is in force"
        )
        return said
    first = max(may_from_ms(asked, row, now_ms), row.force_from_ms or 0)
    if row.approved_ms is not None and first > now_ms:
        said.append(f"it stays in sight until {moment(first)}")
    said += into_the_past(now.map, wanted_by(plan.documents, plan.base_version + 1), now_ms)
    return said + [one.words for one in lacking_to_go_live(session, now, plan, now_ms)]


def lacking_to_go_live(session: Session, now: InForce, plan: Plan, now_ms: int) -> list[Missing]:
    """What is missing of the connections that the plan makes live."""
    wanted = wanted_by(plan.documents, plan.base_version + 1)
    evidence = evidence_at(session, now_ms)
    return [
        one for connection in going_live(now.map, wanted) for one in missing(wanted, connection, evidence)
    ]


def ready(session: Session, row: ChangeRequest, now_ms: int) -> Plan:
    """The plan of a request that may take force now. Raises StepRefused with every hindrance."""
    said = hindrances(session, row, now_ms)
    if said:
        raise StepRefused(
            "request.not_ready", f"{row.request_id} cannot take force: " + "; ".join(said), "See to each."
        )
    return plan_of(row)


def approved(session: Session, plan_hash: str) -> ChangeRequest | None:
    """The request that waits to take force with this plan."""
    rows = requests_in(session, State.APPROVED, State.SCHEDULED)
    return next((row for row in rows if row.plan_hash == plan_hash), None)


def due(session: Session, now_ms: int) -> list[str]:
    """Scheduled requests whose time has come, the earliest first."""
    rows = [row for row in requests_in(session, State.SCHEDULED) if (row.force_from_ms or 0) <= now_ms]
    return [row.request_id for row in sorted(rows, key=lambda row: row.force_from_ms or 0)]


def applied(
    session: Session, actor: Actor, row: ChangeRequest, map_version: int, step: Step = Step.APPLY
) -> None:
    """A request has become a version of the map; what was in force before is not any more."""
    plan = plan_of(row)
    displace(session, actor, map_version, plan)
    take(actor, row, step)
    row.map_version = map_version
    how = f"as approved: {row.title}"
    if step is Step.BREAK_GLASS:
        how = f"without approval, by {actor.by}: {row.reason}"
    text = f"Version {map_version} is in force, {how}"
    wanted = wanted_by(plan.documents, map_version)
    touched = {change.object for change in plan.changes} & wanted.objects.keys() or wanted.objects.keys()
    for team in sorted({wanted.objects[name].steward_team for name in touched}):
        tell(session, actor, team, f"request:{row.request_id}", text)


def break_glass(session: Session, actor: Actor, plan: Plan, reason: str, map_version: int) -> ChangeRequest:
    """Keep account of a plan that somebody has put in force without approval."""
    row = begun(actor, plan, written(plan), "Without approval", reason)
    session.add(row)
    applied(session, actor, row, map_version, Step.BREAK_GLASS)
    return row


def displace(session: Session, actor: Actor, map_version: int, plan: Plan) -> None:
    """The requests in force until now: superseded, or rolled back where the map goes to a version before them."""
    earlier = [one for one in versions_known(session.connection()) if one.version < map_version]
    back_to = max((v.version for v in earlier if _yaml(v.documents) == _yaml(plan.documents)), default=None)
    for row in requests_in(session, State.EFFECTIVE):
        rolled = back_to is not None and (row.map_version or 0) > back_to
        take(actor, row, Step.ROLL_BACK if rolled else Step.SUPERSEDE)


def _yaml(documents: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in documents.items() if name.endswith(".yaml")}
