"""Runs the Kafka Streams peer: jars by jgo, compiled by the javac of this machine; absent = said loudly."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.latency import Latency, paced
from benchmarks.peer import fill, running, sink_rate, topics
from benchmarks.records import MAP
from benchmarks.work import Work
from benchmarks.world import BenchWorld
from tests.java import compiled

SOURCE = Path(__file__).parent / "peers" / "KafkaStreamsGate.java"
NEEDED = (("org.apache.kafka", "kafka-streams", "4.1.0"), ("org.apache.avro", "avro", "1.12.0"))


def streams_latency(world: BenchWorld, first: int, run: str, commit_ms: int | None = None) -> Latency:
    """Latency of the same topology in Kafka Streams, exactly_once_v2; new topics each run."""
    source, sink = topics(world, f"streams-{run}", "held")
    with _running(world, run, "own", commit_ms, "latest"):
        time.sleep(8)
        return paced(world, first, [(source, "account")], [sink])


def streams_rate(world: BenchWorld, run: str, work: Work, count: int, commit_ms: int | None = None) -> float:
    """Changes per second of one thread that finds them in its topic."""
    source, sink = topics(world, f"streams-{run}", "held")
    fill(world, source, work, count)
    with _running(world, run, work.job, commit_ms, "earliest"):
        return sink_rate(world, sink, work, count)


@contextmanager
def _running(world: BenchWorld, run: str, job: str, commit_ms: int | None, start_from: str) -> Iterator[None]:
    with compiled(SOURCE, *NEEDED) as classpath, tempfile.TemporaryDirectory() as folder:
        environment = {
            "SOURCE": f"streams-{run}.in",
            "SINK": f"streams-{run}.out",
            "HELD": f"streams-{run}.held",
            "STATE": f"{folder}/state",
            "APPLICATION": f"streams-gate-{run}",
            "FROM": start_from,
            "JOB": job,
            "SCHEMA": str(MAP / "account.avsc"),
            **({"COMMIT_MS": str(commit_ms)} if commit_ms else {}),
        }
        with running(world, ["java", "-cp", classpath, "KafkaStreamsGate"], environment):
            yield
