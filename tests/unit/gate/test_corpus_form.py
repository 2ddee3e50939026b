"""The decision corpus can fail: a false expectation is reported in words, and what is not understood is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.corpus.compare import KINDS, Difference
from tests.corpus.form import NotUnderstood, read_scenarios
from tests.corpus.play import always, play

TRUE: dict[str, Any] = {
    "outcome": "quarantined",
    "reason": "not_owner",
    "verdicts": {"name": "held not_owner of crm epoch 1"},
    "record": {"name": "Ada"},
    "revision": 2,
    "changed": "none",
    "owners": {"name": "crm"},
    "deleted": False,
    "case": {
        "reason": "not_owner",
        "system": "erp",
        "owner": "crm",
        "kept": "whole",
        "shows": {"name": ["Ada", "Eve"]},
    },
    "refusal": {"to": "erp", "reason": "not_owner", "fields": ["name"]},
    "reasserted": {"erp": ["name"]},
    "asks": "none",
    "answers": "none",
    "waiting": "none",
    "acknowledges": 0,
    "trail": ["reasserted"],
    "results": {},
    "connections": {},
    "grave": False,
    "map_version": 1,
}
"""What is true of the ERP's renaming a customer."""


def text_of(expect: dict[str, Any] | None, **changed: Any) -> str:
    step: dict[str, Any] = {"erp writes C-1": {"name": "Eve"}}
    scenario: dict[str, Any] = {
        "name": "the ERP renames a customer",
        "why": "It is the CRM's.",
        "history": [{"crm creates C-1": {"name": "Ada"}}],
        "then": [step if expect is None else step | {"expect": expect}],
    }
    document = {"about": "One.", "map": "customer", "scenarios": [scenario | changed]}
    return yaml.safe_dump(document, sort_keys=False)


def played(text: str) -> list[Difference]:
    (scenario,) = read_scenarios(text, "one.yaml")
    return play(scenario)[0]


def test_what_is_true_is_not_reported() -> None:
    assert played(text_of(TRUE)) == []


FALSE: list[tuple[str, Any, str, str]] = [
    ("outcome", "refused", "refused", "quarantined"),
    ("reason", "late_owner", "late_owner", "not_owner"),
    ("verdicts", {"name": "refused"}, "{name: {verdict: refused}}", "{name: {verdict: held}}"),
    ("verdicts", {"name": "held late_owner"}, "reason: late_owner", "reason: not_owner"),
    ("verdicts", {"name": "held of erp"}, "owner: erp", "owner: crm"),
    ("verdicts", {"name": "held epoch 2"}, "epoch: 2", "epoch: 1"),
    ("verdicts", {"phone": "accepted"}, "{phone: {verdict: accepted}}", "{phone: {verdict: not judged}}"),
    ("record", {"name": "Eve"}, "{name: Eve}", "{name: Ada}"),
    ("record", {"name": "Ada", "phone": "1"}, "{name: Ada, phone: 1}", "{name: Ada}"),
    ("record", "none", "none", "{name: Ada}"),
    ("revision", 1, "1", "2"),
    ("changed", ["name"], "[name]", "[]"),
    ("owners", {"name": "erp"}, "{name: erp}", "{name: crm}"),
    ("deleted", True, "yes", "no"),
    ("case", "none", "[]", "[{reason: not_owner}]"),
    ("case", "write_war", "[{reason: write_war}]", "[{reason: not_owner}]"),
    (
        "case",
        ["not_owner", "write_war"],
        "[{reason: not_owner}, {reason: write_war}]",
        "[{reason: not_owner}, none]",
    ),
    ("case", {"system": "crm"}, "[{system: crm}]", "[{system: erp}]"),
    ("case", {"owner": "erp"}, "[{owner: erp}]", "[{owner: crm}]"),
    ("case", {"kept": "by reference"}, "[{kept: by reference}]", "[{kept: whole}]"),
    (
        "case",
        {"shows": {"name": ["Ada", "Eva"]}},
        "[{shows: {name: [Ada, Eva]}}]",
        "[{shows: {name: [Ada, Eve]}}]",
    ),
    ("refusal", "none", "none", "[{to: erp, reason: not_owner}]"),
    ("refusal", {"to": "crm"}, "to: crm", "to: erp"),
    ("refusal", {"reason": "stale"}, "reason: stale", "reason: not_owner"),
    ("refusal", {"fields": ["phone"]}, "fields: [phone]", "fields: [name]"),
    ("refusal", {"rule": "No."}, "rule: No.", "rule: crm is the system of record of customer name."),
    ("reasserted", "none", "{}", "{erp: [name]}"),
    ("reasserted", {"erp": ["name", "phone"]}, "{erp: [name, phone]}", "{erp: [name]}"),
    ("asks", {"crm": {"name": "Eve"}}, "{crm: {name: Eve}}", "{}"),
    ("answers", ["name accepted"], "[name accepted]", "[]"),
    ("waiting", {"erp": {"name": "Eve"}}, "{erp: {name: Eve}}", "{}"),
    ("acknowledges", 1, "1", "0"),
    ("trail", ["echo"], "[echo]", "[reasserted]"),
    ("results", {"reasserted": "accepted"}, "{reasserted: accepted}", "{reasserted: nothing}"),
    ("connections", {"erp": {"paused": True}}, "{erp: {paused: yes}}", "{}"),
    ("grave", True, "yes", "no"),
    ("map_version", 2, "2", "1"),
]


