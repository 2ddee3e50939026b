"""A plan in its file: whole, or refused."""

from __future__ import annotations

import json

import pytest

from ownership.changed import Change, Kind
from ownership.plan import (
    REPLAY_KEPT_MS,
    Plan,
    PlanRefused,
    Replay,
    fresh,
    plan_of,
    read_plan,
    replayed,
    silent_changes,
    written,
)

DOCUMENTS = {"systems.yaml": "systems: {}\n", "customer.yaml": "object: customer\n"}
CHANGE = Change(
    kind=Kind.OWNER, object="customer", fields=("name",), systems=("crm", "erp"), words="It is otherwise."
)


def made() -> Plan:
    return plan_of(3, "ab" * 32, DOCUMENTS, [CHANGE])


def test_it_comes_back_from_its_file() -> None:
    plan = made()
    assert read_plan(written(plan), "plan.json") == plan and len(plan.hash) == 64
    assert plan.changes[0].words == CHANGE.words and plan.digest != plan.hash


def test_the_same_files_on_the_same_map_have_the_same_hash_and_others_another() -> None:
    assert made().hash == made().hash
    others = [
        plan_of(4, "ab" * 32, DOCUMENTS, [CHANGE]),
        plan_of(3, "cd" * 32, DOCUMENTS, [CHANGE]),
        plan_of(3, "ab" * 32, DOCUMENTS | {"x.yaml": ""}, [CHANGE]),
        plan_of(3, "ab" * 32, DOCUMENTS, []),
    ]
    assert len({plan.hash for plan in (made(), *others)}) == 5


@pytest.mark.parametrize("part", ["base_version", "base_digest", "documents", "changes", "hash"])
def test_whatever_was_changed_in_it_is_found(part: str) -> None:
    document = json.loads(written(made()))
    document[part] = {"base_version": 2, "documents": {}, "changes": []}.get(part, "0" * 64)
    with pytest.raises(PlanRefused, match=r"\[plan.damaged\]") as refused:
        read_plan(json.dumps(document), "plan.json")
    assert refused.value.code == "plan.damaged"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2}', "[" * 100_000, '{"format": 1, "more": 1}']
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanRefused, match=r"plan.json is not a plan: .*\[plan.not_one\]"):
        read_plan(text, "plan.json")


def test_a_plan_without_end_is_refused() -> None:
    with pytest.raises(PlanRefused, match=r"\[plan.too_long\]"):
        read_plan(" " * 64_000_001, "plan.json")


def test_files_of_which_nothing_was_said() -> None:
    files = {"customer": "customer.yaml"}
    before = {**DOCUMENTS, "customer.avsc": "1", "old.yaml": ""}
    after = {**DOCUMENTS, "customer.yaml": "# why\nobject: customer\n", "customer.avsc": "2"}

    def told(*said: Change) -> list[str]:
        return [change.words for change in silent_changes(before, after, files, said)]

    assert told() == [
        "customer.avsc reads otherwise, and nothing changes for anybody",
        "customer.yaml reads otherwise, and nothing changes for anybody",
        "old.yaml is gone, and nothing changes for anybody",
    ]
    assert told(CHANGE)[0].startswith("customer.avsc") and len(told(CHANGE)) == 2
    contract = Change(kind=Kind.CONTRACT, object="customer", words="It has a field more.")
    assert told(contract) == ["old.yaml is gone, and nothing changes for anybody"]


def test_a_replay_is_part_of_the_plan_and_grows_old() -> None:
    found = Replay(since_ms=0, made_ms=1000, judged=5, reviewed_before=0, reviewed_after=1, begun=0, flips=())
    plan = replayed(made(), found)
    assert plan.hash != made().hash and read_plan(written(plan), "plan.json") == plan
    fresh(made(), 10**15)
    fresh(plan, 1000 + REPLAY_KEPT_MS)
    with pytest.raises(PlanRefused, match=r"more than a day old \[plan.expired\]"):
        fresh(plan, 1001 + REPLAY_KEPT_MS)
