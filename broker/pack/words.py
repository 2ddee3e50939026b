"""The sentences of a review pack, for people who are no engineers; both files take them from here.

Pure. What was not measured is said, and never called fine (I9).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from broker.gate.reason import BY_CODE
from broker.pack.facts import Ages, Pack, PackConnection
from ownership.changed import listed
from ownership.reviews import ReviewDue, Standing

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
NAMED = 5
"""So many names are said in one sentence; the rest is counted."""
BANDS = ("under 1 day", "1 to 7 days", "7 to 30 days", "over 30 days")
"""Of the ages of open cases, as in `facts.BOUNDS_MS`."""
NOTHING_NEEDED = "Nothing needs the team's attention."
NOT_JUDGED = "Nothing was judged in this period, so nothing is known about held writes."
NOT_MEASURED, NEVER_MEASURED = "nothing was measured", "nothing was ever measured"
NO_TIME_MEASURED = "no time was measured"
KEPT = "kept"
NOTES = (
    "Held writes are counted by when they were received, whatever was decided since.",
    "Open cases, waivers, reviews and fields without owner are as they were when the pack was made.",
    "Times are of the whole way, from the change in one system until the other has it.",
    "99 of 100 is told as an upper limit.",
    "Measured is all that a system took over of an object, from whichever system it came.",
    "A promise is kept when 99 of 100 changes and the slowest one were in time.",
    "Nor is it kept when more updates were not taken over than the share above which alerts begin.",
)


def plain(text: str) -> str:
    """A text from outside in one line; what cannot be printed is shown as a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))


def shortened(text: str, length: int) -> str:
    """A text that fits a drawing."""
    return text if len(text) <= length else f"{text[: length - 2]}.."


def duration(ms: int) -> str:
    """`250 ms`, `5.004 s`, `2 min 5 s`, `3 h`, `4 d`; never shorter than it was."""
    if ms < SECOND_MS:
        return f"{ms} ms"
    if ms < MINUTE_MS:
        return f"{ms / SECOND_MS:g} s"
    if ms < HOUR_MS:
        return _parts(ms, (MINUTE_MS, "min"), (SECOND_MS, "s"))
    if ms < DAY_MS:
        return _parts(ms, (HOUR_MS, "h"), (MINUTE_MS, "min"))
    return _parts(ms, (DAY_MS, "d"), (HOUR_MS, "h"))


def _parts(ms: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    count, rest = divmod(-(-ms // small[0]), large[0] // small[0])
    return f"{count} {large[1]} {rest} {small[1]}" if rest else f"{count} {large[1]}"


def day(ms: int) -> str:
    """`2026-12-01`, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def counted(count: int, one: str, more: str = "") -> str:
    """`1 case`, `2 cases`."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def named(names: Sequence[str]) -> str:
    """`customer and order`; of many the first ones, and how many more there are."""
    if len(names) <= NAMED:
        return listed(names)
    return f"{', '.join(sorted(names)[:NAMED])} and {len(names) - NAMED} more"


def title(pack: Pack) -> str:
    return f"Review pack of {pack.team}"


def introduced(pack: Pack) -> str:
    """What this is, of which time and by which map."""
    return (
        f"{counted(len(pack.objects), 'object')}, {day(pack.from_ms)} to {day(pack.to_ms - 1)}. "
        f"Made on {day(pack.made_ms)} by version {pack.map_version} of the ownership map. "
        f"Steward: {pack.team}, {pack.contact}. Days are in UTC."
    )


def review_words(review: ReviewDue | None) -> str:
    """When the next review is due, and what became of the last."""
    if review is None:
        return "It is not known when a review is due."
    if review.last is None:
        return "It was never reviewed."
    last = f"last reviewed on {review.last}"
    if review.standing is Standing.DONE:
        return f"The next review is due on {review.due}; {last}."
    if review.standing is Standing.SOON:
        return f"The review is due soon, on {review.due}; {last}."
    return f"The review is overdue since {review.due}; {last}."


def ages_words(ages: Ages) -> str:
    """How many cases are open, and since when the oldest waits."""
    if ages.oldest_ms is None:
        return "No case is open."
    are = "1 case is" if sum(ages.counts) == 1 else f"{sum(ages.counts)} cases are"
    return f"{are} open; the oldest was received on {day(ages.oldest_ms)}."


def reason_words(code: str) -> str:
    """Why a write was held; a code that has no words here is shown as it is."""
    reason = BY_CODE.get(code)
    return reason.sentence if reason else f"A reason without words here: {code}."


def measured_time(ms: int | None) -> str:
    return "not measured" if ms is None else duration(ms)


def failed_words(connection: PackConnection) -> str:
    """How many updates a system did not take."""
    found = connection.measured
    if found is None:
        return "not measured"
    return f"{found.failed} of {found.applied + found.failed}"


def kept_words(connection: PackConnection) -> str:
    """Whether a promise was kept, and if not why."""
    found, sla = connection.measured, connection.sla
    if found is None:
        return NOT_MEASURED if connection.ever else NEVER_MEASURED
    if connection.kept:
        return KEPT
    broken = []
    if found.p99_ms is not None and found.p99_ms > sla.latency_p99_ms:
        broken.append("slower than promised")
    if found.max_ms is not None and found.max_ms > sla.latency_max_ms:
        broken.append("the slowest took too long")
    if found.failed_share > sla.alert_above:
        broken.append("too many were not taken")
    return f"not kept: {', '.join(broken)}" if broken else NO_TIME_MEASURED


def broken_words(object_name: str, connection: PackConnection) -> str:
    """The sentence of a promise that was not kept: what happened, what was promised."""
    found, sla = connection.measured, connection.sla
    assert found is not None
    if found.p99_ms is not None and found.p99_ms > sla.latency_p99_ms:
        took, promised = duration(found.p99_ms), duration(sla.latency_p99_ms)
        return f"{connection.name} ({object_name}) took {took} for 99 of 100; promised are {promised}"
    if found.max_ms is not None and found.max_ms > sla.latency_max_ms:
        took, promised = duration(found.max_ms), duration(sla.latency_max_ms)
        return f"{connection.name} ({object_name}) took {took} at worst; promised are at most {promised}"
    limit = f"alerts begin above {sla.alert_above * 100:g}%"
    return (
        f"{connection.name} ({object_name}): {failed_words(connection)} updates were not taken over; {limit}"
    )
