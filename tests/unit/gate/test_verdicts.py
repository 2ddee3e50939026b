"""The verdict on one field, whole: which verdict, why, whose the field is, and both values as a reviewer sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.gate.decision import FieldVerdict, Outcome, Verdict, outcome_of, reason_of
from broker.gate.fields import Judged, judge_field, stopped
from broker.gate.reason import Reason
from broker.gate.state import Memory, RecordState
from broker.rules import rules_of
from ownership.map import ObjectMap, OnViolation
from tests.gate_parts import map_texts, object_document

BASE = rules_of(map_texts(), 1).ownership_map.objects["customer"]
NO_PHONE = {name: owner for name, owner in BASE.owners.items() if name != "phone"}
ENTRY = replace(
    BASE, owners=NO_PHONE, former={"credit_limit": frozenset({"crm"}), "name": frozenset({"erp"})}
)
"""Nobody owns the phone; the limit was crm's once, and the name erp's."""
OWNERS = (("crm", "seq:0:05", None), ("erp", "seq:0:05", frozenset({"credit_limit"})))
EARLIER = ({"email": "older"}, {"email": "oldest"})


def judged(system: str, event: str, *, creates: bool = False, **state: Any) -> Judged:
    told = RecordState(value=b"v", revision=1, **{"owners": OWNERS} | state)
    return Judged(entry=ENTRY, system=system, event_id=event, state=told, creates=creates)


@pytest.mark.parametrize(
    ("system", "event", "name", "attempted", "verdict", "reason", "owner"),
    [
        ("crm", "seq:0:06", "email", "new", Verdict.ACCEPTED, None, "crm"),
        ("crm", "seq:0:06", "email", "now", Verdict.UNCHANGED, Reason.ECHO, "crm"),
        ("crm", "seq:0:05", "email", "now", Verdict.UNCHANGED, Reason.DUPLICATE, "crm"),
        ("crm", "seq:0:05", "email", "new", Verdict.HELD, Reason.VERSION_CONFLICT, "crm"),
        ("crm", "seq:0:05/b", "email", "new", Verdict.HELD, Reason.VERSION_CONFLICT, "crm"),
        ("crm", "seq:0:05/b", "email", "now", Verdict.UNCHANGED, Reason.ECHO, "crm"),
        ("crm", "seq:0:04", "email", "new", Verdict.STALE, Reason.STALE, "crm"),
        ("crm", "seq:0:04", "email", "now", Verdict.STALE, Reason.STALE, "crm"),
        ("billing", "x", "email", "now", Verdict.UNCHANGED, Reason.ECHO, "crm"),
        ("billing", "x", "email", "older", Verdict.UNCHANGED, Reason.LATE_ECHO, "crm"),
        ("billing", "x", "email", "oldest", Verdict.UNCHANGED, Reason.LATE_ECHO, "crm"),
        ("billing", "x", "email", "new", Verdict.HELD, Reason.NOT_OWNER, "crm"),
        ("crm", "seq:0:06", "credit_limit", "new", Verdict.HELD, Reason.LATE_OWNER, "erp"),
        ("erp", "seq:0:06", "name", "new", Verdict.HELD, Reason.LATE_OWNER, "crm"),
        ("billing", "x", "name", "new", Verdict.HELD, Reason.NOT_OWNER, "crm"),
        ("crm", "seq:0:06", "phone", "new", Verdict.HELD, Reason.UNOWNED, None),
    ],
)
def test_a_verdict_names_everything(
    system: str, event: str, name: str, attempted: str, verdict: Verdict, reason: Reason, owner: str | None
) -> None:
    found = judge_field(judged(system, event), name, "now", attempted, EARLIER)
    assert found == FieldVerdict(name, verdict, reason, owner, "now", attempted)


def test_a_field_that_nobody_knows_shows_no_values() -> None:
    found = judge_field(judged("crm", "seq:0:06"), "nonsense", "now", "new", ())
    assert found == FieldVerdict("nonsense", Verdict.HELD, Reason.UNKNOWN_FIELD, None, None, None)


def test_what_the_owner_said_in_an_earlier_term_is_no_news() -> None:
    # I4
    memory = Memory(former=(("crm", "seq:0:03", frozenset({"name"})),))
    owners = (("crm", "", None),)
    for event, verdict, reason in (
        ("seq:0:02", Verdict.STALE, Reason.STALE),
        ("seq:0:03", Verdict.STALE, Reason.STALE),
        ("seq:0:03/b", Verdict.STALE, Reason.STALE),
        ("seq:0:04", Verdict.ACCEPTED, None),
    ):
        found = judge_field(judged("crm", event, owners=owners, memory=memory), "name", "now", "new", ())
        assert found == FieldVerdict("name", verdict, reason, "crm", "now", "new"), event
    since = judged("crm", "seq:0:02", owners=(("crm", "seq:0:01", None),), memory=memory)
    assert judge_field(since, "name", "now", "new", ()).verdict is Verdict.ACCEPTED, (
        "only the last term counts"
    )


def test_who_creates_says_nothing_of_others_fields_with_null() -> None:
    at_creation = judged("crm", "seq:0:06", creates=True, owners=())
    null = judge_field(at_creation, "credit_limit", "waits", None, ())
    assert null == FieldVerdict("credit_limit", Verdict.UNCHANGED, Reason.ECHO, "erp", "waits", None)
    other = judge_field(judged("erp", "seq:0:06", creates=True), "email", "waits", "new", ())
    assert other == FieldVerdict("email", Verdict.HELD, Reason.NOT_OWNER, "crm", "waits", "new")
    later = judge_field(judged("billing", "x"), "email", "now", None, ())
    assert later == FieldVerdict("email", Verdict.HELD, Reason.NOT_OWNER, "crm", "now", None)


def test_the_key_is_accepted_at_creation_although_it_says_nothing_new() -> None:
    for creates, name, verdict in (
        (True, "customer_id", Verdict.ACCEPTED),
        (False, "customer_id", Verdict.UNCHANGED),
        (True, "email", Verdict.UNCHANGED),
    ):
        found = judge_field(judged("crm", "seq:0:06", creates=creates), name, "same", "same", ())
        assert found.verdict is verdict, (creates, name)


@pytest.mark.parametrize(
    ("policy", "reason", "verdict"),
    [
        (OnViolation.QUARANTINE, Reason.NOT_OWNER, Verdict.HELD),
        (OnViolation.REJECT, Reason.NOT_OWNER, Verdict.REFUSED),
        (OnViolation.PROPOSE, Reason.NOT_OWNER, Verdict.PROPOSED),
        (OnViolation.REJECT, Reason.NOT_DELETE_AUTHORITY, Verdict.REFUSED),
        (OnViolation.PROPOSE, Reason.NOT_DELETE_AUTHORITY, Verdict.HELD),
    ],
)
def test_what_a_violation_meets(policy: OnViolation, reason: Reason, verdict: Verdict) -> None:
    entry = replace(BASE, policies={"billing": policy})
    found = stopped(entry, "billing", "name", reason, "now", "new")
    assert found == FieldVerdict("name", verdict, reason, "crm", "now", "new")
    assert stopped(entry, "billing", "name", reason, None, None, owner="erp").owner == "erp"
    assert stopped(entry, "ghost", "name", Reason.NOT_OWNER, None, None).verdict is Verdict.HELD


def verdict(name: str, what: Verdict, reason: Reason | None = None) -> FieldVerdict:
    return FieldVerdict(name, what, reason, "crm")


@pytest.mark.parametrize(
    ("verdicts", "outcome", "reason"),
    [
        ([], Outcome.ECHO, None),
        ([verdict("a", Verdict.ACCEPTED)], Outcome.ACCEPTED, None),
        ([verdict("a", Verdict.ACCEPTED), verdict("b", Verdict.STALE, Reason.STALE)], Outcome.ACCEPTED, None),
        (
            [verdict("a", Verdict.ACCEPTED), verdict("b", Verdict.HELD, Reason.NOT_OWNER)],
            Outcome.PARTLY_ACCEPTED,
            Reason.NOT_OWNER,
        ),
        (
            [verdict("a", Verdict.HELD, Reason.NOT_OWNER), verdict("b", Verdict.HELD, Reason.UNKNOWN_FIELD)],
            Outcome.QUARANTINED,
            Reason.UNKNOWN_FIELD,
        ),
        ([verdict("a", Verdict.REFUSED, Reason.NOT_OWNER)], Outcome.REFUSED, Reason.NOT_OWNER),
        ([verdict("a", Verdict.PROPOSED, Reason.NOT_OWNER)], Outcome.PROPOSED, Reason.NOT_OWNER),
        (
            [verdict("a", Verdict.UNCHANGED, Reason.ECHO), verdict("b", Verdict.HELD, Reason.NOT_OWNER)],
            Outcome.QUARANTINED,
            Reason.NOT_OWNER,
        ),
        (
            [verdict("a", Verdict.STALE, Reason.STALE), verdict("b", Verdict.HELD, Reason.NOT_OWNER)],
            Outcome.QUARANTINED,
            Reason.NOT_OWNER,
        ),
        (
            [verdict("a", Verdict.UNCHANGED, Reason.ECHO), verdict("b", Verdict.STALE, Reason.STALE)],
            Outcome.STALE,
            Reason.STALE,
        ),
        ([verdict("a", Verdict.UNCHANGED, Reason.LATE_ECHO)], Outcome.ECHO, Reason.LATE_ECHO),
    ],
)
def test_how_verdicts_add_up(verdicts: list[FieldVerdict], outcome: Outcome, reason: Reason | None) -> None:
    assert (outcome_of(verdicts), reason_of(verdicts)) == (outcome, reason)


def test_the_map_answers_nobody_where_it_says_nothing() -> None:
    # I7
    entry: ObjectMap = replace(BASE, readers={"crm": None, "billing": frozenset({"name"})}, policies={})
    assert entry.readable("crm") == frozenset(BASE.fields) and entry.readable("billing") == {"name"}
    assert entry.readable("ghost") == frozenset() and entry.owner_of("nonsense") is None
    assert entry.policy_of("ghost") is OnViolation.QUARANTINE
    assert entry.systems == {"crm", "erp", "billing"} and entry.writers == {"crm", "erp"}
    listed = replace(BASE, policies={"shop": OnViolation.REJECT}, readers={}, create="maker", delete="ender")
    assert listed.systems == {"crm", "erp", "shop", "maker", "ender"}
    whole = rules_of(map_texts(object_document(fields={})), 1).ownership_map.objects["customer"]
    assert whole.sole_owner == "crm" and BASE.sole_owner is None
    assert replace(whole, owners=NO_PHONE | {"credit_limit": "crm"}).sole_owner is None, (
        "one field is nobody's"
    )


def test_terms_begin_at_their_moment() -> None:
    first, second = replace(BASE, description="first"), replace(BASE, description="second")
    entry = replace(BASE, later=((10, first), (20, second)))
    assert [entry.at(ms) for ms in (9, 10, 19, 20)] == [entry, first, first, second]