@pytest.mark.parametrize(("kind", "told", "expected", "seen"), FALSE)
def test_a_false_expectation_is_reported(kind: str, told: Any, expected: str, seen: str) -> None:
    (found,) = played(text_of(TRUE | {kind: told}))
    said = str(found)
    assert said.startswith("one.yaml:4: the ERP renames a customer\n  step 2: erp writes C-1\n  ")
    head, _, tail = said.partition(", seen ")
    assert f"\n  {kind}: expected " in head and expected in head, said
    assert seen in tail, said


def test_every_kind_of_expectation_is_falsified() -> None:
    assert {kind for kind, *_ in FALSE} == set(KINDS) == set(TRUE)


@pytest.mark.parametrize("kind", ["case", "refusal", "reasserted"])
def test_an_effect_that_is_not_said_is_reported(kind: str) -> None:
    expect = {name: told for name, told in TRUE.items() if name != kind}
    assert [found.kind for found in played(text_of(expect))] == [kind]


@pytest.mark.parametrize(
    ("step", "kinds"),
    [
        ({"crm writes C-1": {"name": "Eve"}}, ["record"]),
        ({"crm deletes C-1": None}, ["record", "deleted"]),
        ({"shop writes C-1": {"name": "Eve"}}, ["reasserted", "asks"]),
    ],
)
def test_a_change_that_is_not_said_is_reported(step: dict[str, Any], kinds: list[str]) -> None:
    then = [step | {"expect": {"revision": 2}}]
    assert [found.kind for found in played(text_of(None, then=then))] == kinds


def test_a_step_of_the_history_that_is_not_accepted_is_reported() -> None:
    history = [{"crm creates C-1": {"name": "Ada"}}, {"erp writes C-1": {"name": "Eva"}}]
    then = [{"tick": None, "expect": {"outcome": "none"}}]
    (found,) = played(text_of(None, history=history, then=then))
    assert "step 2: erp writes C-1" in str(found) and "seen quarantined (not_owner)" in str(found)


