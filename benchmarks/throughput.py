"""Changes per second: the gate, exactly once with ledger and state, beside stock Faust agents."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.world import KEYS, BenchWorld
from schemas.registry import envelopes

OURS, FAUST, PASSED = 150_000, 30_000, 150_000
FIRST_MS = 200
"""What a peer commits in its first moment is not counted: it was read while it started."""
POLL_S = 2.0
"""Between two looks at the ledger, which cost the two processors something."""
PEER = Path(__file__).parent / "peers" / "stock_faust.py"


def gate_rate(
    world: BenchWorld, first: int, count: int = OURS, *, foreign: bool = False, keys: int = KEYS
) -> float:
    """Changes per second of one gate worker, by the broker's append times of its ledger records."""
    before = sum(entry["received"] for _, entry in _ledger(world))
    world.fill(first, count, foreign=foreign, keys=keys)
    world.start_gate()
    try:
        deadline = time.monotonic() + 180
        while sum(entry["received"] for _, entry in _ledger(world)) < before + count:
            if time.monotonic() > deadline:
                raise TimeoutError(world.machine.supervisor.log_tail("gate"))
            time.sleep(POLL_S)
    finally:
        world.stop_gate()
    skipped, batches = 0, []
    for appended_ms, entry in sorted(_ledger(world), key=lambda pair: pair[0]):
        if skipped < before:
            skipped += entry["received"]
        else:
            batches.append((appended_ms, entry["received"]))
    # The first commit starts the clock, so what it held is not counted: starting up is no throughput.
    seconds = (batches[-1][0] - batches[0][0]) / 1000
    return sum(received for _, received in batches[1:]) / seconds


def sink_rate(world: BenchWorld, sink: str, count: int) -> float:
    """Records per second that a peer committed to its sink, by the broker's append times; waits until all are there."""
    deadline = time.monotonic() + 180
    while len(appended := sorted(m.timestamp()[1] for m in world.read(sink))) < count:
        if time.monotonic() > deadline:
            msg = f"{len(appended)} of {count} records are in {sink}"
            raise TimeoutError(msg)
        time.sleep(POLL_S)
    # As with ours, the first commit starts the clock.
    later = [at for at in appended if at > appended[0] + FIRST_MS]
    return len(later) / ((appended[-1] - appended[0] - FIRST_MS) / 1000)


def passthrough_rate(world: BenchWorld, run: str, count: int = PASSED) -> float:
    """Records per second of librdkafka that only passes them on."""
    source, sink = f"pass-{run}.in", f"pass-{run}.out"
    for topic in (source, sink):
        world.make_topic(topic)
    world.fill(0, count, one_topic=source)
    settings = world.machine.settings
    environment = {
        **os.environ,
        "BOOTSTRAP": settings.bootstrap,
        "PASSWORD": settings.password("admin"),
        "APP": f"pass-{run}",
        "SOURCE": source,
        "SINK": sink,
    }
    peer = subprocess.Popen([sys.executable, str(PEER.with_name("passthrough.py"))], env=environment)
    try:
        return sink_rate(world, sink, count)
    finally:
        peer.terminate()
        peer.wait(20)


def _ledger(world: BenchWorld) -> list[tuple[int, dict[str, int]]]:
    return [(m.timestamp()[1], envelopes().codec.decode(m.value())) for m in world.read("ledger")]


def faust_rate(world: BenchWorld, run: int, job: str, *, foreign: bool = False) -> float:
    """Events per second of a stock Faust agent on the same records; the jobs are told in peers/stock_faust.py."""
    name = f"faust.{job}.{'foreign' if foreign else 'own'}.{run}"
    source, sink = f"{name}.in", f"{name}.out"
    for topic in (source, sink, f"{name}-accepted-changelog"):
        world.make_topic(topic)
    world.fill(0, FAUST, one_topic=source, foreign=foreign)
    settings = world.machine.settings
    environment = {
        **os.environ,
        "BOOTSTRAP": settings.bootstrap,
        "PASSWORD": settings.password("admin"),
        "APP": name,
        "DATADIR": str(settings.home / name),
        "JOB": job,
        "SOURCE": source,
        "SINK": sink,
        "COUNT": str(FAUST),
    }
    done = subprocess.run(
        [sys.executable, str(PEER)], env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RATE ")), None)
    if line is None:
        msg = f"the stock Faust agent gave no figure: {done.stdout[-500:]}{done.stderr[-500:]}"
        raise RuntimeError(msg)
    return float(line.split()[1])
