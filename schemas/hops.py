"""The hops of a change and the fixed buckets in which their latency is counted.

Pure. Buckets are fixed so that sketches of many processes add up exactly. A hop between two machines' clocks may be
negative; it is counted in the first bucket and its sum keeps the sign, never clamped (I8).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HOPS = ("source_to_log", "log_to_decision", "decision_to_applied", "end_to_end")
BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000)


@dataclass(slots=True)
class Sketch:
    """Counts per bucket, with sum and maximum in milliseconds."""

    count: int = 0
    sum_ms: int = 0
    max_ms: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add(self, ms: int) -> None:
        """Count one measurement."""
        self.max_ms = ms if self.count == 0 else max(self.max_ms, ms)
        self.count += 1
        self.sum_ms += ms
        self.buckets[bisect_left(BOUNDS_MS, ms)] += 1

    def merge(self, other: Sketch) -> None:
        """Add another sketch to this one."""
        if other.count == 0:
            return  # its maximum of 0 was never measured, and a hop across two clocks may be negative (I8)
        self.max_ms = max(self.max_ms, other.max_ms) if self.count else other.max_ms
        self.count += other.count
        self.sum_ms += other.sum_ms
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]

    def quantile_ms(self, share: float) -> int | None:
        """Upper bound of the bucket that holds the quantile (the maximum in the last one); None without data."""
        if self.count == 0:
            return None
        wanted, seen = share * self.count, 0
        for bound, count in zip((*BOUNDS_MS, self.max_ms), self.buckets, strict=True):
            seen += count
            if seen >= wanted and count:
                return min(bound, self.max_ms)
        return self.max_ms

    def record(self, hop: str) -> dict[str, Any]:
        """As in an acknowledgement."""
        return {
            "hop": hop,
            "count": self.count,
            "sum_ms": self.sum_ms,
            "max_ms": self.max_ms,
            "buckets": self.buckets,
        }


def sketches_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Sketch]:
    """The sketches in an acknowledgement, by hop."""
    return {
        str(r["hop"]): Sketch(
            int(r["count"]), int(r["sum_ms"]), int(r["max_ms"]), [int(n) for n in r["buckets"]]
        )
        for r in records
    }
