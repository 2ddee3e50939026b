"""20,000 changes under five SIGKILLs of the gate, judged by a program that knows nothing of the product."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.world import BenchWorld

CHANGES, KILLS, PER_SECOND = 20_000, 5, 700
JUDGE = Path(__file__).parent / "history.py"


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
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.jsonl"
        deadline = time.monotonic() + 120
        while True:
            outcomes = _write(world, history, sent)
            if outcomes >= CHANGES or time.monotonic() > deadline:
                break
            time.sleep(1)
        world.stop_gate()
        done = subprocess.run(
            [sys.executable, "-I", str(JUDGE), str(history)], capture_output=True, text=True, check=False
        )
    return {**json.loads(done.stdout), "kills": kills}


def _publish(world: BenchWorld, first: int, sent: list[dict[str, Any]]) -> None:
    from confluent_kafka import Producer

    from benchmarks.world import PARTITIONS
    from schemas.keys import partition_of

    producer = Producer({**world.options(), "linger.ms": 5, "enable.idempotence": True})
    start = time.perf_counter()
    for index in range(CHANGES):
        number = first + index
        system, key, value, headers = world.record(number, foreign=True)
        while start + index / PER_SECOND > time.perf_counter():
            time.sleep(0.002)
        event = headers[1][1].decode()
        sent.append(
            {"kind": "sent", "writer": system, "key": key.decode(), "event": event, "owner": system == "crm"}
        )
        producer.produce(
            f"changes.{system}.account", value, key, partition_of(key, PARTITIONS), headers=headers
        )
        producer.poll(0)
    assert producer.flush(60) == 0


def _write(world: BenchWorld, history: Path, sent: list[dict[str, Any]]) -> int:
    """Dump what was sent and what a read_committed reader sees; returns how many sent events have an outcome."""
    events = {(line["writer"], line["event"]) for line in sent}
    found = 0
    with history.open("w", encoding="utf-8") as out:
        for line in sent:
            out.write(json.dumps(line) + "\n")
        for message in world.read("authoritative.account"):
            headers = {name: value.decode() for name, value in message.headers()}
            writer, _, event = headers["ce_causationid"].partition("/")
            if (writer, event) in events and "ce_reassert" not in headers:
                found += 1
            out.write(
                json.dumps(
                    {
                        "kind": "revision",
                        "writer": writer,
                        "event": event,
                        "key": message.key().decode(),
                        "revision": int(headers["ce_revision"]),
                        "partition": message.partition(),
                        "offset": message.offset(),
                        "again": "ce_reassert" in headers,
                    }
                )
                + "\n"
            )
        for message in world.read("quarantine"):
            case = world.registry.codec.decode(message.value())
            if (case["system"], case["event_id"]) in events:
                found += 1
                out.write(
                    json.dumps({"kind": "held", "writer": case["system"], "event": case["event_id"]}) + "\n"
                )
    return found
