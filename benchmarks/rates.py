"""How many changes a second: the gate and its peers in turns, so that a slow minute of the machine meets all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from benchmarks import peer, streams, work
from benchmarks.records import MAP, write_map_of_three_owners
from benchmarks.rows import Measured, Row, at_least
from benchmarks.throughput import OURS, first_ones, gate_rate
from benchmarks.world import BenchWorld
from tests import java

ROUNDS = 5
TUNED_MS = 25
ABSENT = "ABSENT: {}, so {} was not measured (1 counterpart)"
STREAMS = f"Kafka Streams, commits every {TUNED_MS} ms, one thread"
Rate = Callable[[int], float]
"""Changes per second in the n-th turn."""


def in_turns(rates: Mapping[str, Rate], rounds: int = ROUNDS) -> dict[str, Measured]:
    """The median of every one's turns."""
    turns: dict[str, list[float]] = {who: [] for who in rates}
    for turn in range(rounds):
        for who, rate in rates.items():
            turns[who].append(rate(turn))
        figures = ", ".join(f"{who} {found[-1]:.0f}/s" for who, found in turns.items())
        print(f"round {turn + 1} of {rounds}: {figures}", flush=True)
    return {who: Measured(who, median(found), found) for who, found in turns.items()}


def _ours(world: BenchWorld, kind: work.Work, since: int = 0) -> Rate:
    return lambda turn: gate_rate(world, (since + turn) * OURS, OURS, kind.make)


def _agent(world: BenchWorld, kind: work.Work, job: str) -> Rate:
    return lambda turn: peer.faust_rate(world, f"{kind.name.split()[0]}.{turn}", kind, job)


def agents(world: BenchWorld) -> list[Row]:
    """Beside stock Faust agents; the bar is set against the one that does the same job."""
    rows = []
    for number, kind in enumerate((work.one_owner(world.registry), work.with_foreign(world.registry))):
        same = "stock Faust agent doing the same job (table, ten headers)"
        least = "stock Faust agent that forwards (dict, six headers)"
        rates: dict[str, Rate] = {
            "ours": _ours(world, kind, number * ROUNDS),
            same: _agent(world, kind, "gate"),
            least: _agent(world, kind, "forward"),
        }
        found = in_turns(rates)
        for who, bar in ((same, 0.0 if number else 10.0), (least, 0.0)):
            name = (
                f"gate throughput, {kind.name}; beside {'the' if who == same else 'the least of'} stock agent"
            )
            rows.append(at_least(name, found["ours"], found[who], "changes/s", bar))
    return rows


def beside(world: BenchWorld) -> list[Row]:
    """The owner's changes beside one thread of tuned Kafka Streams, Quix Streams, and what only passes records on."""
    kind = work.one_owner(world.registry)
    passing = "librdkafka that only passes on, at least once"
    deciding = "our short way on librdkafka, no ledger, states in a dict"
    rates: dict[str, Rate] = {
        "ours": _ours(world, kind),
        passing: lambda turn: peer.librdkafka_rate(world, str(turn), kind, "passthrough"),
        deciding: lambda turn: peer.librdkafka_rate(world, str(turn), kind, "decided"),
    }
    bars = {passing: 0.4, deciding: 0.0}
    if java.available():
        rates[STREAMS] = lambda turn: streams.streams_rate(world, f"own-{turn}", kind, OURS, TUNED_MS)
        bars[STREAMS] = 0.8
    else:
        print(ABSENT.format("javac", "Kafka Streams"), flush=True)
    if peer.quix_available():
        rates["Quix Streams, exactly once"] = lambda turn: peer.quix_rate(world, str(turn), kind)
        bars["Quix Streams, exactly once"] = 0.0
    else:
        print(ABSENT.format("QUIX_PYTHON", "Quix Streams"), flush=True)
    found = in_turns(rates)
    name = f"gate throughput, {kind.name}; beside"
    return [
        at_least(f"{name} {who.split(',')[0]}", found["ours"], found[who], "changes/s", bar)
        for who, bar in bars.items()
    ]


def kinds(world: BenchWorld) -> list[Row]:
    """Other kinds of work beside tuned Kafka Streams: larger values, echoes, fields of three owners."""
    rows = _beside_streams(world, work.large(world.registry), 0.8)
    for kind_of, map_of, bar in (
        (work.half_echo, None, 0.6),
        (work.three_owners, write_map_of_three_owners, 0.4),
    ):
        home = Path(tempfile.mkdtemp(prefix="solesource-bench-"))
        try:
            with BenchWorld(home / "world", map_of(home / "map") if map_of else MAP) as fresh:
                kind = kind_of(fresh.registry)
                first_ones(fresh, kind)
                rows += _beside_streams(fresh, kind, bar)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return rows


def _beside_streams(world: BenchWorld, kind: work.Work, bar: float) -> list[Row]:
    rates: dict[str, Rate] = {"ours": _ours(world, kind)}
    if java.available():
        rates[STREAMS] = lambda turn: streams.streams_rate(world, f"{kind.job}-{turn}", kind, OURS, TUNED_MS)
    found = in_turns(rates)
    if STREAMS not in found:
        print(ABSENT.format("javac", "Kafka Streams"), flush=True)
        return []
    name = f"gate throughput, {kind.name}; beside tuned Kafka Streams"
    return [at_least(name, found["ours"], found[STREAMS], "changes/s", bar)]


def workers(world: BenchWorld) -> list[Row]:
    """Two workers beside one, on the same machine as Kafka."""
    kind = work.one_owner(world.registry)
    found = in_turns(
        {
            "two workers": lambda turn: gate_rate(world, 2 * turn * OURS, OURS, kind.make, workers=2),
            "one worker": lambda turn: gate_rate(world, (2 * turn + 1) * OURS, OURS, kind.make),
        }
    )
    name = "gate throughput, two workers beside one"
    return [at_least(name, found["two workers"], found["one worker"], "changes/s", 1.5)]
