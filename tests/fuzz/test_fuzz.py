"""Each hostile record has one outcome, is held with its bytes, takes little time and memory, and stops nobody."""

from __future__ import annotations

from typing import Any

import pytest

from broker.gate import change
from broker.gate.outgoing import Destination
from tests.fuzz.run import Report, fuzz, in_parts
from tests.gate_parts import Bench, Record, Seen

pytestmark = pytest.mark.timeout(1800)


def unharmed(report: Report, inputs: int) -> None:
    assert report.faults == []
    assert report.inputs == inputs == sum(report.outcomes.values())
    held = report.outcomes["unreadable"] + report.outcomes["quarantined"]
    assert held > inputs // 2 and report.outcomes["accepted"] > 0, "both kinds were among them"


@pytest.mark.integration
def test_hostile_records() -> None:
    unharmed(fuzz(seed=1, inputs=100_000), 100_000)


@pytest.mark.counterpart
def test_a_million_hostile_records() -> None:
    unharmed(in_parts(seed=100, inputs=1_000_000, parts=2), 1_000_000)


def test_a_few_hostile_records() -> None:
    unharmed(fuzz(seed=3, inputs=1_200), 1_200)


def test_a_seed_gives_the_same_records() -> None:
    assert fuzz(seed=4, inputs=800).outcomes == fuzz(seed=4, inputs=800).outcomes


def test_without_looking_through_them_long_lists_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change.ObjectReader, "walked", lambda *_: None)
    assert [fault for fault in fuzz(seed=5, inputs=4_000).faults if fault.endswith((" ms", " MiB more"))]


def test_what_is_raised_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = change.parse_change

    def moody(headers: Any) -> Any:
        return {}[len(headers)] if len(headers) > 8 else real(headers)

    monkeypatch.setattr(change, "parse_change", moody)
    assert any("NotDecided" in fault for fault in fuzz(seed=6, inputs=400).faults)


def test_bytes_that_are_lost_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Bench.see

    def forgetful(self: Bench, record: Record) -> Seen:
        seen = real(self, record)
        for case in seen.to(Destination.QUARANTINE):
            case["value"] = (case["value"] or b"")[:-1]
        return seen

    monkeypatch.setattr(Bench, "see", forgetful)
    assert any("held without its bytes" in fault for fault in fuzz(seed=7, inputs=400).faults)
