"""The closing account: counted from what was read on the topics, beside what the ledger says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from broker.demo.watch import Revision, Seen
from broker.gate.decision import Outcome
from broker.lane.ledger import verify
from schemas.hops import HOPS, Sketch, sketches_of
from schemas.version import version_of


def closing_account(seen: Seen) -> dict[str, Any]:
    """in, one count per outcome, balanced, lost, doubled, reordered, latency per hop."""
    outcomes = seen.outcomes()
    received = sum(seen.changes.values())
    by_slot: dict[int, list[Mapping[str, Any]]] = {}
    for record in seen.ledger:
        by_slot.setdefault(record["slot"], []).append(record)
    faults = [fault for records in by_slot.values() for fault in verify(records)]
    return {
        "in": received,
        **{outcome.value: outcomes.get(outcome.value, 0) for outcome in Outcome},
        "balanced": received == sum(outcomes.values()) and not faults,
        "lost": received - seen.received,
        "doubled": doubled(seen),
        "reordered": sum(out_of_order(revisions) for revisions in seen.by_key.values()),
        "revisions": len(seen.revisions),
        "gaps": sum(gaps(revisions) for revisions in seen.by_key.values()),
        "ledger_faults": [f"slot {fault.slot}, batch {fault.sequence}: {fault.detail}" for fault in faults],
        "latency_ms": latencies(seen),
    }


def doubled(seen: Seen) -> int:
    """Revisions written twice, and events accepted twice."""
    numbers = Counter((revision.key, revision.envelope.revision) for revision in seen.revisions)
    events = Counter(
        (revision.key, revision.envelope.causation)
        for revision in seen.revisions
        if revision.envelope.changed
    )
    return sum(count - 1 for count in (*numbers.values(), *events.values()))


def gaps(revisions: list[Revision]) -> int:
    """Revisions of one key that are missing."""
    numbers = sorted(revision.envelope.revision for revision in revisions)
    return numbers[-1] - len(set(numbers)) if numbers else 0


def out_of_order(revisions: list[Revision]) -> int:
    """Revisions of one key that stand after a later one, or whose source version fell."""
    faults, latest = 0, 0
    versions: dict[str, str] = {}
    for revision in revisions:
        envelope = revision.envelope
        faults += envelope.revision < latest
        latest = max(latest, envelope.revision)
        system, event = envelope.causation
        if envelope.changed:
            last = versions.get(system)
            faults += last is not None and version_of(event).older_than(version_of(last))
            versions[system] = event
    return faults


def latencies(seen: Seen) -> dict[str, dict[str, int | None]]:
    """Per sink and hop: count, p50 and p99 as upper bounds of their buckets, and the largest."""
    totals: dict[tuple[str, str], Sketch] = {}
    for acknowledgement in seen.acknowledgements:
        for hop, sketch in sketches_of(acknowledgement["hops"]).items():
            totals.setdefault((acknowledgement["system"], hop), Sketch()).merge(sketch)
    return {
        f"{system} {hop}": {
            "count": sketch.count,
            "p50": sketch.quantile_ms(0.5),
            "p99": sketch.quantile_ms(0.99),
            "max": sketch.max_ms,
        }
        for (system, hop), sketch in sorted(
            totals.items(), key=lambda item: (item[0][0], HOPS.index(item[0][1]))
        )
    }
