"""Change requests: a plan on its way into force, step by step along the table of `ownership.lifecycle`."""

from __future__ import annotations

import json
import secrets

from broker.clock import day_of
from broker.governance.evidence import waived_at
from broker.governance.maps import InForce, in_force, wanted_by
from broker.governance.telling import tell
from broker.governance.texts import bounded
from broker.kafka.planning import planned
from broker.rules import advice_of
from broker.store.audit import Actor, RowMovedError
from broker.store.decided import Session, agreements_to
from broker.store.errors import StoreError
from broker.store.governed import Agreed, ChangeRequest, Remark
from ownership.approval import Agreement, Terms, lacking, may_agree, teams_of, terms_of
from ownership.changed import moment
from ownership.errors import Finding
from ownership.lifecycle import State, Step, StepRefused, after
from ownership.plan import Plan, fresh, read_plan

TITLE_LENGTH_MAX = 200


class NoSuchRequestError(StoreError):
    """There is no change request of this name."""

    code = "request.unknown"
    remedy = "See `solesource request list`."


def found(session: Session, request_id: str, revision: int | None = None) -> ChangeRequest:
    """A change request. Raises NoSuchRequestError, and RowMovedError where it has another revision."""
    row = session.get(ChangeRequest, request_id)
    if row is None:
        msg = f"there is no change request {request_id}"
        raise NoSuchRequestError(msg)
    if revision is not None and row.revision != revision:
        msg = f"{request_id} was changed since: this is revision {row.revision}, not {revision}"
        raise RowMovedError(msg)
    return row


def draft(session: Session, actor: Actor, plan_text: str, title: str, reason: str) -> ChangeRequest:
    """Begin a change request. Raises PlanRefused or StepRefused for a plan that is none, or is not for this map."""
    plan = _usable(session, plan_text)
    row = begun(actor, plan, plan_text, title, reason)
    session.add(row)
    return row


def begun(actor: Actor, plan: Plan, plan_text: str, title: str, reason: str) -> ChangeRequest:
    """A draft. Raises StepRefused for a title or a reason that is none."""
    return ChangeRequest(
        request_id=f"cr-{secrets.token_hex(5)}",
        title=bounded(title, "title", TITLE_LENGTH_MAX),
        reason=bounded(reason, "reason"),
        requester=actor.by,
        state=State.DRAFT,
        plan=plan_text,
        plan_hash=plan.hash,
        asked="",
        base_version=plan.base_version,
        created_ms=actor.now_ms,
        state_ms=actor.now_ms,
    )


def revise(session: Session, actor: Actor, row: ChangeRequest, plan_text: str) -> None:
    """Give a draft another plan; whoever had agreed is asked again."""
    _only_requester(actor, row)
    plan = _usable(session, plan_text)
    take(actor, row, Step.REVISE)
    row.plan, row.plan_hash, row.base_version = plan_text, plan.hash, plan.base_version


def propose(session: Session, actor: Actor, row: ChangeRequest) -> None:
    """Ask those who must agree. Raises StepRefused for warnings that nobody answers for."""
    _only_requester(actor, row)
    now, plan = in_force(session), plan_of(row)
    _on_top_of(now, plan)
    fresh(plan, actor.now_ms)
    if unanswered := warnings_of(session, actor.now_ms, now, plan):
        said = "\n".join(str(finding) for finding in unanswered)
        detail = f"the map would have {len(unanswered)} warnings that it has not yet:\n{said}\n"
        raise StepRefused(
            "request.warnings", detail, "Mend the files, or have each waived by whoever answers for it."
        )
    take(actor, row, Step.PROPOSE)
    teams = [demand.team for demand in terms(now, plan).demands if demand.team]
    row.asked = "\n".join(teams)
    for team in teams:
        tell(session, actor, team, f"request:{row.request_id}", f"{row.requester} asks: {row.title}")


def approve(session: Session, actor: Actor, row: ChangeRequest, note: str) -> tuple[str, ...]:
    """Agree to the plan as it stands; returns what is still missing. Raises StepRefused."""
    after(State(row.state), Step.APPROVE)
    now, plan = in_force(session), plan_of(row)
    _on_top_of(now, plan)
    fresh(plan, actor.now_ms)
    asked, given = terms(now, plan), agreements(session, row)
    teams = teams_of(now.map, actor.by)
    may_agree(actor.by, teams, row.requester, given)
    session.add(
        Agreed(
            request_id=row.request_id,
            plan_hash=row.plan_hash,
            by=actor.by,
            teams="\n".join(sorted(teams)),
            note=bounded(note, "note", empty=True),
            at_ms=actor.now_ms,
        )
    )
    still = lacking(asked, [*given, Agreement(actor.by, teams)])
    if still:
        take(actor, row, Step.APPROVE)
        row.state_ms = actor.now_ms
        return still
    take(actor, row, Step.APPROVE_LAST)
    row.approved_ms = actor.now_ms
    tell(session, actor, row.requester, f"request:{row.request_id}", f"Approved: {row.title}")
    return ()


