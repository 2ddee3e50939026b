"""What tests of another number of partitions share: a map of their own, systems, and how runs are made and cut."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition

from broker.clock import now_ms
from broker.kafka.estate import prepare, publish_map
from broker.repartition.run import Done, Means, repartition
from connectors.sdk.config import ConnectorConfig
from connectors.sdk.memory import MemorySink, MemorySource, memory_connector
from connectors.sdk.source import ChangeEvent
from schemas.authoritative import parse_authoritative
from schemas.version import SourceVersion, VersionKind
from tests.connector_bench import running
from tests.estate import PARTITIONS, SLOTS, Estate, map_documents


def map_folder(estate: Estate) -> Path:
    """A folder of the map in which billing reads the name only; in force."""
    documents = map_documents()
    customer = yaml.safe_load(documents["customer.yaml"])
    customer["systems"]["billing"] = {"read": ["customer_id", "name"]}
    documents["customer.yaml"] = yaml.safe_dump(customer, sort_keys=False)
    folder = estate.home / "map"
    folder.mkdir()
    for name, text in documents.items():
        (folder / name).write_text(text)
    prepare(estate.kafka.admin(), documents, estate.passwords, partitions=PARTITIONS, slots=SLOTS)
    publish_map(estate.access("control"), documents, "test")
    return folder


def command(estate: Estate, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command line under way."""
    (estate.home / "cli-credentials.json").write_text(
        json.dumps(estate.passwords | {"admin": estate.kafka.credentials("admin")})
    )
    return subprocess.Popen(
        [sys.executable, "-m", "broker.cli", *arguments],
        env=estate.environment(
            SOLESOURCE_MAP_DIR=str(folder),
            SOLESOURCE_CREDENTIALS_FILE=str(estate.home / "cli-credentials.json"),
            PYTHONUNBUFFERED="1",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=estate.home,
    )


def done(estate: Estate, folder: Path, *arguments: str, status: int = 0) -> str:
    """What a command said; it ended with `status`."""
    worker = command(estate, folder, *arguments)
    try:
        said, _ = worker.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        worker.send_signal(signal.SIGINT)  # it says where it was
        said, _ = worker.communicate(timeout=30)
        raise AssertionError(said) from None
    assert worker.returncode == status, said
    return said


class Cut(BaseException):
    """Stands for a kill at one step."""


async def run(estate: Estate, folder: Path, wanted: int, *, cut_at: str = "", wait_s: float = 120) -> Done:
    """A run in this process; `cut_at`: the step at which it dies."""

    def say(step: dict[str, Any]) -> None:
        if step["step"] == cut_at:
            raise Cut(cut_at)

    means = Means(
        admin=estate.kafka.admin(),
        gate=estate.access("gate"),
        control=estate.access("control"),
        files=map_documents(folder),
        write=lambda name, text: (folder / name).write_text(text) and None,
        partitions=PARTITIONS,
        slots=SLOTS,
        replicas=1,
        wait_s=wait_s,
        by="test",
        say=say,
    )
    return await repartition(means, "customer", wanted)


def config(estate: Estate, folder: Path, system: str) -> ConnectorConfig:
    own = folder / system
    own.mkdir(exist_ok=True)
    (own / "credentials.json").write_text(json.dumps(estate.passwords))
    for name, text in map_documents().items():
        (own / name).write_text(text)
    kafka = {
        "bootstrap": estate.bootstrap,
        "username": system,
        "password": {"file": "credentials.json", "key": system},
    }
    given = {"system": system, "adapter": "memory", "contracts": ".", "objects": {"customer": {}}}
    return ConnectorConfig.model_validate(
        {**given, "kafka": kafka, "store": "store.sqlite", "folder": own, "poll_interval_ms": 20}
    )


@asynccontextmanager
async def system(
    estate: Estate, folder: Path, name: str, source: MemorySource | None = None
) -> AsyncIterator[MemorySink]:
    """One system with its connector."""
    sink = MemorySink()
    async with running(config(estate, folder, name), memory_connector(source, sink)):
        yield sink


def change(key: str, number: int, fields: frozenset[str] | None = None, **values: Any) -> ChangeEvent:
    return ChangeEvent(
        "customer",
        key,
        SourceVersion(VersionKind.SEQUENCE, 0, f"{number:016d}"),
        now_ms(),
        {"customer_id": key, "name": None, "email": None, "phone": None, "credit_limit": None} | values,
        fields=fields,
    )


async def eventually(condition: Callable[[], bool], estate: Estate, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, estate.logs()
        await asyncio.sleep(0.2)


def told(estate: Estate, topic: str) -> dict[str, list[tuple[int, int, bytes | None]]]:
    """Key to (partition, revision, value), in the order of the log."""
    found: dict[str, list[tuple[int, int, bytes | None]]] = {}
    for message in estate.read(topic):
        revision = parse_authoritative(message.headers()).revision
        found.setdefault(message.key().decode(), []).append((message.partition(), revision, message.value()))
    return found


def backwards(sink: MemorySink) -> list[str]:
    """Keys of which a sink was given a revision that was not newer than the one before."""
    last: dict[str, int] = {}
    found = []
    for call in sink.calls:
        for update in call:
            if update.revision <= last.get(update.key, 0):
                found.append(f"{update.key}: {update.revision} after {last[update.key]}")
            last[update.key] = update.revision
    return found


async def ends(estate: Estate, topic: str, partitions: int) -> list[int]:
    """The end of each partition, what is not committed included."""
    consumer = AIOKafkaConsumer(**estate.access("gate").client_options())
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        return [at for _, at in sorted((await consumer.end_offsets(places)).items())]
    finally:
        await consumer.stop()
