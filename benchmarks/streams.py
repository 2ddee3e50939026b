"""Runs the Kafka Streams peer: jars by jgo, compiled by the javac of this machine; absent = said loudly."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from benchmarks.latency import Latency, paced
from benchmarks.peer import fill, running, sink_rate, topics
from benchmarks.records import MAP
from benchmarks.work import Work
from benchmarks.world import BenchWorld

SOURCE = Path(__file__).parent / "peers" / "KafkaStreamsGate.java"
CACHE = Path.home() / ".cache" / "solesource" / "bench-jars"
NEEDED = (("org.apache.kafka", "kafka-streams", "4.1.0"), ("org.apache.avro", "avro", "1.12.0"))


def available() -> bool:
    """Whether this machine can compile Java."""
    return shutil.which("javac") is not None and shutil.which("java") is not None


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
    jars = _jars()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", jars, "-d", folder, str(SOURCE)], check=True)  # noqa: S607 - javac of this machine
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
        with running(world, ["java", "-cp", f"{jars}:{folder}", "KafkaStreamsGate"], environment):
            yield


def _jars() -> str:
    context = MavenContext(repo_cache=CACHE, resolver=PythonResolver())
    wanted = [
        Dependency(context.project(group, name).at_version(version).artifact())
        for group, name, version in NEEDED
    ]
    _, needed = context.resolver.resolve(wanted)
    artifacts = [dependency.artifact for dependency in (*wanted, *needed)]
    return ":".join(dict.fromkeys(str(artifact.resolve()) for artifact in artifacts))
