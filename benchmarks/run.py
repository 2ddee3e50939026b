"""`make bench`: every figure beside its peer, in one run with nothing else running; writes benchmarks/results.json."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import decide, state, streams, wide
from benchmarks.kills import CHANGES, killed
from benchmarks.latency import gate_latency
from benchmarks.throughput import OURS, faust_rate, gate_rate, passthrough_rate
from benchmarks.world import BenchWorld
from tests.chaos.history import FINDINGS

RESULTS = Path(__file__).parent / "results.json"
ROUNDS = 3
TUNED_MS = 25
ABSENT = "ABSENT: javac, so Kafka Streams was not measured (1 counterpart)"
JOBS = {
    "gate": ("stock Faust agent doing the same job (table, ten headers)", True),
    "forward": ("stock Faust agent that forwards (dict, six headers)", False),
}
"""Jobs of the peer: its name, and whether the bar is set against it. It is set against who does the same."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` = ours / peer; `held` = whether the bar was reached."""

    name: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    unit: str
    bar: str
    held: bool


def _row(name: str, ours: float, peer: str, peer_value: float, unit: str, bar: str, held: bool) -> Row:
    row = Row(
        name,
        round(ours, 1),
        peer,
        round(peer_value, 1),
        round(ours / peer_value, 2) if peer_value else 0.0,
        unit,
        bar,
        held,
    )
    verdict = "held" if held else "NOT HELD"
    text = f"{row.name}: {row.ours} {unit}, {peer} {row.peer_value}, ratio {row.ratio} (bar {bar}): {verdict}"
    print(text, flush=True)
    return row


def throughput(world: BenchWorld) -> list[Row]:
    """The gate and two stock Faust agents in turns, so that a slow minute of the machine meets all of them."""
    rows = []
    for foreign, name, bar in (
        (False, "gate throughput, single owner, 300 B", 10.0),
        (True, "the same with one foreign write in ten, held and answered", 0.0),
    ):
        measured: dict[str, list[float]] = {"ours": [], **{job: [] for job in JOBS}}
        for turn in range(ROUNDS):
            measured["ours"].append(gate_rate(world, (turn + ROUNDS * foreign) * OURS, foreign=foreign))
            for job in JOBS:
                measured[job].append(faust_rate(world, turn, job, foreign=foreign))
            figures = ", ".join(f"{who} {rates[-1]:.0f}/s" for who, rates in measured.items())
            print(f"round {turn + 1} of {ROUNDS}: {figures}", flush=True)
        mine = median(measured["ours"])
        for job, (peer, barred) in JOBS.items():
            theirs, least = median(measured[job]), bar if barred else 0.0
            text = f">= {least:g}x" if least else "reported"
            which = name if barred else f"{name}; beside the least of agents"
            rows.append(_row(which, mine, peer, theirs, "changes/s", text, mine >= least * theirs))
    return rows


def beside(world: BenchWorld) -> list[Row]:
    """The gate beside one thread of tuned Kafka Streams, and beside what only passes records on."""
    measured: dict[str, list[float]] = {"ours": [], "passed": [], "streams": []}
    for turn in range(ROUNDS):
        measured["ours"].append(gate_rate(world, (10 + turn) * OURS))
        measured["passed"].append(passthrough_rate(world, str(turn)))
        if streams.available():
            measured["streams"].append(streams.streams_rate(world, f"rate-{turn}", OURS, TUNED_MS))
        figures = ", ".join(f"{who} {rates[-1]:.0f}/s" for who, rates in measured.items() if rates)
        print(f"round {turn + 1} of {ROUNDS}: {figures}", flush=True)
    mine, passed = median(measured["ours"]), median(measured["passed"])
    name = "gate throughput, single owner, 300 B"
    rows = [
        _row(
            f"{name}; beside passing on",
            mine,
            "librdkafka that only passes on",
            passed,
            "changes/s",
            ">= 0.4x",
            mine >= 0.4 * passed,
        )
    ]
    if measured["streams"]:
        theirs, peer = median(measured["streams"]), f"Kafka Streams, commits every {TUNED_MS} ms, one thread"
        title = f"{name}; beside tuned Kafka Streams"
        rows.append(_row(title, mine, peer, theirs, "changes/s", ">= 0.8x", mine >= 0.8 * theirs))
    else:
        print(ABSENT, flush=True)
    return rows


