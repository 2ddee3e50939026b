"""Runs the Kafka Streams peer: jars by jgo, compiled by the javac of this machine; absent = said loudly."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from benchmarks.latency import Latency, paced
from benchmarks.world import BenchWorld

SOURCE = Path(__file__).parent / "peers" / "KafkaStreamsGate.java"
CACHE = Path.home() / ".cache" / "solesource" / "bench-jars"
VERSION = "4.1.0"


def available() -> bool:
    """Whether this machine can compile Java."""
    return shutil.which("javac") is not None and shutil.which("java") is not None


def streams_latency(world: BenchWorld, first: int, turn: int = 0) -> Latency:
    """Latency of the same topology in Kafka Streams, exactly_once_v2, with its defaults; new topics each turn."""
    source, sink, held = (f"streams-{turn}.{end}" for end in ("in", "out", "held"))
    for name in (source, sink, held):
        world.make_topic(name)
    jars = _jars()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", jars, "-d", folder, str(SOURCE)], check=True)  # noqa: S607 - javac of this machine
        settings = world.machine.settings
        environment = {
            **os.environ,
            "BOOTSTRAP": settings.bootstrap,
            "PASSWORD": settings.password("admin"),
            "SOURCE": source,
            "SINK": sink,
            "HELD": held,
            "STATE": f"{folder}/state",
            "APPLICATION": f"streams-gate-{turn}",
        }
        command = ["java", "-cp", f"{jars}:{folder}", "KafkaStreamsGate"]
        peer = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(8)
            return paced(world, first, source, sink)
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
