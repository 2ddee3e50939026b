"""What needs a team's attention, the most urgent first: one sentence for each kind of thing.

Pure. Promises that nobody measured are among them: what is not known needs attention, too (I9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from broker.pack.facts import Pack, PackConnection
from broker.pack.words import (
    NEVER_MEASURED,
    NO_TIME_MEASURED,
    NOT_JUDGED,
    NOT_MEASURED,
    broken_words,
    counted,
    day,
    named,
)

LEAD = 3
"""So many sentences stand at the top of the first page; what else there is follows them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence; `known`: whether it says what is so, or that nobody knows."""

    words: str
    known: bool = True


def attention(pack: Pack) -> tuple[Finding, ...]:
    """Whole sentences; none where nothing needs attention."""
    return (
        *_promises(pack),
        *_cases(pack),
        *_reviews(pack),
        *_orphans(pack),
        *_waivers(pack),
        *_unknown(pack),
    )


def _promises(pack: Pack) -> Iterator[Finding]:
    broken = [(one.name, c) for one in pack.objects for c in one.connections if c.kept is False]
    if broken:
        worst = max(broken, key=lambda found: _times(found[1]))
        more = len(broken) - 1
        others = f"; {counted(more, 'more promise was', 'more promises were')} not kept" if more else ""
        yield Finding(f"{broken_words(*worst)}{others}.")


def _times(connection: PackConnection) -> float:
    """How many times a promise was exceeded, by what exceeds it most."""
    found, sla = connection.measured, connection.sla
    assert found is not None
    shares = (
        (found.p99_ms or 0) / sla.latency_p99_ms,
        (found.max_ms or 0) / sla.latency_max_ms,
        # A promise of no failure at all is exceeded beyond measure by the first one.
        found.failed_share / (sla.alert_above or 1e-9),
    )
    return max(shares)


def _cases(pack: Pack) -> Iterator[Finding]:
    overdue = [one for one in pack.objects if one.ages.overdue]
    if overdue:
        count = sum(one.ages.overdue for one in overdue)
        oldest = min(one.ages.oldest_ms for one in overdue if one.ages.oldest_ms is not None)
        yield Finding(
            f"{counted(count, 'case is', 'cases are')} older than 7 days; the oldest is of {day(oldest)}."
        )


def _reviews(pack: Pack) -> Iterator[Finding]:
    late = [one.name for one in pack.objects if one.review is not None and one.review.late]
    if late:
        yield Finding(f"{counted(len(late), 'review is', 'reviews are')} overdue: {named(late)}.")


def _orphans(pack: Pack) -> Iterator[Finding]:
    orphans = [f"{one.name}.{field}" for one in pack.objects for field in one.orphans]
    if orphans:
        yield Finding(f"{counted(len(orphans), 'field has', 'fields have')} no owner: {named(orphans)}.")


def _waivers(pack: Pack) -> Iterator[Finding]:
    expired = [
        waiver.what for one in pack.objects for waiver in one.waivers if waiver.expires_ms <= pack.made_ms
    ]
    if expired:
        yield Finding(f"{counted(len(expired), 'waiver has', 'waivers have')} expired: {named(expired)}.")


def _unknown(pack: Pack) -> Iterator[Finding]:
    unknown = [(one.name, c) for one in pack.objects for c in one.connections if c.kept is None]
    if unknown:
        which = f"{counted(len(unknown), 'promise')}: {named([f'{c.name} ({name})' for name, c in unknown])}"
        timeless = any(c.measured is not None for _, c in unknown)
        before = any(c.ever for _, c in unknown)
        said = NO_TIME_MEASURED if timeless else NOT_MEASURED if before else NEVER_MEASURED
        yield Finding(f"{said.capitalize()} of {which}.", known=False)
    if not pack.judged:
        yield Finding(NOT_JUDGED, known=False)
    unscheduled = [one.name for one in pack.objects if one.review is None]
    if unscheduled:
        yield Finding(f"It is not known when {named(unscheduled)} should be reviewed.", known=False)
