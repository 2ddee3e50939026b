"""Changes per second of the gate: exactly once, with ledger and state."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.records import KEYS, Make
from benchmarks.work import Work
from benchmarks.world import BenchWorld
from schemas.registry import envelopes

OURS = 150_000
POLL_S = 2.0
"""Between two looks at the ledger, which cost the two processors something."""
WAIT_S_MAX = 240.0


def first_ones(world: BenchWorld, work: Work) -> None:
    """Let the gate judge the first change of every record, if the work needs them."""
    if work.first_ones is not None:
        gate_rate(world, 0, KEYS, work.first_ones)


def gate_rate(world: BenchWorld, first: int, count: int, make: Make, workers: int = 1) -> float:
    """Changes per second of one gate, or several, by the broker's append times of its ledger records."""
    before = sum(entry["received"] for _, entry in ledger(world))
    world.fill(first, count, make)
    names = ["gate", *(f"gate-{number}" for number in range(2, workers + 1))]
    for name in names:
        world.start_gate(name)
    try:
        deadline = time.monotonic() + WAIT_S_MAX
        while sum(entry["received"] for _, entry in ledger(world)) < before + count:
            if time.monotonic() > deadline:
                raise TimeoutError(world.machine.supervisor.log_tail("gate"))
            time.sleep(POLL_S)
    finally:
        for name in names:
            world.stop_gate(name)
    skipped, batches = 0, []
    for appended_ms, entry in sorted(ledger(world), key=lambda pair: pair[0]):
        if skipped < before:
            skipped += entry["received"]
        else:
            batches.append((appended_ms, entry))
    # The first commit, of the worker that came last, starts the clock, so what it held is not counted: starting up is
    # no throughput.
    began = max(
        min(at for at, entry in batches if entry["worker"] == worker)
        for worker in {entry["worker"] for _, entry in batches}
    )
    counted = sum(entry["received"] for at, entry in batches if at > began)
    return counted / ((batches[-1][0] - began) / 1000)


def ledger(world: BenchWorld) -> list[tuple[int, dict[str, Any]]]:
    """Append time and content of every record of the ledger."""
    return [(m.timestamp()[1], envelopes().codec.decode(m.value())) for m in world.read("ledger")]
