"""Commands: what a steward decides about a case, and that none lets a value past its owner (I1)."""

from __future__ import annotations

from typing import Any

import pytest

from broker.gate.outgoing import Destination
from tests.gate_parts import Bench, Seen, encoded, money


def bench_with_case() -> tuple[Bench, dict[str, Any]]:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Ada"}))
    seen = bench.see(bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"]))
    (case,) = seen.to(Destination.QUARANTINE)
    return bench, case


def asked(bench: Bench, case: dict[str, Any], **changed: Any) -> Seen:
    command = {
        "command": "ask_owner",
        "case_id": case["case_id"],
        "by": "Ina",
        "note": "please look",
        "system": "erp",
        "fields": ["name"],
        "value": case["value"],
    }
    seen = bench.see(bench.command(command | changed))
    for outgoing, _ in seen.judged.outgoing:
        encoded(outgoing)
    return seen


def test_the_owner_is_asked_and_answers() -> None:
    bench, case = bench_with_case()
    seen = asked(bench, case, fields=["name", "name"])
    (question,) = seen.to(Destination.PROPOSALS)
    assert question["fields"] == [{"field": "name", "current": '"Ada"', "proposed": '"Eve"'}]
    assert (question["by"], question["note"], question["proposer"]) == ("Ina", "please look", "erp")
    (line,) = seen.to(Destination.TRAIL)
    assert (line["kind"], line["result"], line["by"]) == ("proposal_opened", "asked", "Ina")
    assert bench.values()["name"] == "Ada", "a question changes nothing"  # I1
    answer = bench.see(bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    closed = [line for line in answer.to(Destination.TRAIL) if line["kind"] == "proposal_closed"]
    assert [(line["result"], line["case_id"]) for line in closed] == [("accepted", case["case_id"])]


def test_asking_again_opens_nothing() -> None:
    bench, case = bench_with_case()
    asked(bench, case)
    seen = asked(bench, case)
    assert not seen.to(Destination.PROPOSALS)
    assert seen.to(Destination.TRAIL)[0]["kind"] == "command_refused"


@pytest.mark.parametrize(
    "changed",
    [
        {"fields": ["nonsense"]},
        {"fields": []},
        {"value": None},
        {"value": b"\0\0\0\0\x64nonsense"},
        {"case_id": None},
        {"command": "release"},
    ],
)
def test_what_cannot_be_asked_is_refused_in_the_open(changed: dict[str, Any]) -> None:
    bench, case = bench_with_case()
    seen = asked(bench, case, **changed)
    (line,) = seen.to(Destination.TRAIL)
    assert (line["kind"], line["result"]) == ("command_refused", "refused")
    assert seen.before is seen.after


def test_a_record_that_does_not_exist_can_be_asked_about() -> None:
    bench = Bench()
    seen = bench.see(bench.upsert("erp", "x", {"name": "Eve"}, fields=["name"], key="C-9"))
    (case,) = seen.to(Destination.QUARANTINE)
    command = {"command": "ask_owner", "case_id": case["case_id"], "fields": ["name"], "value": case["value"]}
    (question,) = bench.see(bench.command(command, key=b"C-9")).to(Destination.PROPOSALS)
    assert question["fields"][0]["current"] == "null" and question["proposer"] == ""


def test_a_case_is_closed_by_keeping_the_owners_value() -> None:
    bench, case = bench_with_case()
    seen = bench.see(bench.command({"command": "keep", "case_id": case["case_id"], "by": "Ina"}))
    (line,) = seen.to(Destination.TRAIL)
    assert (line["kind"], line["result"], line["note"]) == ("case_closed", "keep", None)
    assert seen.before is seen.after


def test_a_delete_answers_every_question() -> None:
    bench, case = bench_with_case()
    asked(bench, case)
    seen = bench.see(bench.delete("crm", "seq:0:02"))
    closed = [line["result"] for line in seen.to(Destination.TRAIL) if line["kind"] == "proposal_closed"]
    assert closed == ["answered_otherwise"] and not bench.state().memory.proposals


def test_values_are_told_as_people_read_them() -> None:
    bench = Bench()
    bench.judge(bench.upsert("crm", "seq:0:01", {"name": "Zoë"}))
    bench.judge(bench.upsert("erp", "seq:0:01", {"credit_limit": money("1.50")}, fields=["credit_limit"]))
    seen = bench.see(bench.upsert("crm", "seq:0:02", {"name": "Zoë", "credit_limit": money(2)}))
    (case,) = seen.to(Destination.QUARANTINE)
    told = {v["field"]: (v["authoritative"], v["attempted"]) for v in case["verdicts"]}
    assert told["credit_limit"] == ('"1.50"', '"2.00"') and told["name"] == ('"Zoë"', '"Zoë"')
    assert told["phone"] == (None, None)
