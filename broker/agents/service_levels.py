"""What state a sync is in, measured against its promise, and the sentence that says so.

Pure: evidence in, state out; no clock, no store, no Kafka. No data is never green (I9): what is not known
leads to *cannot tell*. A sync is one object on its way from one system to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from schemas.hops import HOPS, Sketch

GATE_SILENT_MS = 150_000
"""Ticks make the gate commit once a minute; after two and a half of them without a commit it is not
running.
"""
QUIET_AFTER_MS = 900_000
"""Without a change for this long a healthy sync is called quiet, where no rhythm was promised."""
SOON_SHARE = 0.8
"""From this share of a promise on, a sync is late soon."""
STOPPED_FACTOR = 5
"""Nothing confirmed for this many times the longest promised time, while something waits: stopped, not
late.
"""
CONTACT_LOST_MS = 5_000
"""Kafka unreachable for longer than this: what we knew is no longer knowledge."""


class SyncState(StrEnum):
    """The six states, worst last."""

    UP_TO_DATE = "up_to_date"
    QUIET = "quiet"
    LATE_SOON = "late_soon"
    LATE = "late"
    STOPPED = "stopped"
    CANNOT_TELL = "cannot_tell"


class Cause(StrEnum):
    """Why a sync is in its state."""

    ON_TIME = "on_time"
    NOTHING_NEW = "nothing_new"
    WAITING_SOON = "waiting_soon"
    SLOW_SOON = "slow_soon"
    SILENT_SOON = "silent_soon"
    WAITING = "waiting"
    SLOW = "slow"
    FAILING = "failing"
    SILENT = "silent"
    SINK_STOPPED = "sink_stopped"
    GATE_STOPPED = "gate_stopped"
    CONTACT_LOST = "contact_lost"
    GATE_SILENT = "gate_silent"
    NEVER_CONFIRMED = "never_confirmed"


class SlaTerms(Protocol):
    """What this module needs of a promise; `ownership.map.Sla` is one. Times in ms."""

    @property
    def source(self) -> str: ...
    @property
    def sink(self) -> str: ...
    @property
    def latency_p99_ms(self) -> int: ...
    @property
    def latency_max_ms(self) -> int: ...
    @property
    def expect_every_ms(self) -> int | None: ...
    @property
    def alert_above(self) -> float: ...
    @property
    def window_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Changes that are in the log and not yet through: how many at most, and since when the oldest waits."""

    count: int = 0
    oldest_ms: int | None = None

    def age_ms(self, now_ms: int) -> int:
        """How long the oldest has waited; 0 = nothing waits."""
        return 0 if self.oldest_ms is None else max(now_ms - self.oldest_ms, 0)


