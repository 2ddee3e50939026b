"""States on disk: what a worker takes of memory with very many records, and how long it takes to open.

Records go straight into the authoritative topic, made by the gate's own short way; then as many changes as there are
records go through the gate.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.records import MAP, Maker
from benchmarks.throughput import gate_rate, ledger
from benchmarks.world import PARTITIONS, BenchWorld
from broker import topics
from broker.gate.express import express
from broker.rules import rules_of
from schemas.keys import partition_of

RECORDS = 1_000_000
CHANGES = 200_000
"""Each of another record, so that none is in memory when it comes."""
OPEN_S_MAX = 600.0
SLOTS = 16
"""As many as a cluster has by default: workers divide them, and each opens by itself."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was measured: seconds from the start of the process until every slot is open, and MiB of memory."""

    from_log_s: float
    after_stop_s: float
    after_kill_s: float
    opened_mib: float
    worked_mib: float
    most_mib: float
    changes_per_s: float
    """Of records that are on disk only."""
    elsewhere_s: float
    """From the SIGKILL of one of two workers until the other, which has no states of them, commits a change of its
    slots."""
    all_elsewhere_s: float
    """The same, until it has committed one of each of its slots."""


def measured(world: BenchWorld, records: int = RECORDS, changes: int = CHANGES) -> Opened:
    """Fill the topic, open from the log, work, stop, open from a checkpoint, kill, open again."""
    _fill(world, records)
    from_log_s = _started(world)
    opened_mib, _ = memory(world)
    world.stop_gate()
    rate = gate_rate(world, records, changes, Maker(world.registry, keys=records).own)
    after_stop_s = _started(world)
    world.fill(records + changes, changes, Maker(world.registry, keys=records).own)
    _settled(world)
    worked_mib, most_mib = memory(world)
    before = _openings(world)
    pid = world.machine.supervisor.pid("gate")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    after_kill_s = _until_open(world, before)
    world.stop_gate()
    maker = Maker(world.registry, keys=records)
    first_s, all_s = _elsewhere(world, records + 2 * changes, maker)
    return Opened(
        from_log_s, after_stop_s, after_kill_s, opened_mib, worked_mib, most_mib, rate, first_s, all_s
    )


def _elsewhere(world: BenchWorld, number: int, maker: Maker) -> tuple[float, float]:
    """(first, all): seconds from the SIGKILL of one worker until the other commits changes of its slots."""
    home = world.machine.settings.home
    workers = [world.gate_elsewhere(home / name) for name in ("one", "other")]
    try:
        owned = _shared(world, number, maker, workers)
        killed_ms = time.time() * 1000
        workers[0].kill()
        slots = {slot for slot, pid in owned.items() if pid == workers[0].pid}
        world.fill(number + 10_000, 1000, maker.own)
        at_ms: dict[int, int] = {}
        while at_ms.keys() != slots:
            if time.time() * 1000 - killed_ms > OPEN_S_MAX * 1000:
                raise TimeoutError((home / "other" / "gate.log").read_text()[-2000:])
            time.sleep(0.5)
            at_ms = {}
            for appended_ms, entry in ledger(world):
                if entry["slot"] in slots and entry["worker"].endswith(f":{workers[1].pid}"):
                    at_ms.setdefault(entry["slot"], appended_ms)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)
    waited = [(at - killed_ms) / 1000 for at in at_ms.values()]
    return min(waited), max(waited)


def _shared(
    world: BenchWorld, number: int, maker: Maker, workers: Sequence[subprocess.Popen[bytes]]
) -> dict[int, int]:
    """Slot to the process that has it, once both have some and are at work."""
    for turn in range(int(OPEN_S_MAX / 5)):
        world.fill(number + turn * 100, 100, maker.own)
        time.sleep(5)
        last = {entry["slot"]: int(entry["worker"].rpartition(":")[2]) for _, entry in ledger(world)}
        if set(last.values()) == {worker.pid for worker in workers}:
            return last
    raise TimeoutError


def _fill(world: BenchWorld, records: int) -> None:
    documents = {path.name: path.read_text("utf-8") for path in MAP.iterdir()}
    plan = rules_of(documents, 1).express["crm", "account"]
    producer = Producer({**world.options(), "linger.ms": 20, "queue.buffering.max.messages": 400_000})
    maker = Maker(world.registry, keys=records)
    for number in range(records):
        _, key, value, headers = maker.own(number)
        made = express(plan, None, key, value, tuple(headers), 1_764_000_000_000)
        assert made is not None
        _, revision = made
        producer.produce(
            "authoritative.account",
            value,
            key,
            partition_of(key, PARTITIONS),
            headers=list(revision.headers),
        )
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def _log(world: BenchWorld) -> Path:
    return world.machine.supervisor.home / "logs" / "gate.log"


def _openings(world: BenchWorld) -> int:
    log = _log(world)
    return log.read_text("utf-8").count('"slot.opened"') if log.exists() else 0


def _started(world: BenchWorld) -> float:
    before = _openings(world)
    world.start_gate()
    return _until_open(world, before)


def _until_open(world: BenchWorld, before: int) -> float:
    """Seconds until every slot that has records has been opened once more."""
    started = time.monotonic()
    busy = {topics.slot_of("account", partition, SLOTS) for partition in range(PARTITIONS)}
    while _openings(world) < before + len(busy):
        if time.monotonic() - started > OPEN_S_MAX:
            raise TimeoutError(world.machine.supervisor.log_tail("gate"))
        time.sleep(0.05)
    return time.monotonic() - started


def _settled(world: BenchWorld) -> None:
    """Wait until the ledger does not grow any more."""
    count = -1
    while (now := sum(1 for _ in world.read("ledger"))) != count:
        count = now
        time.sleep(3.0)


def memory(world: BenchWorld) -> tuple[float, float]:
    """(resident now, most so far) of the worker, in MiB."""
    pid = world.machine.supervisor.pid("gate")
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024
