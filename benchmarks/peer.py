"""Runs the peers that are Python programs, and times what any peer writes to its sink."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.records import KEYS, MAP
from benchmarks.throughput import POLL_S, WAIT_S_MAX
from benchmarks.work import Work
from benchmarks.world import BenchWorld

FAUST, QUIX, PASSED = 30_000, 60_000, 150_000
FIRST_MS = 200
"""What a peer commits in its first moment is not counted: it was read while it started."""
FOLDER = Path(__file__).parent / "peers"


def topics(world: BenchWorld, run: str, *more: str) -> tuple[str, str]:
    """New topics of one run: where a peer reads, where it writes."""
    for end in ("in", "out", *more):
        world.make_topic(f"{run}.{end}")
    return f"{run}.in", f"{run}.out"


def fill(world: BenchWorld, source: str, work: Work, count: int) -> None:
    """The work's records, the first ones before them."""
    if work.first_ones is not None:
        world.fill(0, KEYS, work.first_ones, source)
    world.fill(0, count, work.make, source)


def sink_rate(world: BenchWorld, sink: str, work: Work, count: int) -> float:
    """Records per second that a peer was done with, by the broker's append times in its sink; waits for the last."""
    skipped = KEYS if work.first_ones is not None else 0
    wanted = skipped + round(count * work.leaves)
    deadline = time.monotonic() + WAIT_S_MAX
    while len(appended := sorted(m.timestamp()[1] for m in world.read(sink))) < wanted:
        if time.monotonic() > deadline:
            msg = f"{len(appended)} of {wanted} records are in {sink}"
            raise TimeoutError(msg)
        time.sleep(POLL_S)
    began = appended[skipped] + FIRST_MS
    later = sum(1 for at in appended if at > began)
    return float(later / work.leaves / ((appended[-1] - began) / 1000))


@contextmanager
def running(world: BenchWorld, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """A peer while it runs."""
    settings = world.machine.settings
    access = {"BOOTSTRAP": settings.bootstrap, "PASSWORD": settings.password("admin")}
    peer = subprocess.Popen(
        command,
        env={**os.environ, **access, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        peer.terminate()
        try:
            peer.wait(20)
        except subprocess.TimeoutExpired:
            peer.kill()
            peer.wait(20)


def librdkafka_rate(world: BenchWorld, run: str, work: Work, program: str) -> float:
    """What librdkafka makes of it: `passthrough` only passes records on, `decided` is another design of the gate."""
    name = f"{program}.{run}"
    source, sink = topics(world, name)
    fill(world, source, work, PASSED)
    environment = {"APP": name, "SOURCE": source, "SINK": sink, "MAP": str(MAP)}
    with running(world, [sys.executable, "-m", f"benchmarks.peers.{program}"], environment):
        return sink_rate(world, sink, work, PASSED)


def faust_rate(world: BenchWorld, run: str, work: Work, job: str) -> float:
    """A stock Faust agent; the jobs are told in peers/stock_faust.py."""
    name = f"faust.{job}.{run}"
    source, sink = topics(world, name)
    world.make_topic(f"{name}-accepted-changelog")
    fill(world, source, work, FAUST)
    home = str(world.machine.settings.home / name)
    environment = {"APP": name, "DATADIR": home, "JOB": job, "SOURCE": source, "SINK": sink}
    with running(world, [sys.executable, str(FOLDER / "stock_faust.py")], environment):
        return sink_rate(world, sink, work, FAUST)


def quix_available() -> bool:
    """Whether an environment with Quix Streams was named."""
    return "QUIX_PYTHON" in os.environ


def quix_rate(world: BenchWorld, run: str, work: Work) -> float:
    """Quix Streams with exactly-once."""
    name = f"quix.{run}"
    source, sink = topics(world, name)
    fill(world, source, work, QUIX)
    home = str(world.machine.settings.home / name)
    environment = {"APP": name, "DATADIR": home, "SOURCE": source, "SINK": sink}
    with running(world, [os.environ["QUIX_PYTHON"], str(FOLDER / "quix.py")], environment):
        return sink_rate(world, sink, work, QUIX)
