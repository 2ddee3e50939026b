"""The sentences of a review pack, for people who are no engineers; both files take them from here.

Pure. What was not measured is said, and never called fine (I9).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from broker.gate.reason import BY_CODE
from broker.pack.facts import Conflict, Pack, PackConnection, PackObject
from ownership.reviews import ReviewDue, Standing

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
NAMED = 5
"""So many names are said in one sentence; the rest is counted."""
BANDS = ("under 1 day", "1 to 7 days", "7 to 30 days", "older than 30 days")
NOTHING = "Nothing needs the team's attention."
NOTES = (
    "Held writes are counted by when they were received, whatever was decided since. Open cases, reviews, waivers "
    "and fields that nobody owns are as they were when this was made.",
    "Times are of the whole way, from the change in one system until the other has it. 99 of 100 is told as an upper "
    "limit. They are of everything that a system took over of an object in the period, whichever system it came from.",
    "A promise counts as kept when 99 of 100 changes and the slowest were within the promised times, and not more "
    "updates were refused by the system than the share above which alerts begin.",
)


def duration(ms: int) -> str:
    """`250 ms`, `5.004 s`, `2 min 5 s`, `1 h 30 min`, `3 d`: never told shorter than it was."""
    if ms < SECOND_MS:
        return f"{ms} ms"
    if ms < 2 * MINUTE_MS:
        return f"{ms / SECOND_MS:g} s"
    for (large_ms, large), (small_ms, small) in (
        ((MINUTE_MS, "min"), (SECOND_MS, "s")),
        ((HOUR_MS, "h"), (MINUTE_MS, "min")),
        ((DAY_MS, "d"), (HOUR_MS, "h")),
    ):
        count, rest = divmod(-(-ms // small_ms), large_ms // small_ms)
        if large_ms == DAY_MS or count < 2 * DAY_MS // large_ms // (24 if large_ms == MINUTE_MS else 1):
            return f"{count} {large} {rest} {small}" if rest else f"{count} {large}"
    raise AssertionError(ms)


def day(ms: int) -> str:
    """`2026-12-01`, in UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