def latency(world: BenchWorld) -> list[Row]:
    """At 1,000/s, beside Kafka Streams with its defaults and tuned; in turns, so that all meet the same broker."""
    ours, theirs, tuned = [], [], []
    for turn in range(ROUNDS):
        world.start_gate()
        try:
            ours.append(gate_latency(world, 1_000_000 + turn * 100_000))
        finally:
            world.stop_gate()
        if streams.available():
            theirs.append(streams.streams_latency(world, 2_000_000 + turn * 100_000, str(turn)))
            tuned.append(
                streams.streams_latency(world, 4_000_000 + turn * 100_000, f"tuned-{turn}", TUNED_MS)
            )
        print(f"round {turn + 1} of {ROUNDS}: {ours[-1]}, {theirs[-1:]}, {tuned[-1:]}", flush=True)
    if not theirs:
        print(ABSENT, flush=True)
    rows = []
    for percentile in ("p50_ms", "p99_ms"):
        mine = median(getattr(found, percentile) for found in ours)
        title = f"end to end at 1,000/s, {percentile.removesuffix('_ms')}"
        for found, peer, most, beside_ in (
            (theirs, "Kafka Streams exactly_once_v2, defaults", 0.5, ""),
            (tuned, f"Kafka Streams, commits every {TUNED_MS} ms", 0.8, "; beside the tuned one"),
        ):
            value = median(getattr(one, percentile) for one in found) if found else 0.0
            barred = percentile == "p99_ms" and bool(found)
            bar, held = (f"<= {most}x", mine <= most * value) if barred else ("reported", True)
            rows.append(_row(title + beside_, mine, peer if found else "absent", value, "ms", bar, held))
    return rows


def many_partitions() -> list[Row]:
    """1,000/s over 64 partitions of 16 objects, on a Kafka of its own."""
    home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
    found = []
    try:
        with BenchWorld(home / "world", wide.write_map(home / "map"), wide.SLOTS) as world:
            world.start_gate()
            for turn in range(ROUNDS):
                found.append(gate_latency(world, turn * 100_000, wide.names()))
                print(f"round {turn + 1} of {ROUNDS}: {found[-1]}", flush=True)
            world.stop_gate()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    p50, p99 = (median(getattr(one, name) for one in found) for name in ("p50_ms", "p99_ms"))
    name = f"1,000/s over {4 * wide.OBJECTS} partitions of {wide.OBJECTS} objects"
    return [
        _row(f"{name}, p50", p50, "none", 0, "ms", "reported", True),
        _row(f"{name}, p99", p99, "none", 0, "ms", "<= 150", p99 <= 150),
    ]


def kill_test(world: BenchWorld) -> list[Row]:
    """20,000 changes, 5 SIGKILLs, judged as a campaign is (tests/chaos/history.py)."""
    found = killed(world, 3_000_000)
    bad = sum(found[name] for name in FINDINGS)
    print(f"kill test: {found}", flush=True)
    held = bad == 0 and found["in"] == CHANGES and found["kills"] >= 5
    return [
        _row(
            f"faults found after {found['kills']} SIGKILLs in {CHANGES} changes",
            bad,
            "none",
            0,
            "faults",
            "= 0",
            held,
        )
    ]


def decisions() -> list[Row]:
    """One decision on each way, and that it costs the same however many objects the map has."""
    rows = []
    for way, name in decide.WAYS.items():
        few, many, spread = decide.measured(way)
        peer = f"the same with {decide.FEW} objects"
        title = f"{name}; {decide.MANY:,} objects in the map"
        rows.append(_row(title, many, peer, few, "us", "<= 1.1x", many <= 1.1 * few))
        rows.append(_row(f"{title}, all of them written", spread, peer, few, "us", "reported", True))
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
    )
    rows = [
        _row(f"{name}; {many}", value, "none", 0, unit, f"<= {bar:g}", value <= bar)
        for name, value, unit, bar in bars
    ]
    rate = found.changes_per_s
    return [
        *rows,
        _row(
            f"changes of records that are on disk only; {many}",
            rate,
            "none",
            0,
            "changes/s",
            "reported",
            True,
        ),
    ]


ALONE = {"decide": decisions, "wide": many_partitions}
"""Parts that need no Kafka, or bring one of their own."""
PARTS = {"throughput": throughput, "beside": beside, "latency": latency, "kills": kill_test, "states": states}


def main(wanted: Sequence[str]) -> int:
    """Run the wanted parts, all by default; exit status 1 when a bar was not reached.

    A part and its peers run in one go on a Kafka of their own; rows of parts not run are kept as they were.
    """
    rows: list[Row] = []
    for name in wanted or (*ALONE, *PARTS):
        if name in ALONE:
            rows += ALONE[name]()
            continue
        home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
        try:
            with BenchWorld(home) as world:
                rows += PARTS[name](world)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    _write(rows)
    return 0 if all(row.held for row in rows) else 1


def _write(rows: Sequence[Row]) -> None:
    known = json.loads(RESULTS.read_text("utf-8"))["rows"] if RESULTS.exists() else []
    fresh = {row.name: asdict(row) for row in rows}
    merged = [row for row in known if row["name"] not in fresh] + list(fresh.values())
    machine = {"python": platform.python_version(), "system": platform.system(), "processors": os.cpu_count()}
    RESULTS.write_text(json.dumps({"machine": machine, "rows": merged}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
