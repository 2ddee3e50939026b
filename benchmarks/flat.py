"""Ten million changes through one worker: whether a change costs the same, and memory stays what it is, all along.

Processor time is what is compared, since other work on the machine does not change it as it changes a rate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
from confluent_kafka import Consumer, TopicPartition

from benchmarks.rows import Measured, Row, at_least, at_most
from benchmarks.state import memory
from benchmarks.world import BenchWorld
from broker import topics
from schemas.registry import envelopes

CHANGES = 10_000_000
STEP = 1_000_000
WARM = 5
"""Steps until everything that is kept is there: caches are full, and replaced values so many that their files are
merged as often as they ever will be."""
STALLED_S = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """One million changes."""

    per_s: float
    processor_us: float
    """Of the worker, per change."""
    resident_mib: float


def flat(world: BenchWorld) -> list[Row]:
    """All changes are in Kafka before the worker starts."""
    for first in range(0, CHANGES, STEP):
        world.fill(first, STEP, world.records.own)
        print(f"published {first + STEP:,} of {CHANGES:,}", flush=True)
    world.start_gate()
    try:
        steps = list(_steps(world))
    finally:
        world.stop_gate()
    early, late = steps[WARM - 1 : WARM + 1], steps[-2:]
    name, before = f"{CHANGES:,} changes", f"million {WARM} and {WARM + 1}"
    return [
        at_most(
            f"{name}, processor time per change, the last two million",
            Measured("ours", _mean(late, "processor_us"), [step.processor_us for step in steps]),
            Measured(before, _mean(early, "processor_us")),
            "us",
            1.1,
        ),
        at_most(
            f"{name}, memory of the worker at the end",
            Measured("ours", steps[-1].resident_mib, [step.resident_mib for step in steps]),
            Measured(f"after {WARM + 1} million", steps[WARM].resident_mib),
            "MiB",
            1.05,
        ),
        at_least(
            f"{name}, a second, the last two million",
            Measured("ours", _mean(late, "per_s"), [step.per_s for step in steps]),
            Measured(before, _mean(early, "per_s")),
            "changes/s",
            0,
        ),
    ]


def _mean(steps: list[Step], what: str) -> float:
    return sum(getattr(step, what) for step in steps) / len(steps)


def _steps(world: BenchWorld) -> Iterator[Step]:
    pid = world.machine.supervisor.pid("gate")
    assert pid is not None
    worker = psutil.Process(pid)
    done, mark, used, since = 0, 0, _processor_s(worker), time.monotonic()
    for received in _received(world):
        done += received
        if done < mark + STEP and done < CHANGES:
            continue
        now, spent, count = time.monotonic(), _processor_s(worker), done - mark
        step = Step(count / (now - since), (spent - used) / count * 1e6, memory(world)[0])
        print(
            f"{done:,}: {step.per_s:.0f}/s, {step.processor_us:.1f} us, {step.resident_mib:.0f} MiB",
            flush=True,
        )
        yield step
        mark, used, since = done, spent, now
        if done >= CHANGES:
            return


def _received(world: BenchWorld) -> Iterator[int]:
    """How many changes each batch held, as the ledger tells it."""
    options = {"group.id": "flat", "isolation.level": "read_committed", "enable.auto.commit": False}
    consumer = Consumer({**world.options(), **options})
    partitions = consumer.list_topics(topics.LEDGER, 20).topics[topics.LEDGER].partitions
    consumer.assign([TopicPartition(topics.LEDGER, partition, 0) for partition in partitions])
    try:
        seen = time.monotonic()
        while time.monotonic() - seen < STALLED_S:
            message = consumer.poll(5)
            if message is not None and message.error() is None:
                seen = time.monotonic()
                yield envelopes().codec.decode(message.value())["received"]
    finally:
        consumer.close()
    raise TimeoutError(world.machine.supervisor.log_tail("gate"))


def _processor_s(worker: psutil.Process) -> float:
    spent = worker.cpu_times()
    return float(spent.user + spent.system)
