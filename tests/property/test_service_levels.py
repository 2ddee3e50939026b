"""The state of a sync against an oracle that knows every single change and works it out the slow way."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.agents.sentences import Names, explain
from broker.agents.service_levels import (
    CONTACT_LOST_MS,
    GATE_SILENT_MS,
    QUIET_AFTER_MS,
    SOON_SHARE,
    STOPPED_FACTOR,
    Evidence,
    Measured,
    SyncState,
    Waiting,
    assess,
)
from broker.console.words import BANNED_PATTERN, SYNC_STATES
from ownership.map import Sla
from schemas.hops import BOUNDS_MS, Sketch
from tests.console_store import sla

NOW = 1_795_000_000_000
MINUTE = 60_000


@dataclass(frozen=True)
class Change:
    """One change of the source: where it is, and when it got there."""

    arrived_ms: int
    judged: bool
    confirmed_ms: int | None
    took_ms: int
    failed: bool


changes = st.builds(
    Change,
    arrived_ms=st.integers(NOW - 40 * MINUTE, NOW),
    judged=st.booleans(),
    confirmed_ms=st.none() | st.integers(NOW - 30 * MINUTE, NOW),
    took_ms=st.integers(-50, 20_000),
    failed=st.booleans(),
).map(lambda c: Change(c.arrived_ms, True, c.confirmed_ms, c.took_ms, c.failed) if c.confirmed_ms else c)

terms = st.builds(
    sla,
    latency_p99_ms=st.sampled_from([500, 3_000, 5_000, 10_000]),
    latency_max_ms=st.sampled_from([10_000, 60_000, 600_000]),
    expect_every_ms=st.none() | st.sampled_from([MINUTE, 15 * MINUTE]),
    alert_above=st.sampled_from([0.0, 0.01, 0.5]),
    window_ms=st.sampled_from([5 * MINUTE, 10 * MINUTE]),
)
since = st.none() | st.integers(0, 2 * GATE_SILENT_MS).map(lambda ago: NOW - ago)
contact = st.none() | st.integers(0, 2 * CONTACT_LOST_MS).map(lambda ago: NOW - ago)


def evidence_of(
    story: list[Change], contact_ms: int | None, gate_seen_ms: int | None, *, known: bool
) -> Evidence:
    """What control would have measured of this story."""
    windows: dict[int, Measured] = {}
    for change in story:
        if change.confirmed_ms is not None:
            minute = change.confirmed_ms // MINUTE * MINUTE
            old = windows.get(minute, Measured(minute, 0, 0, {"end_to_end": Sketch()}))
            new = Measured(minute, old.applied + (not change.failed), old.failed + change.failed, old.hops)
            if not change.failed:
                new.hops["end_to_end"].add(change.took_ms)
            windows[minute] = new
    unjudged = [change.arrived_ms for change in story if not change.judged]
    unconfirmed = [change.arrived_ms for change in story if change.judged and change.confirmed_ms is None]
    confirmed = [change.confirmed_ms for change in story if change.confirmed_ms is not None]
    written = [c.confirmed_ms for c in story if c.confirmed_ms is not None and not c.failed]
    return Evidence(
        now_ms=NOW,
        contact_ms=contact_ms,
        gate_seen_ms=gate_seen_ms,
        before_gate=Waiting(len(unjudged), min(unjudged, default=None)) if known else None,
        after_gate=Waiting(len(unconfirmed), min(unconfirmed, default=None)) if known else None,
        acknowledged_ms=max(confirmed, default=None),
        changed_ms=max(written, default=None),
        latency_ms=40 if written else None,
        arrived_ms=max((change.arrived_ms for change in story if change.judged), default=None),
        windows=list(windows.values()),
    )


def slow_state(
    terms: Sla, story: list[Change], contact_ms: int | None, gate_ms: int | None, *, known: bool
) -> str:
    """The oracle: from the single changes, by the definitions in plain words."""
    unjudged = [NOW - c.arrived_ms for c in story if not c.judged]
    unconfirmed = [NOW - c.arrived_ms for c in story if c.judged and c.confirmed_ms is None]
    confirmations = [c.confirmed_ms for c in story if c.confirmed_ms is not None]
    written = [c.confirmed_ms for c in story if c.confirmed_ms is not None and not c.failed]
    arrivals = [c.arrived_ms for c in story if c.judged]
    recent = [c for c in story if c.confirmed_ms and _minute_end(c.confirmed_ms) > NOW - terms.window_ms]
    slow = _p99([c.took_ms for c in recent if not c.failed])
    failing = sum(c.failed for c in recent) / max(len(recent), 1)
    oldest = max([0, *unjudged, *unconfirmed])
    every = terms.expect_every_ms
    silence = (NOW - max(arrivals)) / every if every and arrivals else 0
    patience = STOPPED_FACTOR * terms.latency_max_ms
    no_contact = not known or contact_ms is None or NOW - contact_ms > CONTACT_LOST_MS
    no_gate = gate_ms is None or NOW - gate_ms > GATE_SILENT_MS
    unheard = NOW - max(confirmations, default=0) > patience
    longest_ago = NOW - max([0, *arrivals, *written])
    definitions = [
        (no_contact, "cannot_tell"),
        (no_gate and unjudged, "stopped"),
        (no_gate, "cannot_tell"),
        (unheard and any(age > patience for age in unconfirmed), "stopped"),
        (not confirmations and oldest == 0, "cannot_tell"),
        (oldest > terms.latency_max_ms, "late"),
        (failing > terms.alert_above, "late"),
        (slow > terms.latency_p99_ms, "late"),
        (silence > 1, "late"),
        (not confirmations, "cannot_tell"),
        (oldest > SOON_SHARE * terms.latency_max_ms, "late_soon"),
        (slow > SOON_SHARE * terms.latency_p99_ms, "late_soon"),
        (silence > SOON_SHARE, "late_soon"),
        (not arrivals, "quiet"),
        (every is None and longest_ago > QUIET_AFTER_MS, "quiet"),
    ]
    return next((state for applies, state in definitions if applies), "up_to_date")


def _minute_end(ms: int) -> int:
    return ms // MINUTE * MINUTE + MINUTE


def _p99(latencies: list[int]) -> int:
    """The smallest figure with 99 of 100 at or below it, as coarse as the buckets are."""
    if not latencies:
        return 0
    ordered = sorted(latencies)
    rank = next(n for n in range(1, len(ordered) + 1) if n >= 0.99 * len(ordered))
    value = ordered[rank - 1]
    place = bisect_left(BOUNDS_MS, value)
    bound = BOUNDS_MS[place] if place < len(BOUNDS_MS) else ordered[-1]
    return min(bound, ordered[-1])


@settings(max_examples=400, deadline=None)
@given(terms, st.lists(changes, max_size=8), contact, since, st.booleans())
def test_the_state_is_what_the_single_changes_say(
    promised: Sla, story: list[Change], contact_ms: int | None, gate_ms: int | None, known: bool
):
    evidence = evidence_of(story, contact_ms, gate_ms, known=known)
    found = assess(promised, evidence)
    assert found.state == slow_state(promised, story, contact_ms, gate_ms, known=known)
    words = explain(Names("customer", "CRM", "ERP", "sales-operations"), promised, evidence, found)
    for text in (words.sentence, words.effect, words.next_step):
        assert text
        assert "{" not in text
        assert not BANNED_PATTERN.search(text), text
    assert found.state in SYNC_STATES


@given(terms, st.lists(changes, max_size=8), contact, since)
def test_no_data_is_never_green(
    promised: Sla, story: list[Change], contact_ms: int | None, gate_ms: int | None
):
    """I9: unknown evidence, a silent gate or a sink that never confirmed is neither up to date nor quiet."""
    good = {SyncState.UP_TO_DATE, SyncState.QUIET, SyncState.LATE_SOON}
    assert assess(promised, evidence_of(story, contact_ms, gate_ms, known=False)).state not in good
    assert assess(promised, evidence_of(story, None, gate_ms, known=True)).state not in good
    assert assess(promised, evidence_of(story, contact_ms, None, known=True)).state not in good
    nothing = evidence_of([], contact_ms, gate_ms, known=True)
    assert assess(promised, nothing).state is SyncState.CANNOT_TELL  # I9
