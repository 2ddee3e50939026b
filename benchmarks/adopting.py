"""How many of Debezium's changes an adopter maps in a second: read from a topic, mapped, written as changes.

The records have the form and size of what Debezium 3.3 writes of a table of eleven columns through JsonConverter, with
schemas (4 KB each) and without. One process; Kafka is on the same machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.records import MAP
from benchmarks.rows import Measured, Row, at_least
from benchmarks.world import PARTITIONS, BenchWorld

CHANGES, TURNS = 100_000, 5
WANTED = 10_000.0
TOPIC = "shopdb.public.accounts"
COLUMNS = (
    "id",
    "name",
    "email",
    "phone",
    "street",
    "city",
    "postcode",
    "notes",
    "opened",
    "rating",
    "credit",
)
_TYPES = {"id": "int32", "opened": "int64", "rating": "double", "credit": "bytes"}
_NAMES: dict[str, dict[str, Any]] = {
    "opened": {"name": "io.debezium.time.MicroTimestamp", "version": 1},
    "credit": {"name": "org.apache.kafka.connect.data.Decimal", "version": 1, "parameters": {"scale": "2"}},
}
_SOURCE: dict[str, Any] = {
    "version": "3.3.1.Final",
    "connector": "postgresql",
    "name": "shopdb",
    "ts_ms": 1_795_000_000_000,
    "snapshot": "false",
    "db": "shop",
    "sequence": '["36498560","36498616"]',
    "ts_us": 1_795_000_000_000_000,
    "ts_ns": 1_795_000_000_000_000_000,
    "schema": "public",
    "table": "accounts",
    "txId": 771,
    "xmin": None,
}


def _schema() -> dict[str, Any]:
    row = [
        {"type": _TYPES.get(name, "string"), "optional": name != "id", "field": name, **_NAMES.get(name, {})}
        for name in COLUMNS
    ]
    source = [
        {"type": "string" if isinstance(value, str) else "int64", "optional": True, "field": name}
        for name, value in _SOURCE.items()
    ]
    struct = {"type": "struct", "optional": True}
    return {
        "type": "struct",
        "fields": [
            *(
                {**struct, "fields": row, "name": "shopdb.public.accounts.Value", "field": name}
                for name in ("before", "after")
            ),
            {
                **struct,
                "fields": source,
                "name": "io.debezium.connector.postgresql.Source",
                "field": "source",
            },
            {**struct, "fields": [], "name": "event.block", "version": 1, "field": "transaction"},
            {"type": "string", "optional": False, "field": "op"},
            *({"type": "int64", "optional": True, "field": name} for name in ("ts_ms", "ts_us", "ts_ns")),
        ],
        "optional": False,
        "name": "shopdb.public.accounts.Envelope",
        "version": 2,
    }


def _payload(number: int) -> dict[str, Any]:
    row = {name: f"{name} {number}" for name in COLUMNS} | {"id": number % 50_000, "notes": "n" * 150}
    row |= {"opened": 1_795_000_000_000_000, "rating": 4.5, "credit": "ATsr"}
    source = _SOURCE | {"lsn": 36_498_616 + 56 * number}
    told = {"ts_ms": 1_795_000_000_100, "ts_us": 1_795_000_000_100_000, "ts_ns": 1_795_000_000_100_000_000}
    return {"before": None, "after": row, "source": source, "transaction": None, "op": "u", **told}


def adopting(world: BenchWorld) -> list[Row]:
    """All changes are in Kafka before the adopter starts."""
    rows = []
    for words, schema in (("with schemas", _schema()), ("without schemas", None)):
        topic = f"{TOPIC}.{len(rows)}"
        world.make_topic(topic)
        _fill(world, topic, schema)
        turns = [_turn(world, topic, turn) for turn in range(TURNS)]
        print(f"Debezium's JSON {words}: {[round(turn) for turn in turns]}", flush=True)
        rows.append(
            at_least(
                f"an adopter reads Debezium's JSON {words}, and writes changes",
                Measured("ours", median(turns), turns),
                Measured("asked for", WANTED),
                "changes/s",
                1.0,
            )
        )
    return rows


def _fill(world: BenchWorld, topic: str, schema: dict[str, Any] | None) -> None:
    producer = Producer({**world.options(), "linger.ms": 20, "queue.buffering.max.messages": 400_000})
    for number in range(CHANGES):
        found: Any = _payload(number)
        found = found if schema is None else {"schema": schema, "payload": found}
        value = json.dumps(found, separators=(",", ":")).encode()
        producer.produce(topic, value, json.dumps({"id": number % 50_000}).encode())
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def _turn(world: BenchWorld, topic: str, turn: int) -> float:
    """Changes a second, from the first that is written to the last."""
    folder = world.machine.settings.home / f"adopter-{topic}-{turn}"
    shutil.copytree(MAP, folder / "map")
    file = _file(world, folder, topic)
    consumer = Consumer({**world.options(), "group.id": "adopting", "enable.auto.commit": False})
    before = _written(consumer)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "connectors.sdk", str(file)], stdout=log, stderr=log
        )
    try:
        began, first, done = 0.0, 0, 0
        while done < CHANGES:
            done = _written(consumer) - before
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            if done and not began:
                began, first = time.monotonic(), done
            time.sleep(0.02)
        return (done - first) / (time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(20)
        consumer.close()


def _file(world: BenchWorld, folder: Path, topic: str) -> Path:
    access = world.machine.settings.access("crm")
    password = {"file": "password"}
    (folder / "password").write_text(access.password)
    reader = world.machine.settings.access("admin")
    (folder / "reader").write_text(reader.password)
    text = ("name", "email", "phone", "street", "city", "postcode", "notes")
    document = {
        "system": "crm",
        "adapter": "adopt",
        "kafka": {"bootstrap": access.bootstrap, "username": "crm", "password": password},
        "contracts": "map",
        "store": "store.sqlite",
        "settings": {"bootstrap": access.bootstrap, "username": "admin", "password": {"file": "reader"}},
        "objects": {
            "account": {
                "topic": topic,
                "format": "debezium",
                "mapping": 1,
                "fields": {"account_id": {"from": "id", "as": "text"}} | {name: name for name in text},
            }
        },
    }
    path = folder / "adopter.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _written(consumer: Consumer) -> int:
    """Changes in the ingress topic now."""
    places = [TopicPartition("changes.crm.account", partition) for partition in range(PARTITIONS)]
    return sum(consumer.get_watermark_offsets(place, 20)[1] for place in places)
