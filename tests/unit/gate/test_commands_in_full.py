"""Commands in full: the state that is left and every record that is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.gate.commands import ATTEMPTS_MAX, judge_command, redriven
from broker.gate.connections import (
    AS_MADE,
    CONNECTIONS_KEY,
    Connection,
    connections_of,
    connections_record,
    ordered,
)
from broker.gate.memory import memory_record
from broker.gate.outgoing import Destination, Outgoing
from broker.gate.state import Memory, OpenProposal
from tests.decided import WEEK_MS, bench_of, with_ada
from tests.gate_parts import money
from tests.ordered import GATE_MS, command, context, eve, line

# -- a steward's


def test_a_case_is_kept_and_other_words_are_refused() -> None:
    bench = with_ada(bench_of())
    state, order = bench.state(), command(eve(bench))
    for word, kind, result in (("keep", "case_closed", "keep"), ("release", "command_refused", "refused")):
        after, records = judge_command(context(bench), state, order | {"command": word})
        assert after is state and records == [line(kind, result)]
    nobody = order | {"command": "keep", "system": None, "note": ""}
    assert judge_command(context(bench), state, nobody)[1] == [
        line("case_closed", "keep", system="", note=None)
    ]


def test_a_question_put_by_a_steward_in_full() -> None:
    bench = with_ada(bench_of())
    record, state = eve(bench), bench.state()
    after, records = judge_command(context(bench), state, command(record, command="ask_owner"))
    question = OpenProposal(
        proposal_id="Q-1.name",
        case_id="Q-1",
        field="name",
        owner="crm",
        value=record.value or b"",
        opened_ms=GATE_MS,
        expires_ms=GATE_MS + WEEK_MS,
    )
    assert after == state._replace(memory=Memory(proposals=(question,)))
    body = {
        "proposal_id": "Q-1.name",
        "object": "customer",
        "key": b"C-1",
        "proposer": "erp",
        "by": "Ina",
        "note": "look",
        "fields": [{"field": "name", "current": '"Ada"', "proposed": '"Eve"'}],
        "case_id": "Q-1",
        "opened_ms": GATE_MS,
        "expires_ms": GATE_MS + WEEK_MS,
    }
    assert records == [
        Outgoing(Destination.PROPOSALS, b"C-1", body, target="crm"),
        Outgoing(Destination.STATE, b"C-1", memory_record(after.memory), target="customer"),
        line("proposal_opened", "asked"),
    ]
    again, records = judge_command(context(bench), after, command(record, command="ask_owner"))
    assert again is after and records == [line("command_refused", "refused")]
    more, records = judge_command(
        context(bench), after, command(record, command="ask_owner", fields=["name", "email", "nonsense"])
    )
    assert [q.field for q in more.memory.proposals] == ["name", "email"]
    other, _ = judge_command(context(bench), after, command(record, command="ask_owner", case_id="Q-2"))
    assert [q.proposal_id for q in other.memory.proposals] == ["Q-1.name", "Q-2.name"]
    broken, records = judge_command(
        context(bench), state, command(record, command="ask_owner", value=b"\0\0\0\0\x64x")
    )
    assert broken is state and records == [line("command_refused", "refused")]


@pytest.mark.parametrize("changed", [{"value": None}, {"case_id": None}, {"case_id": ""}])
def test_what_cannot_be_asked_or_driven_is_refused(changed: dict[str, Any]) -> None:
    bench = with_ada(bench_of())
    state, order = bench.state(), command(eve(bench)) | changed
    after, records = judge_command(context(bench), state, order | {"command": "ask_owner"})
    assert after is state and records == [line("command_refused", "refused", case_id=order["case_id"])]
    if "case_id" in changed:
        after, records = judge_command(context(bench), state, order)
        assert after is state and records == [line("command_refused", "refused", case_id=order["case_id"])]


# -- judged again


@pytest.mark.parametrize(("attempt", "judged"), [(0, False), (1, True), (ATTEMPTS_MAX, True), (6, False)])
def test_a_case_is_judged_again_five_times(attempt: int, *, judged: bool) -> None:
    bench = with_ada(bench_of())
    _, records = judge_command(context(bench), bench.state(), command(eve(bench), attempt=attempt))
    kind, result = ("redriven", "quarantined") if judged else ("command_refused", "refused")
    assert records == [line(kind, result)]


def test_held_again_it_leaves_nothing_but_a_line() -> None:
    bench = with_ada(bench_of())
    record = eve(bench)
    bench.judge(record)
    state = bench.state()
    after, records = judge_command(context(bench), state, command(record))
    assert after is state and records == [line("redriven", "quarantined")]


def test_judged_again_and_accepted() -> None:
    bench = with_ada(bench_of())
    record = eve(bench)
    bench.judge(record)
    state = bench.state()
    owners = bench.rules.ownership_map.objects["customer"].owners
    entry = replace(bench.rules.ownership_map.objects["customer"], owners={**owners, "name": "erp"})
    after, records = judge_command(context(bench, entry=entry), state, command(record))
    assert records[-2:] == [line("redriven", "accepted"), line("case_closed", "redriven")]
    assert after.revision == state.revision + 1 and after.last_write("name") == ("erp", "x")
    headers = dict(records[0].headers)
    assert headers["ce_decision"] == b"7:%d" % GATE_MS, "judged with today's time"
    assert headers["ce_causationid"] == b"erp/x"
    same, records = judge_command(context(bench, entry=entry), after, command(record))
    closing = [line("redriven", "duplicate"), line("case_closed", "overtaken")]
    assert same is after and records == closing


@pytest.mark.parametrize(("event", "name", "result"), [("seq:0:01", "Eve", "stale"), ("x", "Ada", "echo")])
def test_judged_again_and_overtaken(event: str, name: str, result: str) -> None:
    bench = with_ada(bench_of())
    system = "crm" if result == "stale" else "erp"
    record = bench.upsert(system, event, {"name": name}, fields=["name"])
    after, records = judge_command(context(bench), bench.state(), command(record))
    assert after is bench.state()
    assert records == [
        line("redriven", result, system=system),
        line("case_closed", "overtaken", system=system),
    ]


def test_judged_again_and_partly_accepted_the_case_stays_open() -> None:
    bench = with_ada(bench_of())
    fields = ["name", "credit_limit"]
    record = bench.upsert("erp", "x", {"name": "Eve", "credit_limit": money(1)}, fields=fields)
    _, records = judge_command(context(bench), bench.state(), command(record))
    assert records[-1] == line("redriven", "partly_accepted")
    assert {r.destination for r in records} == {
        Destination.AUTHORITATIVE,
        Destination.STATE,
        Destination.TRAIL,
    }, "no second case, no second refusal"


def test_a_count_that_nobody_confirmed_is_not_judged_again_either() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("crm", "seq:1:01", {"name": "Eve"}, fields=["name"])
    _, records = judge_command(context(bench), bench.state(), command(record))
    assert records == [line("redriven", "quarantined", system="crm")]
    told = context(bench, connections={"crm": Connection(incarnation=1)})
    assert judge_command(told, bench.state(), command(record))[0].revision == 2


# -- orders


def test_orders_and_how_they_are_kept() -> None:
    order = {"command": "source_reset", "system": "crm", "by": "ada", "note": "n", "incarnation": 2}
    after = ordered({"erp": AS_MADE}, order, 5)
    assert after == {"erp": AS_MADE, "crm": Connection(incarnation=2, by="ada", note="n", since_ms=5)}
    assert ordered(after, order, 6) is None and ordered(after, order | {"incarnation": 1}, 6) is None
    paused = ordered(after, order | {"command": "pause", "incarnation": 9}, 6)
    assert paused is not None and paused["crm"] == Connection(True, 2, "ada", "n", 6)
    resumed = ordered(paused, order | {"command": "resume", "by": "bob", "note": "m"}, 8)
    assert resumed is not None and resumed["crm"] == Connection(False, 2, "bob", "m", 8)
    for nobody in (None, ""):
        assert ordered({}, order | {"system": nobody}, 5) is None
    record = connections_record(paused)
    assert [row["system"] for row in record["connections"]] == ["crm", "erp"] and record["held"] == {}
    assert record["connections"][0] == {
        "system": "crm",
        "paused": True,
        "incarnation": 2,
        "by": "ada",
        "note": "n",
        "since_ms": 6,
    }
    assert connections_of(record) == paused and connections_of({}) == {}
    assert CONNECTIONS_KEY == b"\xff"


def test_an_order_is_kept_under_a_key_that_no_record_has_and_told() -> None:
    bench = bench_of()
    for word, kind in (("pause", "paused"), ("resume", "resumed"), ("source_reset", "source_reset")):
        order = {"command": word, "system": "crm", "incarnation": 1, "by": "ada"}
        kept, told = bench.see(bench.command(order, key=b"")).judged.outgoing
        assert kept[0].key == told[0].key == b"\xff" and isinstance(told[0].body, dict)
        assert told[0].body["kind"] == kind


def test_a_count_that_nobody_confirmed_is_told_with_both_numbers() -> None:
    bench = with_ada(bench_of())
    record = bench.upsert("crm", "seq:3:01", {"name": "Eve"}, fields=["name"])
    (case,) = bench.see(record).to(Destination.QUARANTINE)
    assert case["detail"] == "incarnation 3, recorded is 0"


def test_what_is_judged_again_is_told_where_it_stood() -> None:
    bench = with_ada(bench_of())
    fields = ["name", "credit_limit"]
    record = bench.upsert("erp", "x", {"name": "Eve", "credit_limit": money(1)}, fields=fields)
    _, records = judge_command(
        context(bench), bench.state(), command(record, topic="t", partition=4, offset=6)
    )
    again, *_ = (r.body for r in records if r.destination is Destination.TRAIL)
    assert isinstance(again, dict) and again["kind"] == "reasserted"
    assert (again["topic"], again["partition"], again["offset"]) == ("t", 4, 6)
    assert again["gate_time_ms"] == again["received_ms"] == GATE_MS
    nobody = command(record, system=None, headers=dict(record.headers) | {"ce_source": b"/"})
    _, (line_of_nobody,) = judge_command(context(bench), bench.state(), nobody)
    assert line_of_nobody.body["system"] == "" and line_of_nobody.body["result"] == "quarantined"  # type: ignore[index]


def test_what_nobody_wrote_is_judged_again_as_nobodys() -> None:
    bench = with_ada(bench_of())
    change = redriven(context(bench), command(eve(bench), system=None))
    assert (change.system, change.key, change.object) == ("", b"C-1", "customer")
    assert change.fault is not None
