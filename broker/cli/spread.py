"""Spreads the partitions of objects' changes over processes, one for each processor, with a bar on standard error."""

from __future__ import annotations

import heapq
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker import topics
from broker.access import KafkaAccess
from broker.kafka.reading import TopicReader
from broker.lane.judged import LogRecord

LOOK_S = 0.2
_Found = TypeVar("_Found")
Input = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Job:
    """Keys of one object that no other job has, and where their changes are."""

    stream: str
    partition: int
    """-1: all of them, for topics of one object with different numbers of partitions."""
    inputs: tuple[Input, ...]
    since_ms: int


def inputs_of(existing: Collection[str], stream: str) -> tuple[str, ...]:
    """The topics that changes of a stream are sent to."""
    return tuple(sorted(name for name in existing if (topics.parse_changes(name) or ("", ""))[1] == stream))


def sent_to(reader: TopicReader, job: Job) -> int:
    """How many changes a job is about."""
    ends = [reader.ends(topic, number, job.since_ms) for topic, number in job.inputs]
    return sum(high - low for low, high in ends)


def spread(
    jobs: Sequence[Job],
    work: Callable[[Job], _Found],
    begin: Callable[..., None],
    given: tuple[Any, ...],
    *,
    label: str,
    total: int,
    quiet: bool,
) -> Iterator[_Found]:
    """What `work` finds of each job, in no order.

    A process begins with `begin(*given, told)`; it puts into the queue `told` how many more changes it is done with.
    """
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")  # a forked process would share Kafka's sockets
    with context.Manager() as shared, _bar(quiet=quiet) as bar:
        told, task = shared.Queue(), bar.add_task(label, total=total)
        workers = min(len(jobs), os.cpu_count() or 1)
        with ProcessPoolExecutor(workers, context, begin, (*given, told)) as pool:
            left: set[Future[_Found]] = {pool.submit(work, job) for job in jobs}
            while left:
                done, left = wait(left, LOOK_S, FIRST_COMPLETED)
                while not told.empty():
                    bar.advance(task, told.get())
                for one in done:
                    yield one.result()
        bar.update(task, completed=total)


def merged(access: KafkaAccess, job: Job) -> Iterator[LogRecord]:
    """The changes of a job in the order of judging: by append time, then topic and offset."""
    readers = [TopicReader(access) for _ in job.inputs]
    try:
        logs = [_placed(reader, place, job) for reader, place in zip(readers, job.inputs, strict=True)]
        for _, record in heapq.merge(*logs, key=lambda placed: placed[0]):
            yield record
    finally:
        for reader in readers:
            reader.close()


def _placed(reader: TopicReader, place: Input, job: Job) -> Iterator[tuple[tuple[int, str, int], LogRecord]]:
    topic, number = place
    latest = 0
    for record in reader.records(topic, number, job.since_ms):
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
