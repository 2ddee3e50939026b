"""Waivers end, belong to a steward, and are never for longer than until after the next review; so do reviews."""

from __future__ import annotations

from typing import Any

import pytest

from broker.governance import evidence, reviewing
from broker.store.cases import index_cases
from broker.store.decided import notices_for, waivers_at
from broker.store.engine import Engine, writing
from ownership.going_live import Connection
from ownership.lifecycle import StepRefused
from ownership.reviews import Standing
from tests.envelopes import case
from tests.governed_map import DAY_MS, T0, in_force
from tests.unit.governance.conftest import Acting

CRM_ERP = "customer crm -> erp"


def waive(acting: Acting, by: str = "ana", **changed: Any) -> str:
    facts = {"code": "live.no_certificate", "subject": CRM_ERP, "reason": "r", "expires_ms": T0 + DAY_MS}
    with acting(by) as (session, actor):
        row = evidence.waive(session, actor, **(facts | changed))
        session.flush()
        return row.waiver_id


@pytest.mark.parametrize(
    ("by", "changed", "code"),
    [
        ("fay", {}, "waiver.not_yours"),
        ("ana", {"subject": "order crm -> erp"}, "waiver.subject"),
        ("ana", {"expires_ms": T0}, "waiver.expires"),
        ("ana", {"expires_ms": T0 + 101 * DAY_MS}, "waiver.expires"),
        ("ana", {"reason": " "}, "request.text"),
        ("ana", {"code": ""}, "waiver.code"),
        ("ana", {"code": "live.no_certificat"}, "waiver.code"),
        ("ana", {"code": "map.no_promise"}, "waiver.code"),
        ("ana", {"subject": "customer"}, "waiver.code"),
        ("ana", {"subject": "customer crm -> nobody"}, "waiver.subject"),
        ("ana", {"subject": "customer, all of it"}, "waiver.subject"),
    ],
)
def test_waivers_that_are_refused(acting: Acting, by: str, changed: dict[str, Any], code: str) -> None:
    with pytest.raises(StepRefused) as refused:
        waive(acting, by, **changed)
    assert refused.value.code == code


def test_a_waiver_counts_until_it_ends(acting: Acting) -> None:
    name = waive(acting)
    place = Connection("customer", "crm", "erp")
    with acting("any") as (session, _):
        assert evidence.evidence_at(session, T0).waived == {place: frozenset(["live.no_certificate"])}
        assert evidence.evidence_at(session, T0 + DAY_MS).waived == {}
    with acting("fay") as (session, actor), pytest.raises(StepRefused):
        evidence.end_waiver(session, actor, name)
    with acting("sam") as (session, actor):
        assert evidence.end_waiver(session, actor, name).ended_ms == T0
    with acting("sam") as (session, actor):
        assert waivers_at(session, T0) == []
        for gone in (name, "wv-none"):
            with pytest.raises(evidence.NoSuchWaiverError):
                evidence.end_waiver(session, actor, gone)


def test_the_latest_proof_counts(acting: Acting) -> None:
    for at_ms, passed in ((T0, True), (T0 + 1, False)):
        with acting("pat", at_ms) as (session, actor):
            evidence.prove(session, actor, "conformance", "crm", passed=passed, reference="ci", days=1)
            evidence.prove(session, actor, "conformance", "erp", passed=not passed, reference="ci", days=1)
    with acting("any") as (session, _):
        assert evidence.evidence_at(session, T0 + 2).conforming == {"erp"}
        assert evidence.evidence_at(session, T0 + 2 * DAY_MS).conforming == frozenset()


def test_no_connection() -> None:
    for text in ("", "customer", "customer crm", "customer crm ->", "crm -> erp", "customer -> erp"):
        assert evidence.connection_in(text) in (None, Connection("crm", "", "erp")), text


def test_a_review_is_announced_missed_escalated_and_signed(acting: Acting) -> None:
    due_ms = T0 + 40 * DAY_MS  # the demo's map was reviewed on 2026-10-01, and is due on 2027-01-01

    def standing(at_ms: int) -> Standing:
        with acting("any") as (session, _):
            return reviewing.reviews(session, at_ms)[0].standing

    def remind(at_ms: int) -> int:
        with acting("control", at_ms) as (session, actor):
            return reviewing.remind(session, actor)

    assert (standing(T0), remind(T0)) == (Standing.DONE, 0)
    assert standing(due_ms) is Standing.SOON
    assert (remind(due_ms - DAY_MS), remind(due_ms)) == (1, 0)
    assert (standing(due_ms + 10 * DAY_MS), remind(due_ms + 10 * DAY_MS)) == (Standing.OVERDUE, 1)
    assert (standing(due_ms + 30 * DAY_MS), remind(due_ms + 30 * DAY_MS)) == (Standing.ESCALATED, 2)
    with acting("any") as (session, _):
        above = notices_for(session, ["mailto:sales-operations@example.com"])
        assert "has not signed it off" in above[0].text
    with acting("fay") as (session, actor), pytest.raises(StepRefused, match="does not speak for it"):
        reviewing.sign_off(session, actor, "customer", "", "")
    with acting("ana") as (session, actor), pytest.raises(StepRefused, match="no object"):
        reviewing.sign_off(session, actor, "order", "", "")
    with acting("ana", due_ms + 31 * DAY_MS) as (session, actor):
        reviewing.sign_off(session, actor, "customer", "all in order", reviewing.pack_digest(b"pack"))
    assert standing(due_ms + 31 * DAY_MS) is Standing.DONE


def test_cases_that_wait_too_long_are_told_of_once_a_day(store: Engine, acting: Acting) -> None:
    def remind(at_ms: int) -> int:
        with acting("control", at_ms) as (session, actor):
            return reviewing.remind_of_cases(session, actor)

    with writing(store) as connection:
        index_cases(connection, [case("c-1", received_ms=T0), case("c-2", received_ms=T0 + DAY_MS)])
    assert remind(T0 + 5 * DAY_MS) == 0, "the map does not say who decides"
    rule = {"decides": "finance", "within": "2d", "unanswered": "escalate", "escalate_to": "platform"}
    in_force(store, 2, conflict_process=rule)
    assert remind(T0 + 2 * DAY_MS - 1) == 0
    assert (remind(T0 + 2 * DAY_MS), remind(T0 + 2 * DAY_MS + 1)) == (2, 0)
    with acting("any") as (session, _):
        (told,) = notices_for(session, ["finance"])
        assert told.text == "1 case of customer waits longer than 2d."
        assert [one.text for one in notices_for(session, ["platform"])] == [told.text]
    assert remind(T0 + 3 * DAY_MS + 1) == 2
    with acting("any") as (session, _):
        assert notices_for(session, ["finance"])[0].text == "2 cases of customer wait longer than 2d."
