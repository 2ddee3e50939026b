"""Replays what is in the log under the map in force and under a plan's, a process for each processor."""

from __future__ import annotations

import heapq
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker import topics
from broker.access import KafkaAccess
from broker.kafka.reading import TopicReader
from broker.lane.cycles import look_for_cycles, only_between_batches
from broker.lane.flips import Flips, SideBySide, states_before
from broker.lane.judged import LogRecord
from broker.published import PublishedMap
from broker.rules import FOREVER_MS, Rules, rules_of
from ownership.changed import Kind
from ownership.plan import Plan, PlannedFlip, Replay

CHUNK = 3_000
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One partition of one object, and where its changes are."""

    stream: str
    partition: int
    inputs: tuple[str, ...]
    since_ms: int


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
            inputs = tuple(
                sorted(topic for topic in existing if (topics.parse_changes(topic) or ("", ""))[1] == stream)
            )
            for number in reader.partitions(topics.authoritative(stream)):
                jobs.append(Job(stream, number, inputs, since_ms))
                for topic in inputs:
                    low, high = reader.ends(topic, number, since_ms)
                    total += high - low
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
    if not jobs:
        return found
    context = multiprocessing.get_context("spawn")  # a forked process would share Kafka's sockets
    with context.Manager() as shared, _bar(quiet=quiet) as bar:
        told, task = shared.Queue(), bar.add_task("Judging under both maps", total=total)
        given = (access, dict(newest.documents), newest.version, plan.documents, now_ms, told)
        workers = min(len(jobs), os.cpu_count() or 1)
        with ProcessPoolExecutor(workers, context, _begin, given) as pool:
            left: set[Future[Flips]] = {pool.submit(_judged, job) for job in jobs}
            while left:
                done, left = wait(left, LOOK_S, FIRST_COMPLETED)
                while not told.empty():
                    bar.advance(task, told.get())
                for one in done:
                    found.add(one.result())
        bar.update(task, completed=found.judged, total=found.judged)
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
        for record in _merged(both.access, job):
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


def _merged(access: KafkaAccess, job: Job) -> Iterator[LogRecord]:
    """The changes of one partition in the order of judging: by append time, then topic and offset."""
    readers = [TopicReader(access) for _ in job.inputs]
    try:
        logs = [_placed(reader, topic, job) for reader, topic in zip(readers, job.inputs, strict=True)]
        for _, record in heapq.merge(*logs, key=lambda placed: placed[0]):
            yield record
    finally:
        for reader in readers:
            reader.close()


def _placed(reader: TopicReader, topic: str, job: Job) -> Iterator[tuple[tuple[int, str, int], LogRecord]]:
    latest = 0
    for record in reader.records(topic, job.partition, job.since_ms):
        latest = max(latest, record.timestamp)  # within a partition the offset alone rules
        yield (latest, topic, record.offset), record


def _bar(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=quiet),
    )