@dataclass(frozen=True, slots=True)
class Measured:
    """One minute of a sink."""

    minute_ms: int
    applied: int
    failed: int
    hops: dict[str, Sketch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known about a sync at one moment. None = not known. Times in ms by the broker's clock."""

    now_ms: int
    contact_ms: int | None
    """When Kafka last answered."""
    gate_seen_ms: int | None
    """When every slot of the gate had last committed (the slowest one)."""
    before_gate: Waiting | None
    """The source's changes that the gate has not judged."""
    after_gate: Waiting | None
    """Authoritative records that the sink has not confirmed."""
    acknowledged_ms: int | None
    """Last acknowledgement of the sink."""
    changed_ms: int | None
    """Last acknowledgement in which a change was really written."""
    latency_ms: int | None
    """End to end, of that change."""
    arrived_ms: int | None
    """When the gate last judged a change of the source."""
    windows: Sequence[Measured] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """State and cause, with the figures that led there."""

    state: SyncState
    cause: Cause
    hops: dict[str, Sketch]
    applied: int
    failed: int
    waiting: int
    waiting_ms: int

    @property
    def p99_ms(self) -> int | None:
        """End to end, in the window of the promise."""
        return self.hops["end_to_end"].quantile_ms(0.99)


def assess(sla: SlaTerms, evidence: Evidence) -> Assessment:
    """The state of a sync. First what makes knowledge impossible, then the worst that is known."""
    hops = {hop: Sketch() for hop in HOPS}
    applied = failed = 0
    for window in evidence.windows:
        if window.minute_ms + 60_000 > evidence.now_ms - sla.window_ms:
            applied, failed = applied + window.applied, failed + window.failed
            for hop, sketch in window.hops.items():
                hops.setdefault(hop, Sketch()).merge(sketch)
    known = [waiting for waiting in (evidence.before_gate, evidence.after_gate) if waiting is not None]
    waiting_ms = max((waiting.age_ms(evidence.now_ms) for waiting in known), default=0)
    count = sum(waiting.count for waiting in known)
    state, cause = (
        _unknown(evidence)
        or _standstill(sla, evidence, waiting_ms)
        or _known(
            sla, evidence, waiting_ms, hops["end_to_end"].quantile_ms(0.99), failed / max(applied + failed, 1)
        )
    )
    return Assessment(state, cause, hops, applied, failed, count, waiting_ms)


Verdict = tuple[SyncState, Cause]


def _unknown(evidence: Evidence) -> Verdict | None:
    """I9: what is not known is never green."""
    lost = evidence.contact_ms is None or evidence.now_ms - evidence.contact_ms > CONTACT_LOST_MS
    if lost or evidence.before_gate is None or evidence.after_gate is None:
        return SyncState.CANNOT_TELL, Cause.CONTACT_LOST
    return None


def _standstill(sla: SlaTerms, evidence: Evidence, waiting_ms: int) -> Verdict | None:
    assert evidence.before_gate is not None
    assert evidence.after_gate is not None
    seen = evidence.gate_seen_ms
    if seen is None or evidence.now_ms - seen > GATE_SILENT_MS:
        if evidence.before_gate.oldest_ms is not None:
            return SyncState.STOPPED, Cause.GATE_STOPPED
        return SyncState.CANNOT_TELL, Cause.GATE_SILENT
    patience_ms = STOPPED_FACTOR * sla.latency_max_ms
    confirmed_ms = evidence.acknowledged_ms or 0
    unconfirmed_ms = evidence.after_gate.age_ms(evidence.now_ms)
    if unconfirmed_ms > patience_ms and evidence.now_ms - confirmed_ms > patience_ms:
        return SyncState.STOPPED, Cause.SINK_STOPPED
    if evidence.acknowledged_ms is None and waiting_ms == 0:
        return SyncState.CANNOT_TELL, Cause.NEVER_CONFIRMED
    return None


def _known(sla: SlaTerms, evidence: Evidence, waiting_ms: int, p99_ms: int | None, failing: float) -> Verdict:
    silent_ms = None if evidence.arrived_ms is None else evidence.now_ms - evidence.arrived_ms
    every_ms = sla.expect_every_ms
    silence = 0.0 if every_ms is None or silent_ms is None else silent_ms / every_ms
    slowness = (p99_ms or 0) / sla.latency_p99_ms
    lateness = waiting_ms / sla.latency_max_ms
    rules = (
        (lateness > 1, SyncState.LATE, Cause.WAITING),
        (failing > sla.alert_above, SyncState.LATE, Cause.FAILING),
        (slowness > 1, SyncState.LATE, Cause.SLOW),
        (silence > 1, SyncState.LATE, Cause.SILENT),
        (evidence.acknowledged_ms is None, SyncState.CANNOT_TELL, Cause.NEVER_CONFIRMED),
        (lateness > SOON_SHARE, SyncState.LATE_SOON, Cause.WAITING_SOON),
        (slowness > SOON_SHARE, SyncState.LATE_SOON, Cause.SLOW_SOON),
        (silence > SOON_SHARE, SyncState.LATE_SOON, Cause.SILENT_SOON),
        (evidence.arrived_ms is None, SyncState.QUIET, Cause.NOTHING_NEW),
        (every_ms is None and _quiet(evidence), SyncState.QUIET, Cause.NOTHING_NEW),
    )
    for applies, state, cause in rules:
        if applies:
            return state, cause
    return SyncState.UP_TO_DATE, Cause.ON_TIME


def _quiet(evidence: Evidence) -> bool:
    last_ms = max(evidence.arrived_ms or 0, evidence.changed_ms or 0)
    return evidence.now_ms - last_ms > QUIET_AFTER_MS
