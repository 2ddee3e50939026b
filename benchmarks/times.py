"""How long a change takes at 1,000 a second, beside Kafka Streams with its defaults and tuned."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks import streams, wide
from benchmarks.latency import Latency, gate_latency
from benchmarks.rates import ABSENT, ROUNDS, TUNED_MS
from benchmarks.rows import NOBODY, Measured, Row, at_most
from benchmarks.throughput import OURS, gate_rate
from benchmarks.world import BenchWorld
from tests import java

SPREAD = 50_000
"""Numbers of records that one turn may use."""
WARM_TURN = -1
FIRST = 10 * OURS
"""The first number after those that warmed Kafka up."""


def latency(world: BenchWorld) -> list[Row]:
    """In turns, on a Kafka that has been at work for a while: a new Java process is not what anybody runs."""
    _warmed(world)
    defaults = "Kafka Streams exactly_once_v2, defaults"
    tuned = f"Kafka Streams, commits every {TUNED_MS} ms"
    who: dict[str, Callable[[int], Latency]] = {"ours": lambda turn: _gate(world, turn)}
    if java.available():
        who[defaults] = lambda turn: streams.streams_latency(world, FIRST, f"defaults-{turn}")
        who[tuned] = lambda turn: streams.streams_latency(world, FIRST, f"tuned-{turn}", TUNED_MS)
    else:
        print(ABSENT.format("javac", "Kafka Streams"), flush=True)
    found: dict[str, list[Latency]] = {name: [] for name in who}
    for name, measure in who.items():  # the way of small transactions has to be warm, too, for everybody
        print(f"warming up: {name} {_said(measure(WARM_TURN))}", flush=True)
    for turn in range(ROUNDS):
        for name, measure in who.items():
            found[name].append(measure(turn))
            print(f"round {turn + 1} of {ROUNDS}: {name} {_said(found[name][-1])}", flush=True)
    rows = []
    for percentile, bars in (("p50_ms", (0.0, 0.0)), ("p99_ms", (0.5, 0.8))):
        for peer, bar, title in ((defaults, bars[0], "with defaults"), (tuned, bars[1], "tuned")):
            name = f"end to end at 1,000/s, {percentile.removesuffix('_ms')}; beside Kafka Streams {title}"
            theirs = _median(peer, found[peer], percentile) if peer in found else NOBODY
            rows.append(
                at_most(
                    name, _median("ours", found["ours"], percentile), theirs, "ms", bar if theirs.value else 0
                )
            )
    return rows


def many_partitions() -> list[Row]:
    """1,000/s over 64 partitions of 16 objects, on a Kafka of its own."""
    home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
    found = []
    try:
        with BenchWorld(home / "world", wide.write_map(home / "map")) as world:
            _warmed(world)
            world.start_gate()
            for turn in range(ROUNDS):
                found.append(gate_latency(world, FIRST + turn * SPREAD, wide.names()))
                print(f"round {turn + 1} of {ROUNDS}: {_said(found[-1])}", flush=True)
            world.stop_gate()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    name = f"1,000/s over {4 * wide.OBJECTS} partitions of {wide.OBJECTS} objects"
    return [
        at_most(
            f"{name}, {percentile.removesuffix('_ms')}", _median("ours", found, percentile), NOBODY, "ms", bar
        )
        for percentile, bar in (("p50_ms", 0), ("p99_ms", 150))
    ]


def _warmed(world: BenchWorld) -> None:
    for turn in range(2):
        rate = gate_rate(world, turn * OURS, OURS, world.records.own)
        print(f"warming up Kafka: {rate:.0f}/s", flush=True)


def _gate(world: BenchWorld, turn: int) -> Latency:
    world.start_gate()
    try:
        return gate_latency(world, FIRST + turn * SPREAD)
    finally:
        world.stop_gate()


def _said(found: Latency) -> str:
    return f"p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms"


def _median(who: str, found: Sequence[Latency], percentile: str) -> Measured:
    turns = [getattr(one, percentile) for one in found]
    return Measured(who, median(turns), turns)
