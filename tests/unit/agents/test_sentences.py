"""The sentences, word for word: they are the product."""

from __future__ import annotations

import pytest

from broker.agents.sentences import Names, duration, explain
from broker.agents.service_levels import Evidence, Measured, SyncState, Waiting, assess
from broker.console import words
from broker.gate.reason import BY_CODE
from tests.console_store import sketches, sla

NOW = 1_795_000_000_000
NAMES = Names("customer", "crm", "erp", "sales-operations")
FINE = {
    "now_ms": NOW,
    "contact_ms": NOW,
    "gate_seen_ms": NOW - 1_000,
    "before_gate": Waiting(),
    "after_gate": Waiting(),
    "acknowledged_ms": NOW - 9_000,
    "changed_ms": NOW - 9_000,
    "latency_ms": 400,
    "arrived_ms": NOW - 9_000,
}


@pytest.mark.parametrize(
    ("changed", "terms", "state", "sentence"),
    [
        (
            {},
            {},
            "up_to_date",
            (
                "Customer records are up to date: the last change from crm reached erp 0.4 seconds after it was made "
                "(promised: within 5 seconds)."
            ),
        ),
        (
            {"latency_ms": None},
            {},
            "up_to_date",
            (
                "Customer records are up to date: erp has confirmed everything that was sent to it "
                "(promised: within 5 seconds)."
            ),
        ),
        (
            {"arrived_ms": NOW - 1_320_000, "changed_ms": NOW - 1_320_000},
            {},
            "quiet",
            (
                "Customer records are quiet, and everything that was sent has arrived: nothing has come from crm for "
                "22 minutes."
            ),
        ),
        (
            {"after_gate": Waiting(2, NOW - 50_000)},
            {},
            "late_soon",
            (
                "Customer records will be late soon: a change from crm has waited 50 seconds for erp (promised: never "
                "longer than 1 minute)."
            ),
        ),
        (
            {"arrived_ms": NOW - 47 * 60_000},
            {"expect_every_ms": 900_000},
            "late",
            (
                "Customer records are late: nothing has come from crm for 47 minutes; something is expected every 15 "
                "minutes."
            ),
        ),
        (
            {"windows": [Measured(NOW - 60_000, 20, 5)]},
            {},
            "late",
            "Customer records are late: erp did not take 5 of the last 25 updates.",
        ),
        (
            {"after_gate": Waiting(2, NOW - 400_000), "acknowledged_ms": NOW - 420_000},
            {},
            "stopped",
            "Customer records have stopped: erp has confirmed nothing for 7 minutes, and changes are waiting for it.",
        ),
        (
            {"contact_ms": NOW - 120_000, "before_gate": None, "after_gate": None},
            {},
            "cannot_tell",
            (
                "We cannot tell whether customer records are up to date: we lost contact with the event log 2 minutes "
                "ago."
            ),
        ),
        (
            {"acknowledged_ms": None, "changed_ms": None, "latency_ms": None},
            {},
            "cannot_tell",
            "We cannot tell whether customer records are up to date: erp has not confirmed anything yet.",
        ),
    ],
)
def test_a_state_is_said_in_these_words(changed: dict, terms: dict, state: str, sentence: str):  # type: ignore[type-arg]
    evidence, promised = Evidence(**(FINE | changed)), sla(**terms)
    found = assess(promised, evidence)
    assert (found.state, explain(NAMES, promised, evidence, found).sentence) == (state, sentence)


def test_a_slow_sync_is_late_although_everything_arrived():
    evidence = Evidence(**FINE, windows=[Measured(NOW - 60_000, 40, 0, sketches())])
    assert assess(sla(latency_p99_ms=500), evidence).state is SyncState.LATE
    assert assess(sla(latency_p99_ms=5_000), evidence).state is SyncState.UP_TO_DATE


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (40, "less than 0.1 seconds"),
        (400, "0.4 seconds"),
        (1_000, "1 second"),
        (5_000, "5 seconds"),
        (59_400, "59 seconds"),
        (60_000, "1 minute"),
        (7_200_000, "2 hours"),
        (86_400_000, "1 day"),
    ],
)
def test_durations_are_no_finer_than_they_matter(ms: int, text: str):
    assert duration(ms) == text


def test_every_reason_has_words_that_operations_use():
    for code, reason in BY_CODE.items():
        found = words.reason_words(code)
        assert (found.sentence, found.what_to_do) == (reason.sentence, reason.what_to_do)
        assert not words.BANNED_PATTERN.search(f"{found.sentence} {found.what_to_do}"), code
    assert "brand_new" in words.reason_words("brand_new").sentence
