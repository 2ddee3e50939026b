"""Judging the log again finds what was recorded otherwise, and says when it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from broker.lane.rejudge import rejudge
from tests.gate_parts import Bench


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.judge(
        bench.upsert("crm", "seq:0:01", {"name": "Ada"}), bench.upsert("erp", "time:0:1", {"name": "Eve"})
    )
    bench.judge(bench.tick())
    bench.judge(bench.upsert("crm", "seq:0:02", {"name": "Eve"}))
    return bench


def found(bench: Bench, ledger: Any = None, log: Any = None, maps: Any = None) -> list[str]:
    inputs: dict[str, dict[int, Any]] = {}
    for record in bench.log if log is None else log:
        inputs.setdefault(f"{record.topic}/{record.partition}", {})[record.offset] = record
    rules = {1: bench.rules} if maps is None else maps
    return [
        f"{fault.sequence}: {fault.detail}"
        for fault in rejudge(ledger or bench.ledger, inputs, rules, {"customer": 1}, 0)
    ]


def test_what_was_recorded_comes_out_again(bench: Bench) -> None:
    assert found(bench) == []


def test_another_decision_is_found(bench: Bench) -> None:
    last = bench.ledger[-1]
    edited = [*bench.ledger[:-1], last | {"account": {"quarantined": 1}}]
    assert found(bench, edited) == ["3: judged again, it comes out otherwise: account"]
    bench.log[-1].value = bench.log[0].value
    assert found(bench) == ["3: judged again, it comes out otherwise: account, revisions, decisions_digest"]


def test_what_is_no_longer_in_the_log_cannot_be_judged(bench: Bench) -> None:
    assert found(bench, log=bench.log[1:]) == [
        "1: cannot be judged again: its changes are no longer in the log"
    ]
    assert found(bench, maps={2: bench.rules}) == [
        "1: cannot be judged again: map version 1 is no longer in the log"
    ]
