"""Who must agree to a plan, and how far it reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.kafka.planning import compiled as compiled_of
from broker.kafka.planning import planned
from broker.published import PublishedMap
from ownership.approval import Agreement, Reach, Terms, lacking, may_agree, teams_of, terms_of
from ownership.lifecycle import StepRefused
from ownership.plan import Plan
from tests.governed_map import (
    BILLING_READS,
    EMAIL_TOO,
    NEW_OWNER,
    OTHER_WORDS,
    compiled,
    documents,
    plan,
    published,
    with_replay,
)


def terms(made: Plan, **customer: Any) -> Terms:
    return terms_of(made, compiled(), compiled(**customer))


def test_people_speak_for_their_teams_and_a_contact_for_its_own() -> None:
    found = compiled()
    assert teams_of(found, "ana") == {"sales-operations"}
    assert teams_of(found, "sales-operations@example.com") == {"sales-operations"}
    assert teams_of(found, "nobody") == frozenset()


def test_the_steward_of_the_map_in_force_is_asked_not_the_one_that_is_wanted() -> None:
    other = {"steward": {"team": "finance", "contact": "mailto:finance@example.com"}}
    asked = terms(plan(**other), **other)
    assert [(one.team, one.why) for one in asked.demands] == [
        ("sales-operations", "answers for customer"),
        ("finance", "is to answer for customer"),
    ]


@pytest.mark.parametrize(
    ("change", "judged", "flips", "reach", "reason"),
    [
        (NEW_OWNER, None, 0, Reach.FAR, "nobody knows what it turns over"),
        (NEW_OWNER, 1000, 0, Reach.NARROW, "0.00% of 1,000"),
        (NEW_OWNER, 1000, 10, Reach.WIDE, "1.00% of 1,000"),
        (NEW_OWNER, 1000, 11, Reach.FAR, "1.10% of 1,000"),
        (NEW_OWNER, 0, 0, Reach.NARROW, "nothing was sent"),
        (EMAIL_TOO, 1000, 0, Reach.WIDE, "customer.email (pii)"),
        (BILLING_READS, 1000, 0, Reach.NARROW, "0.00%"),
        (OTHER_WORDS, None, 0, Reach.NARROW, "it turns no decision over"),
    ],
)
def test_reach(change: dict[str, Any], judged: int | None, flips: int, reach: Reach, reason: str) -> None:
    made = plan(**change)
    found = terms(made if judged is None else with_replay(made, judged, flips), **change)
    assert found.reach is reach and any(reason in one for one in found.reasons), found


def test_the_farther_the_more_people_and_the_longer() -> None:
    near, wide, far = (Terms(reach, (), ()) for reach in Reach)
    assert near.people < wide.people < far.people
    assert near.in_sight_ms < wide.in_sight_ms < far.in_sight_ms


def test_many_readers_reach_far() -> None:
    readers = {name: {"read": ["name", "email"]} for name in ("billing", "shop", "desk")}
    before, wanted = compiled(), compiled()
    entry = wanted.objects["customer"]
    granted = {**entry.readers, **{name: frozenset(["name", "email"]) for name in readers}}
    wanted = replace(wanted, objects={"customer": replace(entry, readers=granted)})
    made = with_replay(plan(**EMAIL_TOO))
    found = terms_of(made, before, wanted)
    assert found.reach is Reach.FAR and "3 systems read" in " ".join(found.reasons)


def test_a_system_that_changes_concerns_whoever_it_has_a_part_with() -> None:
    made = plan()
    whole = made.model_copy(update={"changes": tuple(
        one.model_copy(update={"object": "", "systems": ("crm",)}) for one in plan(**NEW_OWNER).changes
    )})  # fmt: skip
    assert [one.team for one in terms(whole).demands] == ["sales-operations"]
    alone = whole.model_copy(
        update={"changes": tuple(one.model_copy(update={"systems": ("billing",)}) for one in whole.changes)}
    )
    assert [one.team for one in terms(alone).demands] == [""]


def test_what_is_lacking_is_said() -> None:
    asked = terms(with_replay(plan(**EMAIL_TOO)), **EMAIL_TOO)
    assert lacking(asked, []) == (
        "sales-operations has not agreed: it answers for customer",
        "0 of 2 people have agreed",
    )
    ana = Agreement("ana", frozenset(["sales-operations"]))
    pat = Agreement("pat", frozenset(["platform"]))
    assert lacking(asked, [ana]) == ("1 of 2 people have agreed",)
    assert lacking(asked, [pat, pat]) == (
        "sales-operations has not agreed: it answers for customer",
        "1 of 2 people have agreed",
    )
    assert lacking(asked, [ana, pat]) == ()


@pytest.mark.parametrize(
    ("person", "code"),
    [("rita", "request.own"), ("ana", "request.agreed"), ("vic", "request.no_team"), ("sam", "")],
)
def test_whose_agreement_counts(person: str, code: str) -> None:
    given = [Agreement("ana", frozenset(["sales-operations"]))]
    teams = teams_of(compiled(), person)
    if code:
        with pytest.raises(StepRefused) as refused:
            may_agree(person, teams, "rita", given)
        assert refused.value.code == code
    else:
        may_agree(person, teams, "rita", given)


def test_a_requester_who_is_the_steward_cannot_approve_either() -> None:
    with pytest.raises(StepRefused, match="cannot approve it"):
        may_agree("ana", teams_of(compiled(), "ana"), "ana", [])


def test_a_comment_is_looked_at_by_somebody_else() -> None:
    texts = documents()
    made = planned(published(), texts | {"customer.yaml": texts["customer.yaml"] + "# a word\n"})
    found = terms(made)
    assert [one.kind.value for one in made.changes] == ["text"]
    assert found.reach is Reach.NARROW and [one.team for one in found.demands] == [""]
    assert lacking(found, []) == ("0 of 1 people have agreed",)
    assert lacking(found, [Agreement("fay", frozenset(["finance"]))]) == ()


def test_nobody_is_let_into_a_team_by_others() -> None:
    """Otherwise two who speak for nobody could make each other stewards."""
    texts = documents()
    let_in = texts | {"systems.yaml": texts["systems.yaml"].replace("- fay", "- fay\n    - rita")}
    made = planned(published(), let_in)
    found = terms_of(made, compiled(), compiled_of(PublishedMap(2, "", let_in)))
    assert [(one.team, one.why) for one in found.demands] == [("finance", "is itself changed")]
    with pytest.raises(StepRefused, match="speaks for no team"):
        may_agree("vic", frozenset(), "rita", [])
    assert lacking(found, [Agreement("ana", frozenset(["sales-operations"]))]) != ()
    board = "teams:\n  board: {contact: 'mailto:b@example.com', members: [rita]}\n"
    new = texts | {"systems.yaml": texts["systems.yaml"].replace("teams:\n", board)}
    asked = terms_of(planned(published(), new), compiled(), compiled_of(PublishedMap(2, "", new)))
    assert [one.team for one in asked.demands] == [""]
    with pytest.raises(StepRefused, match="speaks for no team"):
        may_agree("vic", frozenset(), "rita", [])


def test_a_steward_without_a_team_is_asked_before_it_gets_one() -> None:
    bare = replace(compiled(), teams={})
    found = terms_of(plan(**OTHER_WORDS), bare, compiled())
    assert ("sales-operations", "answers for customer") in [(one.team, one.why) for one in found.demands]
    made = plan().model_copy(update={"changes": ()})
    assert [one.team for one in terms_of(made, bare, compiled()).demands] == ["sales-operations"]


def test_an_object_that_goes_or_comes_asks_its_steward() -> None:
    before = compiled()
    none = replace(before, objects={})
    made = plan(**NEW_OWNER)
    assert [one.team for one in terms_of(made, before, none).demands] == ["sales-operations"]
    fresh = terms_of(made, none, before)
    assert [one.why for one in fresh.demands] == ["is to answer for customer"]
    assert fresh.reach is Reach.NARROW, "nothing was judged before of an object that is new"
