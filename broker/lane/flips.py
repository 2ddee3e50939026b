"""What would come out otherwise under another map: the same changes, judged by both maps side by side.

Pure (I5), and without effects: what would follow from a change is let go of. Both sides begin with the same states, so
what differs is the maps' doing. People's decisions and ticks are left out: what is parked stays parked on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker import topics
from broker.gate.outgoing import Destination
from broker.gate.state import RecordState
from broker.lane.judge import Judge
from broker.lane.judged import Judged, LogRecord
from broker.lane.memory import Shelf, SlotMemory
from broker.lane.order import batches
from broker.lane.short_ways import SharedWays
from broker.rules import Rules
from schemas.authoritative import parse_revision

SAMPLES_MAX = 5
_STOPPED = ("held", "refused", "proposed", "parked")


class Flip(NamedTuple):
    """A way in which changes come out otherwise."""

    object: str
    system: str
    fields: str
    """Comma separated; of the side that does not take the change in."""
    before: str
    """Outcome, and its reason after a colon where it has one."""
    after: str


@dataclass(slots=True)
class Flips:
    """What was found, of one partition or of many."""

    judged: int = 0
    counts: Counter[Flip] = field(default_factory=Counter)
    samples: dict[Flip, list[str]] = field(default_factory=dict)
    """Where such changes stand: `topic/partition/offset event id`."""
    reviewed: tuple[int, int] = (0, 0)
    """Cases for somebody, under the one map and under the other."""
    begun: int = 0
    """Records that were there before the first change that is still in the log; their values of then are not known."""

    def add(self, other: Flips) -> None:
        """Take in what was found elsewhere."""
        self.judged += other.judged
        self.begun += other.begun
        self.counts += other.counts
        self.reviewed = (self.reviewed[0] + other.reviewed[0], self.reviewed[1] + other.reviewed[1])
        for flip, places in other.samples.items():
            mine = self.samples.setdefault(flip, [])
            mine += places[: SAMPLES_MAX - len(mine)]


def states_before(revisions: Iterable[LogRecord], since_ms: int) -> tuple[dict[bytes, RecordState], int]:
    """The states of an object's partition at a moment, from its authoritative topic, and how many are not exact.

    Compaction leaves the newest revision of each record, and more of late. A record whose newest revision is older is
    as it was; one that was there before, and of which only newer revisions are left, begins with the first of these,
    and as if nothing had been heard of it.
    """
    states: dict[bytes, RecordState] = {}
    seen: set[bytes] = set()
    begun = 0
    for record in revisions:
        key = record.key or b""
        if key in seen:
            continue
        revision, owners, _ = parse_revision(record.headers)
        if record.timestamp < since_ms:
            states[key] = RecordState(record.value, revision, owners)
            continue
        seen.add(key)
        if key not in states and revision > 1 and record.value is not None:
            unheard = tuple((system, "", fields) for system, _, fields in owners)
            states[key] = RecordState(record.value, revision, unheard)
            begun += 1
    return states, begun


class SideBySide:
    """The changes of one partition of an object, judged under two maps."""

    def __init__(
        self, before: Rules, after: Rules, shelf: Shelf, partitions: int, states: Mapping[bytes, RecordState]
    ) -> None:
        self.found = Flips()
        self._shared = SharedWays(before, after)
        self._rules = self._shared.rules
        self._judges = tuple(
            Judge(_memory(shelf, partitions, states), "replay", self._shared.ways) for _ in self._rules
        )

    def judge(self, records: Sequence[LogRecord]) -> None:
        """Judge changes, in order, on both sides."""
        for batch in batches(records):
            self._shared.begin()
            was, now = (
                judge.judge(rules, batch) for judge, rules in zip(self._judges, self._rules, strict=True)
            )
            for judge, judged in zip(self._judges, (was, now), strict=True):
                judge.keep(judged)
            self._compare(batch, was, now)

    def _compare(self, batch: Sequence[LogRecord], was: Judged, now: Judged) -> None:
        found = self.found
        found.judged += len(batch)
        cases = [_cases(judged) for judged in (was, now)]
        found.reviewed = (found.reviewed[0] + cases[0], found.reviewed[1] + cases[1])
        if was.decisions == now.decisions:
            return  # nearly always
        spoken: dict[tuple[str, int, int], str] | None = None
        both = zip(batch, results(batch, was), results(batch, now), strict=True)
        for record, before, after in both:
            if before != after:
                spoken = _fields(was, now) if spoken is None else spoken
                place = (record.topic, record.partition, record.offset)
                system, stream = topics.parse_changes(record.topic) or ("", "")
                flip = Flip(topics.object_of(stream), system, spoken.get(place, ""), before, after)
                found.counts[flip] += 1
                samples = found.samples.setdefault(flip, [])
                if len(samples) < SAMPLES_MAX:
                    samples.append(f"{record.topic}/{record.partition}/{record.offset} {_event(record)}")


def results(batch: Sequence[LogRecord], judged: Judged) -> Iterator[str]:
    """Outcome and reason of each change of a batch, in order."""
    said, at = judged.decisions, 0
    for following in (*batch[1:], None):
        _, outcome, reason, _ = said[at].split(b"|", 3)
        yield f"{outcome.decode()}: {reason.decode()}" if reason else outcome.decode()
        at += 1
        if following is not None:
            head = f"{following.topic}/{following.partition}/{following.offset}|".encode()
            at += 0 if said[at].startswith(head) else 2  # a new revision: its number, its value


def _cases(judged: Judged) -> int:
    return sum([outgoing.destination is Destination.QUARANTINE for outgoing, _ in judged.outgoing])


def _memory(shelf: Shelf, partitions: int, states: Mapping[bytes, RecordState]) -> SlotMemory:
    return SlotMemory(slot=0, partitions={shelf[0]: partitions}, states={shelf: dict(states)})


def _fields(*sides: Judged) -> dict[tuple[str, int, int], str]:
    """Place of a change to the fields that the trail or a case of it names."""
    found: dict[tuple[str, int, int], str] = {}
    for judged in sides:
        for outgoing, _ in judged.outgoing:
            if outgoing.destination in (Destination.TRAIL, Destination.QUARANTINE):
                body: Any = outgoing.body
                named = body.get("fields") or [
                    verdict["field"] for verdict in body.get("verdicts", ()) if verdict["verdict"] in _STOPPED
                ]
                if named:
                    place = (body["topic"], body["partition"], body["offset"])
                    found.setdefault(place, ", ".join(sorted(named)))
    return found


def _event(record: LogRecord) -> str:
    return next((value.decode(errors="replace") for name, value in record.headers if name == "ce_id"), "")
