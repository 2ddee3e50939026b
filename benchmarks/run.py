"""`make bench`: every figure beside its peer, in one run with nothing else running; writes benchmarks/results.json."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import adopting, codec, decide, flat, governing, pages, rates, state, times
from benchmarks.kills import CHANGES, killed
from benchmarks.rows import NOBODY, Measured, Row, at_least, at_most, written
from benchmarks.world import SLOTS, BenchWorld
from tests.chaos.history import FINDINGS


def kill_test(world: BenchWorld) -> list[Row]:
    """20,000 changes, 5 SIGKILLs, judged as a campaign is (tests/chaos/history.py)."""
    found = killed(world, 3_000_000)
    print(f"kill test: {found}", flush=True)
    bad = sum(found[name] for name in FINDINGS)
    assert found["in"] == CHANGES, "the judge has not seen every change"
    assert found["kills"] >= 5, "the gate was not killed often enough"
    name = f"faults found after {found['kills']} SIGKILLs in {CHANGES} changes"
    return [at_most(name, Measured("ours", bad), NOBODY, "faults", 0.5)]


def decisions() -> list[Row]:
    """One decision on each way, and that it costs the same however many objects the map has."""
    rows = []
    for way, name in decide.WAYS.items():
        few, many, spread = decide.measured(way)
        peer = Measured(f"the same with {decide.FEW} objects", few)
        title = f"{name}; {decide.MANY:,} objects in the map"
        rows.append(at_most(title, Measured("ours", many), peer, "us", 1.1))
        rows.append(at_most(f"{title}, all of them written", Measured("ours", spread), peer, "us", 0))
    return rows


def states(world: BenchWorld) -> list[Row]:
    """States on disk with very many records: memory of a worker, and how long opening takes."""
    found = state.measured(world)
    print(f"states: {found}", flush=True)
    many = f"{state.RECORDS:,} records"
    bars = (
        ("resident memory, just opened from the log", found.opened_mib, "MiB", 700.0),
        (f"resident memory, after {2 * state.CHANGES:,} changes", found.worked_mib, "MiB", 700.0),
        ("start without a checkpoint", found.from_log_s, "s", 60.0),
        ("start with a checkpoint", found.after_stop_s, "s", 5.0),
        ("start after a SIGKILL", found.after_kill_s, "s", 60.0),
        ("first commit elsewhere after a SIGKILL", found.elsewhere_s, "s", 15.0),
        ("commits of all its slots elsewhere after a SIGKILL", found.all_elsewhere_s, "s", 0.0),
    )
    rows = [
        at_most(f"{name}; {many}", Measured("ours", value), NOBODY, unit, bar)
        for name, value, unit, bar in bars
    ]
    rate = Measured("ours", found.changes_per_s)
    name = f"changes of records that are on disk only; {many}"
    return [*rows, at_least(name, rate, NOBODY, "changes/s", 0)]


ALONE = {"codec": codec.codec, "decide": decisions, "wide": times.many_partitions, "pages": pages.pages}
"""Parts that need no Kafka, or bring one of their own."""
PARTS = {
    "agents": rates.agents,
    "beside": rates.beside,
    "kinds": rates.kinds,
    "workers": rates.workers,
    "latency": times.latency,
    "kills": kill_test,
    "states": states,
    "flat": flat.flat,
    "adopting": adopting.adopting,
    "governing": governing.governing,
}
SLOTS_OF = {"states": state.SLOTS}


def main(wanted: Sequence[str]) -> int:
    """Run the wanted parts, all by default; exit status 1 when a bar was not reached.

    A part and its peers run in one go on a Kafka of their own; rows of parts not run are kept as they were.
    """
    rows: list[Row] = []
    for name in wanted or (*ALONE, *PARTS):
        if name in ALONE:
            rows += ALONE[name]()
        else:
            home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
            try:
                with BenchWorld(home, slots=SLOTS_OF.get(name, SLOTS)) as world:
                    rows += PARTS[name](world)
            finally:
                shutil.rmtree(home, ignore_errors=True)
        written(rows)
    return 0 if all(row.held for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
