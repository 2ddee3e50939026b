"""20,000 changes under five SIGKILLs of the gate, judged by a program that knows nothing of the product."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.world import BenchWorld
from schemas.registry import envelopes
from tests.chaos.history import FINDINGS
from tests.chaos.recorder import Recorder
from tests.chaos.report import judged

CHANGES, KILLS, PER_SECOND = 20_000, 5, 700


def killed(world: BenchWorld, first: int) -> dict[str, Any]:
    """Run it and return the judge's findings."""
    sent: list[dict[str, Any]] = []
    publisher = threading.Thread(target=_publish, args=(world, first, sent))
    world.start_gate()
    time.sleep(4)
    publisher.start()
    kills = 0
    while publisher.is_alive() and kills < KILLS:
        time.sleep(CHANGES / PER_SECOND / (KILLS + 1))
        pid = world.machine.supervisor.pid("gate")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    publisher.join()
    deadline = time.monotonic() + 120
    while _judged(world) < CHANGES and time.monotonic() < deadline:
        time.sleep(1)
    world.stop_gate()
    recorder = Recorder(world.options(), world.registry, "account")
    lines = [{"kind": "history", "holds": ["inputs", "ledger", "refusals"], "readers": []}, *sent]
    lines += recorder.lines(("crm", "shop"))
    lines.append({"kind": "end", "lines": len(lines) + 1})
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.jsonl"
        history.write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = judged(history)
    return {**{name: found[name] for name in ("in", "revisions", "outcomes", *FINDINGS)}, "kills": kills}


def _judged(world: BenchWorld) -> int:
    """Changes that the ledger accounts for."""
    codec = envelopes().codec
    return sum(codec.decode(message.value())["received"] for message in world.read("ledger"))


def _publish(world: BenchWorld, first: int, sent: list[dict[str, Any]]) -> None:
    from confluent_kafka import Producer

    from benchmarks.world import PARTITIONS
    from schemas.keys import partition_of

    producer = Producer({**world.options(), "linger.ms": 5, "enable.idempotence": True})
    start = time.perf_counter()
    for index in range(CHANGES):
        system, key, value, headers = world.records.own_or_foreign(first + index)
        while start + index / PER_SECOND > time.perf_counter():
            time.sleep(0.002)
        line = {
            "kind": "sent",
            "writer": system,
            "key": key.decode(),
            "event": headers[1][1].decode(),
            "fields": world.registry.codec.decode(value),
            "deletes": False,
        }

        def delivered(error: Any, message: Any, line: dict[str, Any] = line) -> None:
            where = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            sent.append({**line, "kind": "unsure"} if error else {**line, **where})

        place = partition_of(key, PARTITIONS)
        producer.produce(
            f"changes.{system}.account", value, key, place, headers=headers, on_delivery=delivered
        )
        producer.poll(0)
    assert producer.flush(60) == 0
