"""A change request from draft to the map in force, and everything that is refused on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.governance import evidence, requests, taking_force
from broker.governance.words import request_document, request_text
from broker.store.audit import RowMovedError
from broker.store.audit_check import verify
from broker.store.decided import notices_for, remarks_on, requests_page
from broker.store.engine import Engine, reading
from broker.store.governed import ChangeRequest
from broker.store.signing import Signer, public_path, read_anchors, read_public
from ownership.approval import HOUR_MS
from ownership.lifecycle import State, StepRefused
from ownership.plan import Plan, PlanRefused, written
from tests.governed_map import (
    BILLING_READS,
    DAY_MS,
    EMAIL_TOO,
    NEW_OWNER,
    OTHER_WORDS,
    T0,
    in_force,
    plan,
    published,
    with_replay,
)
from tests.unit.governance.conftest import Acting

RITA = "rita"


def drafted(acting: Acting, made: Plan, by: str = RITA) -> str:
    with acting(by) as (session, actor):
        row = requests.draft(session, actor, written(made), "Names to the ERP", "It knows them better.")
        session.flush()
        return row.request_id


def proposed(acting: Acting, made: Plan) -> str:
    name = drafted(acting, made)
    with acting(RITA) as (session, actor):
        requests.propose(session, actor, requests.found(session, name))
    return name


def approve(acting: Acting, name: str, by: str, at_ms: int = T0) -> tuple[str, ...]:
    with acting(by, at_ms) as (session, actor):
        return requests.approve(session, actor, requests.found(session, name), "")


def refused(acting: Acting, by: str, do: Any, at_ms: int = T0) -> str:
    def step() -> None:
        with acting(by, at_ms) as (session, actor):
            do(session, actor)

    with pytest.raises((StepRefused, PlanRefused)) as error:
        step()
    return str(error.value.code)


def state(acting: Acting, name: str) -> str:
    with acting("any") as (session, _):
        return requests.found(session, name).state


def test_from_draft_to_force(store: Engine, acting: Acting, signer: Signer) -> None:
    name = proposed(acting, with_replay(plan(**EMAIL_TOO)))
    assert approve(acting, name, "ana") == ("1 of 2 people have agreed",)
    assert state(acting, name) == State.PROPOSED
    assert approve(acting, name, "pat", T0 + 1000) == ()
    assert state(acting, name) == State.APPROVED
    with acting("any", T0 + HOUR_MS) as (session, actor):
        row = requests.found(session, name)
        assert "stays in sight until" in taking_force.hindrances(session, row, actor.now_ms)[0]
        assert taking_force.hindrances(session, row, T0 + 1000 + HOUR_MS) == []
        assert taking_force.ready(session, row, T0 + 1000 + HOUR_MS).hash == row.plan_hash
    in_force(store, 2, **EMAIL_TOO)
    with acting("pia", T0 + 2 * HOUR_MS) as (session, actor):
        taking_force.applied(session, actor, requests.found(session, name), 2)
    assert state(acting, name) == State.EFFECTIVE
    with acting("any") as (session, _):
        told = [one.text for one in notices_for(session, ["sales-operations", RITA])]
        assert [text.partition(":")[0] for text in told] == [
            "Version 2 is in force, as approved", "Approved", "rita asks",
        ]  # fmt: skip
        document = request_document(session, requests.found(session, name), T0)
        assert "sales-operations" in str(document["agreed"]) and "Names to the ERP" in request_text(document)
    key = read_public(public_path(signer.anchors.parent / "key.pem"))
    with reading(store) as connection:
        assert verify(connection, [key], read_anchors(signer.anchors)).found == ()


def test_the_requester_never_approves_and_strangers_do_not_count(acting: Acting) -> None:
    made = with_replay(plan(**NEW_OWNER))
    name = drafted(acting, made, by="ana")
    with acting("ana") as (session, actor):
        requests.propose(session, actor, requests.found(session, name))

    def agree(session: Any, actor: Any) -> None:
        requests.approve(session, actor, requests.found(session, name), "")

    assert refused(acting, "ana", agree) == "request.own"
    assert refused(acting, "vic", agree) == "request.no_team"
    assert approve(acting, name, "pat") == ("sales-operations has not agreed: it answers for customer",)
    assert refused(acting, "pat", agree) == "request.agreed"
    assert approve(acting, name, "sam") == ()


def test_another_plan_needs_another_agreement(acting: Acting) -> None:
    name = proposed(acting, with_replay(plan(**EMAIL_TOO)))
    approve(acting, name, "ana")
    with acting("ana") as (session, actor):
        requests.send_back(session, actor, requests.found(session, name), "Phone, too?")
    assert state(acting, name) == State.DRAFT
    with acting(RITA) as (session, actor):
        row = requests.found(session, name)
        assert [one.text for one in remarks_on(session, name)] == ["Phone, too?"]
        requests.revise(session, actor, row, written(with_replay(plan(**NEW_OWNER))))
        requests.propose(session, actor, row)
        assert requests.agreements(session, row) == []
    assert approve(acting, name, "ana") == ()


def test_only_the_requester_goes_on_with_it(acting: Acting) -> None:
    name = drafted(acting, with_replay(plan(**NEW_OWNER)))
    text = written(with_replay(plan(**OTHER_WORDS)))

    def of(step: Any, *more: Any) -> Any:
        return lambda session, actor: step(session, actor, requests.found(session, name), *more)

    assert refused(acting, "ana", of(requests.propose)) == "request.not_yours"
    assert refused(acting, "ana", of(requests.revise, text)) == "request.not_yours"
    with acting(RITA) as (session, actor):
        requests.propose(session, actor, requests.found(session, name))
    assert refused(acting, RITA, of(requests.send_back, "x")) == "request.own"
    assert refused(acting, "vic", of(requests.send_back, "x")) == "request.no_team"
    assert refused(acting, RITA, of(requests.revise, text)) == "request.not_possible"
    withdrawing = lambda session, actor: requests.withdraw(actor, requests.found(session, name))  # noqa: E731
    assert refused(acting, "ana", withdrawing) == "request.not_yours"
    with acting(RITA) as (session, actor):
        requests.withdraw(actor, requests.found(session, name))
    assert state(acting, name) == State.DRAFT


def test_plans_that_are_not_what_they_say(acting: Acting) -> None:
    made = plan(**NEW_OWNER)

    def draft(one: Plan) -> Any:
        return lambda session, actor: requests.draft(session, actor, written(one), "t", "r")

    lie = made.model_copy(update={"changes": plan(**OTHER_WORDS).changes})
    from ownership.plan import _hash  # the forger's way: everything fits together

    lie = lie.model_copy(update={"hash": _hash(lie)})
    assert refused(acting, RITA, draft(lie)) == "request.plan_untrue"
    assert refused(acting, RITA, draft(plan())) == "request.empty"
    assert refused(acting, RITA, draft(made.model_copy(update={"hash": "0" * 64}))) == "plan.damaged"
    assert refused(acting, RITA, draft(plan(published(4), **NEW_OWNER))) == "request.moved"
    empty = lambda session, actor: requests.draft(session, actor, written(made), " ", "r")  # noqa: E731
    assert refused(acting, RITA, empty) == "request.text"


def test_what_moved_meanwhile_is_not_approved(store: Engine, acting: Acting) -> None:
    name = proposed(acting, with_replay(plan(**NEW_OWNER)))
    in_force(store, 2, **OTHER_WORDS)
    agree = lambda session, actor: requests.approve(session, actor, requests.found(session, name), "")  # noqa: E731
    assert refused(acting, "ana", agree) == "request.moved"
    with acting("any") as (session, actor):
        said = taking_force.hindrances(session, requests.found(session, name), actor.now_ms)
        assert "it was made for version 1 of the map, and 2 is in force" in said


def test_an_old_replay_is_not_approved(acting: Acting) -> None:
    name = proposed(acting, with_replay(plan(**NEW_OWNER)))
    agree = lambda session, actor: requests.approve(session, actor, requests.found(session, name), "")  # noqa: E731
    assert refused(acting, "ana", agree, T0 + DAY_MS + 1) == "plan.expired"


def test_new_warnings_are_mended_or_waived(acting: Acting) -> None:
    name = drafted(acting, with_replay(plan(**BILLING_READS)))
    ask = lambda session, actor: requests.propose(session, actor, requests.found(session, name))  # noqa: E731
    assert refused(acting, RITA, ask) == "request.warnings"
    with acting("ana") as (session, actor):
        evidence.waive(
            session,
            actor,
            code="map.no_promise",
            subject="customer",
            reason="a trial",
            expires_ms=T0 + DAY_MS,
        )
    with acting(RITA) as (session, actor):
        ask(session, actor)
    assert state(acting, name) == State.PROPOSED


def test_nothing_goes_live_with_something_missing(acting: Acting) -> None:
    name = drafted(acting, with_replay(plan(**BILLING_READS)))
    connection = "customer crm -> billing"
    with acting("ana") as (session, actor):
        for code, subject in (("map.no_promise", "customer"), ("live.no_promise", connection)):
            evidence.waive(
                session, actor, code=code, subject=subject, reason="a trial", expires_ms=T0 + DAY_MS
            )
    with acting(RITA) as (session, actor):
        requests.propose(session, actor, requests.found(session, name))
    assert approve(acting, name, "ana") == ()
    with acting("any") as (session, actor):
        row = requests.found(session, name)
        with pytest.raises(StepRefused) as error:
            taking_force.ready(session, row, T0)
    said = str(error.value)
    for words in ("connector of crm", "connector of billing", "has no SLA certificate"):
        assert words in said
    with acting("pat") as (session, actor):
        for system in ("crm", "billing"):
            evidence.prove(session, actor, "conformance", system, passed=True, reference="ci/17", days=30)
        evidence.prove(session, actor, "certificate", connection, passed=True, reference="sla/3", days=30)
    with acting("any") as (session, actor):
        row = requests.found(session, name)
        assert taking_force.hindrances(session, row, T0) == []
        # What was proven and waived counts for a time only.
        assert len(taking_force.hindrances(session, row, T0 + 31 * DAY_MS)) == 4


def test_a_moment_for_it(acting: Acting) -> None:
    name = proposed(acting, with_replay(plan(**EMAIL_TOO)))
    for person in ("ana", "pat"):
        approve(acting, name, person)

    def at(ms: int) -> Any:
        return lambda session, actor: requests.schedule(session, actor, requests.found(session, name), ms)

    assert refused(acting, RITA, at(T0 + HOUR_MS - 1)) == "request.too_early"
    with acting(RITA) as (session, actor):
        at(T0 + 2 * HOUR_MS)(session, actor)
    with acting("any") as (session, actor):
        assert taking_force.due(session, T0 + 2 * HOUR_MS - 1) == []
        assert taking_force.due(session, T0 + 2 * HOUR_MS) == [name]
        row = requests.found(session, name)
        assert len(taking_force.hindrances(session, row, T0 + HOUR_MS)) == 1
        assert taking_force.approved(session, row.plan_hash) is row


def test_later_versions_supersede_and_going_back_rolls_back(store: Engine, acting: Acting) -> None:
    def effective(change: dict[str, Any], version: int) -> str:
        before = published(version - 1, **(NEW_OWNER if version == 3 else {}))
        made = with_replay(plan(before, **change))
        in_force(store, version, **change)
        with acting("pat") as (session, actor):
            row = taking_force.break_glass(session, actor, made, "It burns.", version)
            session.flush()
            return row.request_id

    first = effective(NEW_OWNER, 2)
    second = effective(NEW_OWNER | OTHER_WORDS, 3)
    assert (state(acting, first), state(acting, second)) == (State.SUPERSEDED, State.EFFECTIVE)
    back = effective(NEW_OWNER, 4)
    assert (state(acting, second), state(acting, back)) == (State.ROLLED_BACK, State.EFFECTIVE)
    with acting("any") as (session, _):
        told = notices_for(session, ["sales-operations"])
        assert "without approval, by pat" in told[0].text
        assert len(requests_page(session, state=None, before=None, limit=2)) == 2
        assert {row.requester for row in requests_page(session, state="effective", before=None, limit=9)} == {
            "pat"
        }


def test_a_request_changed_by_somebody_else_meanwhile(acting: Acting) -> None:
    name = drafted(acting, with_replay(plan(**NEW_OWNER)))
    with acting(RITA) as (session, _):
        assert requests.found(session, name, revision=1).request_id == name
        with pytest.raises(RowMovedError):
            requests.found(session, name, revision=2)
        with pytest.raises(requests.NoSuchRequestError):
            requests.found(session, "cr-none")


def test_the_plan_is_kept_as_it_was_put_up(store: Engine, acting: Acting) -> None:
    made = with_replay(plan(**NEW_OWNER))
    name = drafted(acting, made)
    with acting("any") as (session, _):
        row = session.get(ChangeRequest, name)
        assert row is not None and json.loads(row.plan) == json.loads(written(made))
        assert requests.plan_of(row) == made
