"""Which fault comes when: decided by the seed and the length alone, so that a campaign can be run again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.answers import ANSWERS
from tests.chaos.gate import POINTS

WHOLE_S = 600
WHOLE = {
    "kill": 66,
    "zombie": 10,
    "rebalance": 20,
    "broker_killed": 10,
    "broker_hung": 3,
    "answer": 14,
    "disk_full": 3,
    "reader_crash": 12,
    "map_change": 6,
    "handover": 4,
    "state_lost": 6,
}
"""So many of each in a campaign of ten minutes; in a shorter one in proportion, and at least one."""
QUIET_S = 8.0
"""Nothing happens before: the workers open their slots."""
GONE_SHARE, GONE_S_MAX = 0.2, 300
"""So long all brokers are gone: a share of the campaign, and at most five minutes."""
WORKERS = (3, 1, 4, 2)
"""How many there are after each rebalance, in turn."""
FULL_UNTIL = 0.5
"""A share of the campaign: once all brokers are gone nobody commits, and nothing is to be written to the disk."""
LATE_S = (1, 4, 16)
"""So late is an answer: before the gate gives up on it, or after."""
BROKERS = ("leader", "group_coordinator", "transaction_coordinator")


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is done to the campaign."""

    at_s: float
    what: str
    how: str = ""
    number: int = 0
    """Whom it meets among those there are; how many workers; how many seconds."""


def schedule(seed: int, seconds: float) -> list[Fault]:
    """All faults of a campaign in order."""
    dice = random.Random(f"faults/{seed}/{seconds:g}")
    faults: list[Fault] = []
    for what, whole in WHOLE.items():
        count = max(1, round(whole * seconds / WHOLE_S))
        until = (FULL_UNTIL if what == "disk_full" else 0.97) * seconds
        for number in range(count):
            at = QUIET_S + (until - QUIET_S) * (number + dice.random()) / count
            faults.append(Fault(round(at, 1), what, *_how(dice, what, number)))
    gone_s = min(GONE_S_MAX, round(GONE_SHARE * seconds))
    faults.append(Fault(round(0.65 * seconds, 1), "brokers_gone", "all", gone_s))
    faults.append(Fault(round(0.45 * seconds, 1), "retention", "billing", dice.randrange(4)))
    return sorted(faults)


def _how(dice: random.Random, what: str, number: int) -> tuple[str, int]:
    if what == "kill":  # every second one at a named point, each in turn
        return (POINTS[number // 2 % len(POINTS)] if number % 2 == 0 else "anywhere"), dice.randrange(1000)
    if what == "zombie":
        return "paused", dice.randrange(8, 12)
    if what == "rebalance":
        return "workers", WORKERS[number % len(WORKERS)]
    if what in ("broker_killed", "broker_hung"):
        return BROKERS[number % len(BROKERS)], dice.randrange(1000)
    if what == "answer":
        return tuple(ANSWERS)[number % len(ANSWERS)], dice.choice(LATE_S)
    if what == "disk_full":
        return "no space", dice.randrange(20, 26)
    return "", dice.randrange(1000)
