"""`solesource prepare` on a real Kafka: what it makes, what it says, and that a second run changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer

from broker.embedded.kafka import EmbeddedKafka
from tests.estate import MAP_DIR, ROOT, USERS

pytestmark = pytest.mark.integration


@pytest.fixture
def empty_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """One of its own: topics of other tests have other numbers of partitions."""
    with EmbeddedKafka(tmp_path / "kafka", brief=True) as running:
        yield running


def prepare(kafka: EmbeddedKafka, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "SOLESOURCE_CREDENTIALS_FILE": str(kafka.data_dir / "credentials.json"),
        "SOLESOURCE_MAP_DIR": str(MAP_DIR),
        "SOLESOURCE_PARTITIONS": "2",
        "SOLESOURCE_SLOTS": "2",
    }
    command = [sys.executable, "-m", "broker.cli", "prepare", *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=90)


def test_it_makes_what_is_missing_and_says_so(empty_kafka: EmbeddedKafka) -> None:
    refused = prepare(empty_kafka)
    assert refused.returncode == 1
    assert "[settings.credentials]" in refused.stderr  # I7: nobody without a password of its own
    assert not set(empty_kafka.admin().list_topics(timeout=20).topics) & {"slots", "trail"}

    passwords = {user: empty_kafka.credentials(user) for user in USERS}
    first = prepare(empty_kafka, "--json")
    assert first.returncode == 0, first.stderr
    said = json.loads(first.stdout)
    assert set(said["users"]) == set(USERS)
    assert {"changes.crm.customer", "authoritative.customer", "ledger"} <= set(said["topics_made"])
    assert said["map_version"] == 1
    assert not any(password in first.stdout + first.stderr for password in passwords.values())

    second = json.loads(prepare(empty_kafka, "--json").stdout)
    assert second == said | {"topics_made": []}
    assert "none was missing" in prepare(empty_kafka).stdout

    writer = Producer({**empty_kafka.client_settings("crm"), "log_level": 0})
    assert write(writer, "changes.crm.customer") is None
    assert "authoriz" in str(write(writer, "changes.erp.customer")).lower()


def write(writer: Producer, topic: str) -> str | None:
    failed: list[str] = []
    try:
        writer.produce(
            topic, b"x", b"k", on_delivery=lambda error, _: failed.append(str(error)) if error else None
        )
    except KafkaException as error:
        return str(error)
    writer.flush(20)
    return failed[0] if failed else None
