"""End to end at 1,000 changes a second: from produce to a read_committed reader, in ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer

from benchmarks.records import Maker
from benchmarks.world import PARTITIONS, BenchWorld
from schemas.keys import partition_of

RATE, SECONDS, WARM_SECONDS = 1000, 15, 5


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one run."""

    p50_ms: float
    p99_ms: float
    count: int


def gate_latency(world: BenchWorld, first: int, objects: Sequence[str] = ("account",)) -> Latency:
    """Latency of our gate over the topics of some objects, in turn."""
    places = [(f"changes.crm.{name}", name) for name in objects]
    return paced(world, first, places, [f"authoritative.{name}" for name in objects])


def paced(world: BenchWorld, first: int, sources: Sequence[tuple[str, str]], sinks: Sequence[str]) -> Latency:
    """Publish owner's changes at a steady rate and time each one at the sink topics, after a warm-up.

    `sources`: topic and object, in turn.
    """
    began: dict[bytes, float] = {}
    seen: list[float] = []
    ended = threading.Event()
    reader = threading.Thread(target=_read, args=(world, sinks, began, seen, ended), daemon=True)
    reader.start()
    time.sleep(5)  # whoever is measured has started, and the reader stands at the end of the topic
    producer = Producer({**world.options(), "linger.ms": 0})
    makers = {name: Maker(world.registry, name) for _, name in sources}
    start = time.perf_counter()
    for index in range(RATE * (SECONDS + WARM_SECONDS)):
        source, object_name = sources[index % len(sources)]
        _, key, value, headers = makers[object_name].own(first + index)
        due = start + index / RATE
        while (ahead := due - time.perf_counter()) > 0:
            time.sleep(min(ahead, 0.002))
        if index >= RATE * WARM_SECONDS:
            began[headers[1][1]] = time.perf_counter()
        producer.produce(source, value, key, partition_of(key, PARTITIONS), headers=headers)
        producer.poll(0)
    producer.flush(30)
    time.sleep(3)
    ended.set()
    reader.join()
    seen.sort()
    wanted = RATE * SECONDS
    assert len(seen) >= wanted * 0.999, f"only {len(seen)} of {wanted} arrived in {', '.join(sinks)}"
    return Latency(seen[len(seen) // 2] * 1000, seen[int(len(seen) * 0.99)] * 1000, len(seen))


def _read(
    world: BenchWorld,
    sinks: Sequence[str],
    began: dict[bytes, float],
    seen: list[float],
    ended: threading.Event,
) -> None:
    consumer = Consumer(
        {
            **world.options(),
            "group.id": f"latency-{time.time_ns()}",
            "auto.offset.reset": "latest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(list(sinks))
    while not ended.is_set():
        for message in consumer.consume(1000, 0.02):
            now = time.perf_counter()
            if message.error() is None:
                headers = dict(message.headers() or ())
                # Ours names the change in ce_causationid; a peer passes ce_id on as it is.
                event = headers.get("ce_causationid", headers["ce_id"]).rpartition(b"/")[2]
                if (start := began.get(event)) is not None:
                    seen.append(now - start)
    consumer.close()