def test_what_holds_always_is_looked_at() -> None:
    (scenario,) = read_scenarios(text_of(TRUE), "one.yaml")
    one = play(scenario)[1][-1]
    assert one.decision is not None and list(always(one)) == []
    counted = replace(one, judged=replace(one.judged, account=one.judged.account + one.judged.account))
    other = replace(one, decision=one.decision._replace(reason=None))
    later = replace(one, after=one.after._replace(revision=9))
    kinds = [[kind for kind, _, _ in always(wrong)] for wrong in (counted, later, other)]
    assert kinds == [
        ["outcomes that the account counts"],
        ["revisions"],
        ["judged again from the same facts"],
    ]


# --- what is not understood


SAID = {"outcome": "echo"}
ERP = {"erp writes C-1": {"name": "Eve"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            text_of(SAID, maps={}),
            "the ERP renames a customer: maps: is no word of a scenario; mend its spelling",
        ),
        (text_of(SAID, then=[]), "then: List should have at least 1 item"),
        (
            text_of(SAID | {"outcom": "echo"}),
            "step 2: expect.outcom: is no word of a scenario; mend its spelling",
        ),
        (text_of({"outcome": "held"}), "`held` is none of none, unreadable, duplicate"),
        (text_of({"reason": "theft"}), "`theft` is none of none, too_large"),
        (text_of({"verdicts": {"name": "held by crm"}}), "`by` is none of"),
        (
            text_of({"verdicts": {"name": "held of crm since 2"}}),
            "is not read: write a verdict, then a reason",
        ),
        (text_of({"case": {"sistem": "erp"}}), "is no word of a scenario"),
        (text_of(None), "step 2: says not what is expected; add `expect`, or move it to `history`"),
        (text_of(None, then=[{"wait": "2h", "expect": SAID}]), "nothing is judged here; put `expect` under"),
        (text_of(None, then=[["tick"]]), "step 2: ['tick'] is no step; write `crm creates C-1: {name: Ada}`"),
        (text_of(None, then=[{"wait": "two hours"}]), "a duration is a whole number and ms, s, m, h or d"),
        (text_of(None, then=[{"erp renames C-1": {}}]), "`erp renames C-1` is no sentence of a scenario"),
        (
            text_of(None, then=[ERP | {"crm deletes C-1": None}]),
            "a step is one sentence, and beside it about",
        ),
        (
            text_of(None, then=[{"tick": None, "version": 3}]),
            "`version` does not belong to `tick`; take it away",
        ),
        (
            text_of(None, then=[{"erp writes C-1": "Eve"}]),
            "behind `erp writes C-1:` stands {field: value}, not 'Eve'",
        ),
        (text_of(SAID) + "about: Two.\n", "`about` is written twice"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        read_scenarios(text, "one.yaml")
    assert "one.yaml" in str(refused.value) and said in str(refused.value), refused.value


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"map": "customers"}, "the map: "),
        ({"map": {"fields": {"name": {"owner": "erp"}}}}, "map.extra_forbidden"),
        ({"then": [ERP | {"expect": SAID, "wrong": "cut"}]}, "`wrong: cut` is not known; there is too large"),
        (
            {"then": [ERP | {"expect": SAID, "version": "late"}]},
            "a version is a number, `time 10:05`, or `any`",
        ),
        ({"then": [ERP | {"expect": SAID, "appended": "2h"}]}, "a moment is said as `start + 2h`, not `2h`"),
        ({"then": [{"erp writes C-1": {"phone": 12}, "expect": SAID}]}, "phone is a text: put it in quotes"),
        (
            {"then": [{"crm sends it again": None, "expect": SAID}]},
            "no step is called `it`; write `called: it`",
        ),
        ({"then": [{"a steward redrives the write": None, "expect": SAID}]}, "there is no case that"),
    ],
)
def test_what_cannot_be_played_is_refused(changed: dict[str, Any], said: str) -> None:
    (scenario,) = read_scenarios(text_of(SAID, **changed), "one.yaml")
    with pytest.raises(NotUnderstood) as refused:
        play(scenario)
    assert "one.yaml:4: the ERP renames a customer: " in str(refused.value) and said in str(refused.value)
