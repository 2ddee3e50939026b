"""Replays what is in the log under the map in force and under a plan's, a process for each processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker import topics
from broker.access import KafkaAccess
from broker.cli.spread import Job, inputs_of, merged, sent_to, spread
from broker.kafka.reading import TopicReader
from broker.lane.cycles import look_for_cycles, only_between_batches
from broker.lane.flips import Flips, SideBySide, states_before
from broker.lane.judged import LogRecord
from broker.published import PublishedMap
from broker.rules import FOREVER_MS, Rules, rules_of
from ownership.changed import Kind
from ownership.plan import Plan, PlannedFlip, Replay

CHUNK = 3_000


@dataclass(frozen=True, slots=True)
class _Both:
    """What a process works with."""

    access: KafkaAccess
    before: Rules
    after: Rules
    told: Any
    """Queue of how many more were judged."""


_both: _Both | None = None


def replay(
    access: KafkaAccess, newest: PublishedMap, plan: Plan, since_ms: int, now_ms: int, *, quiet: bool
) -> tuple[Replay, Flips]:
    """Judge under both maps what was appended since a moment, and say what comes out otherwise.

    Under the map in force its terms of now hold all the time, under the plan's those that it ends with. Raises
    KafkaRefused.
    """
    jobs, total = _jobs(access, newest, plan, since_ms, now_ms)
    found = _found(access, newest, plan, jobs, total, now_ms, quiet=quiet)
    flips = tuple(PlannedFlip(**flip._asdict(), count=count) for flip, count in sorted(found.counts.items()))
    told = Replay(
        since_ms=since_ms,
        made_ms=now_ms,
        judged=found.judged,
        reviewed_before=found.reviewed[0],
        reviewed_after=found.reviewed[1],
        begun=found.begun,
        flips=flips,
    )
    return told, found


def _jobs(
    access: KafkaAccess, newest: PublishedMap, plan: Plan, since_ms: int, now_ms: int
) -> tuple[list[Job], int]:
    """The partitions of all objects about which the plan says anything, and how many changes are in them."""
    before = rules_of(newest.documents, newest.version, now_ms).ownership_map
    streams = topics.streams_of(before)
    said = {change.object for change in plan.changes}
    # A system has a part wherever it sends.
    everything = any(change.object == "" and change.kind is not Kind.TEXT for change in plan.changes)
    reader = TopicReader(access)
    jobs, total = list[Job](), 0
    try:
        existing = reader.topics()
        for name in sorted(before.objects):
            if name not in said and not everything:
                continue
            stream = streams[name]
            inputs = inputs_of(existing, stream)
            for number in reader.partitions(topics.authoritative(stream)):
                jobs.append(Job(stream, number, tuple((topic, number) for topic in inputs), since_ms))
                total += sent_to(reader, jobs[-1])
    finally:
        reader.close()
    return jobs, total


def _found(
    access: KafkaAccess,
    newest: PublishedMap,
    plan: Plan,
    jobs: list[Job],
    total: int,
    now_ms: int,
    *,
    quiet: bool,
) -> Flips:
    found = Flips()
    given = (access, dict(newest.documents), newest.version, plan.documents, now_ms)
    for one in spread(
        jobs, _judged, _begin, given, label="Judging under both maps", total=total, quiet=quiet
    ):
        found.add(one)
    return found


def _begin(
    access: KafkaAccess,
    before: Mapping[str, str],
    version: int,
    after: Mapping[str, str],
    now_ms: int,
    told: Any,
) -> None:
    global _both  # noqa: PLW0603 - a process of a pool is given once what all of its jobs need
    _both = _Both(access, rules_of(before, version, now_ms), rules_of(after, version + 1, FOREVER_MS), told)
    only_between_batches()


def _judged(job: Job) -> Flips:
    """What comes out otherwise of one partition."""
    both = _both
    assert both is not None
    reader = TopicReader(both.access)
    try:
        count = len(reader.partitions(topics.authoritative(job.stream)))
        revisions = reader.records(topics.authoritative(job.stream), job.partition)
        states, begun = states_before(revisions, job.since_ms)
        sides = SideBySide(both.before, both.after, (job.stream, job.partition), count, states)
        sides.found.begun = begun
        waiting: list[LogRecord] = []
        for record in merged(both.access, job):
            waiting.append(record)
            if len(waiting) >= CHUNK:
                sides.judge(waiting)
                both.told.put(len(waiting))
                waiting = []
                look_for_cycles()
        if waiting:
            sides.judge(waiting)
            both.told.put(len(waiting))
        return sides.found
    finally:
        reader.close()
