"""Runs the Kafka Streams peer: jars by jgo, compiled by the javac of this machine; absent = said loudly."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from benchmarks.latency import Latency, paced
from benchmarks.throughput import sink_rate
from benchmarks.world import BenchWorld

SOURCE = Path(__file__).parent / "peers" / "KafkaStreamsGate.java"
CACHE = Path.home() / ".cache" / "solesource" / "bench-jars"
VERSION = "4.1.0"


def available() -> bool:
    """Whether this machine can compile Java."""
    return shutil.which("javac") is not None and shutil.which("java") is not None


def streams_latency(world: BenchWorld, first: int, run: str, commit_ms: int | None = None) -> Latency:
    """Latency of the same topology in Kafka Streams, exactly_once_v2; new topics each run."""
    source, sink = _topics(world, run)
    with _running(world, run, commit_ms, "latest"):
        time.sleep(8)
        return paced(world, first, [(source, "account")], [sink])


def streams_rate(world: BenchWorld, run: str, count: int, commit_ms: int | None = None) -> float:
    """Changes per second of one thread that finds them in its topic."""
    source, sink = _topics(world, run)
    world.fill(0, count, one_topic=source)
    with _running(world, run, commit_ms, "earliest"):
        return sink_rate(world, sink, count)


def _topics(world: BenchWorld, run: str) -> tuple[str, str]:
    for end in ("in", "out", "held"):
        world.make_topic(f"streams-{run}.{end}")
    return f"streams-{run}.in", f"streams-{run}.out"


@contextmanager
def _running(world: BenchWorld, run: str, commit_ms: int | None, start_from: str) -> Iterator[None]:
    jars = _jars()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", jars, "-d", folder, str(SOURCE)], check=True)  # noqa: S607 - javac of this machine
        settings = world.machine.settings
        environment = {
            **os.environ,
            "BOOTSTRAP": settings.bootstrap,
            "PASSWORD": settings.password("admin"),
            "SOURCE": f"streams-{run}.in",
            "SINK": f"streams-{run}.out",
            "HELD": f"streams-{run}.held",
            "STATE": f"{folder}/state",
            "APPLICATION": f"streams-gate-{run}",
            "FROM": start_from,
            **({"COMMIT_MS": str(commit_ms)} if commit_ms else {}),
        }
        command = ["java", "-cp", f"{jars}:{folder}", "KafkaStreamsGate"]
        peer = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            peer.terminate()
            peer.wait(20)


def _jars() -> str:
    context = MavenContext(repo_cache=CACHE, resolver=PythonResolver())
    component = context.project("org.apache.kafka", "kafka-streams").at_version(VERSION)
    wanted = Dependency(component.artifact())
    _, needed = context.resolver.resolve([wanted])
    artifacts = [component.artifact(), *(dependency.artifact for dependency in needed)]
    return ":".join(str(artifact.resolve()) for artifact in artifacts)
