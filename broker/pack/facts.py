"""What a review pack holds: facts only, no sentence. Times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from ownership.map import Sla
from ownership.reviews import ReviewDue

DAY_MS = 86_400_000
BOUNDS_MS = (DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
"""Between the bands of the open cases' ages: under 1 day, 1 to 7 days, 7 to 30 days, older."""


@dataclass(frozen=True, slots=True)
class FieldOwner:
    """Who owns a field, in words: `crm until 2026-12-01 00:00 UTC, then erp`."""

    field: str
    words: str


@dataclass(frozen=True, slots=True)
class MapChange:
    """One change of the map about an object."""

    at_ms: int
    by: str
    words: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """How many writes of a system were held for a reason, in the period."""

    system: str
    reason: str
    """Code of `broker.gate.reason`."""
    count: int


@dataclass(frozen=True, slots=True)
class PackWaiver:
    """Somebody answers for something that is missing, until it expires."""

    what: str
    owner: str
    reason: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a sink confirmed of an object in the period, from whatever source it came."""

    since_ms: int
    """The first minute of the period in which anything was measured."""
    applied: int
    failed: int
    p99_ms: int | None
    """End to end; None = no change was really written, so no time was taken."""
    max_ms: int | None

    @property
    def failed_share(self) -> float:
        """Share of updates that the sink did not take, 0 to 1; 0 where there was none to take."""
        return self.failed / max(self.applied + self.failed, 1)


@dataclass(frozen=True, slots=True)
class PackConnection:
    """A promise, and what was measured of it."""

    sla: Sla
    measured: Measured | None
    """None = nothing was measured in the period."""
    ever: int
    """Updates that the sink ever confirmed, also before the period."""

    @property
    def name(self) -> str:
        """`crm -> erp`."""
        return f"{self.sla.source} -> {self.sla.sink}"

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept; None = that was not measured (I9)."""
        found = self.measured
        if found is None:
            return None
        if found.failed_share > self.sla.alert_above:
            return False
        if found.p99_ms is None or found.max_ms is None:
            return None
        return found.p99_ms <= self.sla.latency_p99_ms and found.max_ms <= self.sla.latency_max_ms


@dataclass(frozen=True, slots=True)
class Ages:
    """Open cases by age when the pack was made."""

    counts: tuple[int, ...] = (0, 0, 0, 0)
    """In the bands between `BOUNDS_MS`, youngest first."""
    oldest_ms: int | None = None
    """When the one that waits longest was received; None = none is open."""

    @property
    def overdue(self) -> int:
        """How many are older than seven days."""
        return sum(self.counts[2:])


@dataclass(frozen=True, slots=True)
class PackObject:
    """One object of the team."""

    name: str
    description: str
    owners: tuple[FieldOwner, ...]
    review: ReviewDue | None
    """None = not known."""
    changes: tuple[MapChange, ...]
    conflicts: tuple[Conflict, ...]
    waivers: tuple[PackWaiver, ...]
    orphans: tuple[str, ...]
    """Fields of the contract that nobody owned when the pack was made."""
    connections: tuple[PackConnection, ...]
    ages: Ages


@dataclass(frozen=True, slots=True)
class Pack:
    """One team's quarter."""

    team: str
    contact: str
    from_ms: int
    to_ms: int
    """The period ends before this moment."""
    made_ms: int
    map_version: int
    judged: int
    """Changes of any object that the gate judged in the period; 0 = held writes were not looked for either (I9)."""
    objects: tuple[PackObject, ...]
