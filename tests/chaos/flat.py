"""Whether what a process holds stays as much as it is: a line through its samples, life by life. Pure.

A killed worker begins a new life. Each life that was long enough is looked at by itself, after it has warmed up. Those
that were killed young are compared with each other where they are equally old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

MEMORY_SHARE_MAX = 0.05
"""So much memory may rise from the beginning of a life to its end, by the line, and from the first life to the last."""
COUNT_RISE_MAX, COUNT_SHARE_MAX = 5, 0.1
"""So many more descriptors, threads or tasks, or such a share more, at the end of a life than at its beginning are
chance: slots come and go with every kill, and each has some."""
YOUNG_S = 40.0
"""Lives are compared with each other if they are at least so long."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a worker."""

    at_s: float
    """Since the load began."""
    age_s: float
    """Since the process was started."""
    rss_mib: float
    descriptors: int
    threads: int
    tasks: int
    """-1 = it did not say: it was starting, perhaps."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through one measure of one life, after it has warmed up."""

    begin: float
    end: float
    """Of the line."""

    @property
    def rise(self) -> float:
        return self.end - self.begin


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The line of least squares through (seconds, value), at the first and at the last second."""
    middle_s, middle = fmean(at for at, _ in points), fmean(value for _, value in points)
    spread = sum((at - middle_s) ** 2 for at, _ in points)
    slope = sum((at - middle_s) * (value - middle) for at, value in points) / spread if spread else 0.0
    return Trend(
        middle + slope * (points[0][0] - middle_s),
        middle + slope * (points[-1][0] - middle_s),
    )


def warmed_up(life: Sequence[Sample], warm_s: float, least_s: float) -> list[Sample]:
    """The samples of a life after `warm_s`; none if they span less than `least_s`."""
    left = [sample for sample in life if sample.age_s >= warm_s]
    return left if left and left[-1].age_s - left[0].age_s >= least_s else []


def findings(lives: Sequence[Sequence[Sample]], warm_s: float, least_s: float) -> list[str]:
    """What rose, in words; also that nothing could be looked at. `lives`: in the order in which they began."""
    said: list[str] = []
    warm = [
        (number, left) for number, life in enumerate(lives, 1) if (left := warmed_up(life, warm_s, least_s))
    ]
    if not warm:
        return [f"no worker lived for {warm_s + least_s:.0f} s: nothing can be said"]
    for number, life in warm:
        memory = trend([(sample.age_s, sample.rss_mib) for sample in life])
        if memory.rise > MEMORY_SHARE_MAX * memory.begin:
            said.append(f"worker {number}: memory rose from {memory.begin:.1f} to {memory.end:.1f} MiB")
        for name in ("descriptors", "threads", "tasks"):
            points = [(s.age_s, float(getattr(s, name))) for s in life if getattr(s, name) >= 0]
            if not points:
                said.append(f"worker {number}: nothing is known of its {name}")
                continue
            counted = trend(points)
            if counted.rise > max(COUNT_RISE_MAX, COUNT_SHARE_MAX * counted.begin):
                said.append(f"worker {number}: {name} rose from {counted.begin:.0f} to {counted.end:.0f}")
    return said + _from_life_to_life([life for life in lives if life and life[-1].age_s >= YOUNG_S])


def _from_life_to_life(lives: Sequence[Sequence[Sample]]) -> list[str]:
    """Whether the later half of the lives holds more than the earlier half did at the same age."""
    if len(lives) < 4:
        return []  # two of a kind say nothing about a third
    until_s = min(life[-1].age_s for life in lives)
    held = [median(sample.rss_mib for sample in life if sample.age_s <= until_s) for life in lives]
    half = len(held) // 2
    before, after = median(held[:half]), median(held[half:])
    if after > before * (1 + MEMORY_SHARE_MAX):
        return [f"later workers hold {after:.1f} MiB where earlier ones held {before:.1f} at the same age"]
    return []
