"""A connector as it is run: `python -m connectors.sdk FILE`, its system gone and back, and the end by
signal.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic

from broker.embedded.kafka import EmbeddedKafka
from broker.embedded.postgres import EmbeddedPostgres
from tests.connector_parts import MAP_FOLDER

pytestmark = pytest.mark.integration
GONE_S = 30

TABLE = """CREATE TABLE customers
    (customer_id text PRIMARY KEY, name text, email text, phone text, credit_limit numeric)"""
CONFIG = """
system: crm
adapter: postgres
kafka:
  bootstrap: {bootstrap}
  username: admin
  password: {{file: credentials.json, key: kafka}}
contracts: {contracts}
store: crm.sqlite
poll_interval_ms: 50
objects:
  customer:
    table: public.customers
    key: customer_id
    fields: {{customer_id: customer_id, name: name, email: email, phone: phone, credit_limit: credit_limit}}
    insert: false
settings:
  dsn: {{file: credentials.json, key: crm}}
  slot: solesource_process
"""


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("own-postgres"), fsync=False)
    try:
        server.up()
        yield server
    finally:
        server.destroy()


def topics(kafka: EmbeddedKafka) -> None:
    admin = kafka.admin()
    names = ("changes.crm.customer", "authoritative.customer", "refusals.crm", "proposals.crm", "acks.crm")
    existing = admin.list_topics(timeout=10).topics
    for done in admin.create_topics([NewTopic(n, 1, 1) for n in names if n not in existing]).values():
        done.result(30)


def keys(consumer: Consumer, count: int, timeout_s: float = 30) -> list[str]:
    found: list[str] = []
    until = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message.key().decode())
    return found


def test_runs_survives_its_database_and_stops_on_a_signal(
    kafka: EmbeddedKafka, own_postgres: EmbeddedPostgres, tmp_path: Path
):
    topics(kafka)
    url = own_postgres.create_role_and_database("crm", replication=True)
    secrets = {"kafka": kafka.credentials("admin"), "crm": url}
    (tmp_path / "credentials.json").write_text(json.dumps(secrets))
    config = tmp_path / "crm.yaml"
    config.write_text(CONFIG.format(bootstrap=kafka.bootstrap, contracts=MAP_FOLDER))
    with psycopg.connect(url, autocommit=True) as application:
        application.execute(TABLE)
        application.execute("INSERT INTO customers VALUES ('before', 'B')")
    consumer = Consumer(
        {**kafka.client_settings("admin"), "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["changes.crm.customer"])
    log = tmp_path / "log"
    command = [sys.executable, "-m", "connectors.sdk", str(config)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        assert keys(consumer, 1) == ["before"]
        own_postgres.down()
        time.sleep(GONE_S)
        own_postgres.up()
        with psycopg.connect(own_postgres.url("crm", "crm"), autocommit=True) as application:
            application.execute("INSERT INTO customers VALUES ('after', 'A')")
        assert keys(consumer, 1) == ["after"]
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 6
    finally:
        consumer.close()
        if process.poll() is None:
            process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    codes = {line.get("code") for line in lines}
    assert "connector.connection_lost" in codes
    assert lines[-1]["event"] == "connector.stopped"
    assert secrets["kafka"] not in log.read_text()