def same_plan(row: ChangeRequest, plan_hash: str) -> None:
    """Raises StepRefused where the plan is not the one that somebody looked at."""
    if row.plan_hash != plan_hash:
        raise StepRefused(
            "request.other_plan", f"the plan of {row.request_id} is another one by now", "Look at it again."
        )


def send_back(session: Session, actor: Actor, row: ChangeRequest, why: str) -> None:
    """Return a request to its requester, as an approver. Raises StepRefused."""
    if actor.by == row.requester:
        raise StepRefused("request.own", f"{actor.by} has asked for it", "Withdraw it instead.")
    if not teams_of(in_force(session).map, actor.by):
        raise StepRefused(
            "request.no_team", f"{actor.by} speaks for no team of the map", "Leave a remark instead."
        )
    take(actor, row, Step.RETURN)
    _unapproved(row)
    remark(session, actor, row, why)
    tell(session, actor, row.requester, f"request:{row.request_id}", f"Returned by {actor.by}: {row.title}")


def withdraw(actor: Actor, row: ChangeRequest) -> None:
    """Take a request back, as its requester."""
    _only_requester(actor, row)
    take(actor, row, Step.WITHDRAW)
    _unapproved(row)


def schedule(session: Session, actor: Actor, row: ChangeRequest, at_ms: int) -> None:
    """Say when an approved request is to take force. Raises StepRefused for a moment that is too early."""
    first = may_from_ms(terms(in_force(session), plan_of(row)), row, actor.now_ms)
    if at_ms < max(first, actor.now_ms):
        detail = f"{moment(at_ms)} is too early: it may take force from {moment(max(first, actor.now_ms))}"
        raise StepRefused("request.too_early", detail, "Name a later moment.")
    take(actor, row, Step.SCHEDULE)
    row.force_from_ms = at_ms


def remark(session: Session, actor: Actor, row: ChangeRequest, text: str) -> Remark:
    """Say something about a request."""
    said = Remark(
        remark_id=secrets.token_hex(8),
        request_id=row.request_id,
        by=actor.by,
        text=bounded(text, "text"),
        at_ms=actor.now_ms,
    )
    session.add(said)
    return said


def plan_of(row: ChangeRequest) -> Plan:
    """The plan of a request, as it was checked when it came in."""
    return Plan.model_validate(json.loads(row.plan))


def terms(now: InForce, plan: Plan) -> Terms:
    """What a plan must meet."""
    return terms_of(plan, now.map, wanted_by(plan.documents, plan.base_version + 1))


def agreements(session: Session, row: ChangeRequest) -> list[Agreement]:
    """Who has agreed to the plan as it stands."""
    rows = agreements_to(session, row.request_id, row.plan_hash)
    return [Agreement(one.by, frozenset(one.teams.split("\n")) - {""}) for one in rows]


def may_from_ms(asked: Terms, row: ChangeRequest, now_ms: int) -> int:
    """From when on an approved request may take force."""
    return (row.approved_ms if row.approved_ms is not None else now_ms) + asked.in_sight_ms


def warnings_of(session: Session, now_ms: int, now: InForce, plan: Plan) -> list[Finding]:
    """Warnings that the map would have, has not now, and nobody answers for."""
    today = day_of(now_ms)
    known = (
        {_spot(one) for one in advice_of(now.published.documents, today)} if now.published.version else set()
    )
    waived = waived_at(session, now_ms)
    return [
        one
        for one in advice_of(plan.documents, today)
        if _spot(one) not in known and one.code not in waived.get(one.file.removesuffix(".yaml"), ())
    ]


def _spot(one: Finding) -> tuple[str, str, str, str]:
    return one.code, one.file, one.path, one.detail


def _usable(session: Session, text: str) -> Plan:
    """A plan that was made for the map in force, and says of itself what it does."""
    plan = read_plan(text, "the plan")
    now = in_force(session)
    _on_top_of(now, plan)
    made = planned(now.published, plan.documents)
    if made.changes != plan.changes or dict(made.documents) != plan.documents:
        detail = "the plan does not say what its files change"
        raise StepRefused("request.plan_untrue", detail, "Make it with `solesource map plan --out`.")
    if not plan.changes:
        raise StepRefused("request.empty", "the plan changes nothing", "There is nothing to ask for.")
    return plan


def _on_top_of(now: InForce, plan: Plan) -> None:
    there = (now.published.version, now.published.digest)
    if there != (plan.base_version, plan.base_digest):
        detail = f"the plan was made for version {plan.base_version} of the map, and {there[0]} is in force"
        raise StepRefused(
            "request.moved", detail, "Plan again: `solesource map plan`, then revise the request."
        )


def take(actor: Actor, row: ChangeRequest, step: Step) -> None:
    """Go one step along the table. Raises StepRefused."""
    state = after(State(row.state), step)
    if state != row.state:
        row.state, row.state_ms = state, actor.now_ms


def _unapproved(row: ChangeRequest) -> None:
    row.approved_ms = row.force_from_ms = None


def _only_requester(actor: Actor, row: ChangeRequest) -> None:
    if actor.by != row.requester:
        raise StepRefused("request.not_yours", f"{row.requester} has asked for it", "Leave a remark instead.")
