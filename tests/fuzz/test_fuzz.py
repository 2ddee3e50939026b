"""Each hostile record has one outcome, is held with its bytes, takes little time and memory, and stops nobody."""

from __future__ import annotations

from typing import Any

import pytest

from broker.gate import change
from broker.gate.outgoing import Destination
from connectors.adopt import fitting, source
from tests.fuzz.run import Report, fuzz, fuzz_foreign, in_parts
from tests.gate_parts import Bench, Record, Seen

pytestmark = pytest.mark.timeout(1800)


def unharmed(report: Report, inputs: int) -> None:
    assert report.faults == []
    assert report.inputs == inputs == sum(report.outcomes.values())
    held = report.outcomes["unreadable"] + report.outcomes["quarantined"]
    assert held > inputs // 3 and report.outcomes["accepted"] > 0, "both kinds were among them"


@pytest.mark.integration
def test_hostile_records() -> None:
    unharmed(fuzz(seed=1, inputs=80_000), 80_000)
    unharmed(fuzz_foreign(seed=1, inputs=20_000), 20_000)


@pytest.mark.counterpart
def test_a_million_hostile_records() -> None:
    unharmed(in_parts(fuzz, seed=100, inputs=800_000, parts=2), 800_000)
    unharmed(in_parts(fuzz_foreign, seed=100, inputs=200_000, parts=2), 200_000)


def test_a_few_hostile_records() -> None:
    unharmed(fuzz(seed=3, inputs=1_200), 1_200)


def test_a_few_hostile_records_of_foreign_topics() -> None:
    unharmed(fuzz_foreign(seed=3, inputs=3_600), 3_600)


def test_what_does_not_fit_and_what_the_gate_could_read_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fitting._PLAIN, "string", lambda value: value)
    monkeypatch.setattr(source, "_original", lambda record, _: record.value or b"")
    faults = " ".join(fuzz_foreign(seed=8, inputs=3_600).faults)
    assert "it does not fit the contract" in faults and "held as what the gate could read" in faults


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
