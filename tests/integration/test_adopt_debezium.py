"""What the real Debezium writes of a real PostgreSQL, adopted as docs/how-to/adopt-existing-topics.md says."""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sys
import time as time_module
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from broker.embedded.errors import EmbeddedError
from broker.embedded.postgres import EmbeddedPostgres
from connectors.adopt.avro_values import AvroReader
from connectors.adopt.build import adopted_of
from connectors.adopt.formats import Foreign
from connectors.adopt.position import Standing
from connectors.adopt.registry import schemas_of
from connectors.adopt.settings import PLACEHOLDER, AdoptSettings, mappings_of
from connectors.sdk.adapter import Context
from connectors.sdk.source import ChangeEvent
from connectors.sdk.store import Store
from schemas.authoritative import parse_authoritative
from schemas.contract import make_contract
from tests import apicurio, kafka_connect
from tests.estate import MAP_DIR, ROOT, Estate, estate_of

pytestmark = [pytest.mark.integration, pytest.mark.counterpart, pytest.mark.timeout(600)]

HOW_TO = ROOT / "docs" / "how-to" / "adopt-existing-topics.md"
TABLE = """CREATE TABLE customers (id integer PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, mail text,
    phone text, credit numeric(14, 2), since timestamptz);
    ALTER TABLE customers ALTER COLUMN phone SET STORAGE EXTERNAL"""
TOPIC = "crm.public.customers"
LONG = "+44" * 3000


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    try:
        kafka_connect.fetched()
    except EmbeddedError as error:
        pytest.skip(f"ABSENT COUNTERPART: Debezium cannot be fetched: {type(error).__name__}")
    yield from estate_of(tmp_path_factory.mktemp("adopting"))


@pytest.fixture(scope="module")
def crm(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    url = postgres.create_role_and_database("crmdb", replication=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO customers VALUES (1, 'Ada', 'Lovelace', 'ada@example.com', '1815', 10.50, now())"
        )
        connection.execute("INSERT INTO customers VALUES (2, 'Grace', 'Hopper')")
        yield connection


def reader(estate: Estate) -> str:
    """The user that the how-to makes; returns its password."""
    admin, password = estate.kafka.admin(), secrets.token_urlsafe(12)
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    made = UserScramCredentialUpsertion("crm-reader", credential, password.encode())
    admin.alter_user_scram_credentials([made])["crm-reader"].result(20)
    topic, literal = ResourceType.TOPIC, ResourcePatternType.LITERAL
    for operation in (AclOperation.READ, AclOperation.DESCRIBE):
        right = AclBinding(topic, TOPIC, literal, "User:crm-reader", "*", operation, AclPermissionType.ALLOW)
        admin.create_acls([right])[right].result(20)
    return password


def how_to_file(estate: Estate) -> Path:
    """The file of the how-to, with this machine's ports."""
    text = re.search(r"```yaml\n(system: crm\n.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    assert text is not None
    folder = estate.home / "adopter"
    folder.mkdir()
    (folder / "map").symlink_to(MAP_DIR)
    passwords = {"crm": estate.passwords["crm"], "crm-reader": reader(estate)}
    (folder / "credentials.json").write_text(str(passwords).replace("'", '"'))
    (folder / "crm.yaml").write_text(text[1].replace("127.0.0.1:9092", estate.bootstrap))
    return folder / "crm.yaml"


@contextmanager
def adopter(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (path.parent / "adopter.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "connectors.sdk", str(path)], cwd=ROOT, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def customers(estate: Estate) -> dict[str, dict[str, Any] | None]:
    """What is authoritative now; None: deleted."""
    found: dict[str, dict[str, Any] | None] = {}
    for message in estate.read("authoritative.customer"):
        gone = parse_authoritative(message.headers()).deleted
        found[message.key().decode()] = None if gone else estate.registry.codec.decode(message.value())
    return found


def rows(crm: psycopg.Connection[Any]) -> dict[str, tuple[Any, ...]]:
    found = crm.execute("SELECT id, first_name || ' ' || last_name, mail, phone FROM customers").fetchall()
    return {str(row[0]): row[1:] for row in found}


def snapshot(estate: Estate, count: int, timeout_s: float = 60.0) -> None:
    """Wait until Debezium has written the rows that were there before it."""
    deadline = time_module.monotonic() + timeout_s
    while len(estate.read(TOPIC)) < count:
        assert time_module.monotonic() < deadline, (estate.home / "connect" / "connect.log").read_text()[
            -2000:
        ]
        time_module.sleep(0.3)


def agree(estate: Estate, crm: psycopg.Connection[Any], path: Path, timeout_s: float = 60.0) -> None:
    """Wait until what is authoritative is what the table has."""
    deadline = time_module.monotonic() + timeout_s
    while True:
        there = {key: value for key, value in customers(estate).items() if value is not None}
        told = {key: (value["name"], value["email"], value["phone"]) for key, value in there.items()}
        if told == rows(crm):
            return
        log = (path.parent / "adopter.log").read_text()[-2000:]
        assert time_module.monotonic() < deadline, f"{told}\n{rows(crm)}\n{log}\n{estate.logs()}"
        time_module.sleep(0.5)


def test_the_how_to(estate: Estate, crm: psycopg.Connection[Any], postgres: EmbeddedPostgres) -> None:
    estate.start_gate()
    connector = kafka_connect.debezium(postgres.url("crmdb", "crmdb"), "crm", "crmdb")
    with kafka_connect.running(estate.kafka, estate.home / "connect", [connector]):
        path = how_to_file(estate)
        snapshot(estate, 2)
        trial = tried(path)
        assert trial.returncode == 0, trial.stdout + trial.stderr
        assert "name=Ada Lovelace" in trial.stdout and "2 told" in trial.stdout
        assert "columns not mapped: credit, since" in trial.stdout
        with adopter(path) as process:
            agree(estate, crm, path)
            crm.execute("INSERT INTO customers VALUES (3, 'Alan', 'Turing', NULL, %s)", (LONG,))
            crm.execute("UPDATE customers SET mail = 'grace@example.com' WHERE id = 2")
            agree(estate, crm, path)
            crm.execute(
                "UPDATE customers SET last_name = 'M. Turing' WHERE id = 3"
            )  # the phone stays where it is
            crm.execute("DELETE FROM customers WHERE id = 1")
            crm.execute("UPDATE customers SET id = 20 WHERE id = 2")  # an end and a beginning
            agree(estate, crm, path)
            process.kill()
            process.wait()
        with crm.transaction():
            for number in range(30, 60):
                crm.execute("INSERT INTO customers VALUES (%s, 'N', '0')", (number,))
            for turn in range(1, 6):
                crm.execute("UPDATE customers SET last_name = %s WHERE id >= 30", (str(turn),))
        with adopter(path):
            agree(estate, crm, path)
            crm.execute("INSERT INTO customers VALUES (1, 'Ada', 'King')")  # again, after its end
            agree(estate, crm, path)
    now = customers(estate)
    assert now["2"] is None and now["1"] is not None and now["1"]["name"] == "Ada King"
    assert now["3"] is not None and now["3"]["phone"] == LONG, "could not be read along, and is still there"
    assert all(value is None or value["credit_limit"] is None for value in now.values())
    assert estate.revisions("59") == [1, 2, 3, 4, 5, 6]
    written = [message.value() for message in estate.read(TOPIC)]
    assert None in written and any(PLACEHOLDER.encode() in (value or b"") for value in written)
    account = estate.account()
    assert account["received"] == sum(count for name, count in account.items() if name != "received")
    told = {name for name, count in account.items() if count}
    # What the killed adopter told again is known by its id, or older than what came after it.
    assert told <= {"received", "accepted", "duplicate", "echo", "stale"}
    assert estate.ledger_faults() == []


def tried(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connectors.adopt.trial", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


# -- types

TYPES = """CREATE TABLE kinds (id integer PRIMARY KEY, n numeric(14, 2), v numeric, ts timestamp, tz timestamptz,
    d date, t time, b bytea, u uuid, f float8, r real, i bigint, ok boolean, tags text[])"""
VALUES = """1, -806.83, 0.12345, '2026-11-26 10:00:00.123', '2026-11-26 11:00:00.123+01', '1969-12-31', '23:59:59.001',
    '\\x00ff', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 0.1, 0.5, 9223372036854775807, true, ARRAY['a', 'b']"""
MOMENT = datetime(2026, 11, 26, 10, 0, 0, 123000, tzinfo=UTC)
EXPECTED = {
    "id": 1,
    "n": Decimal("-806.83"),
    "v": Decimal("0.12345"),
    "ts": MOMENT,
    "tz": MOMENT,
    "d": date(1969, 12, 31),
    "t": time(23, 59, 59, 1000),
    "b": b"\x00\xff",
    "u": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "f": 0.1,
    "r": 0.5,
    "i": 2**63 - 1,
    "ok": True,
    "tags": ["a", "b"],
}


def avro(kind: str, logical: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": logical, **more}


KINDS = {
    "type": "record",
    "name": "kinds",
    "fields": [
        {"name": name, "type": ["null", kind]}
        for name, kind in {
            "id": "int",
            "n": avro("bytes", "decimal", precision=14, scale=2),
            "v": avro("bytes", "decimal", precision=20, scale=5),
            "ts": avro("long", "timestamp-micros"),
            "tz": avro("long", "timestamp-micros"),
            "d": avro("int", "date"),
            "t": avro("long", "time-micros"),
            "b": "bytes",
            "u": "string",
            "f": "double",
            "r": "float",
            "i": "long",
            "ok": "boolean",
            "tags": {"type": "array", "items": "string"},
        }.items()
    ],
}
MEANT = {
    **{name: {"from": name, "as": "decimal"} for name in ("n", "v")},
    "ts": {"from": "ts", "as": "microseconds"},
    "tz": {"from": "tz", "as": "timestamp"},
    "d": {"from": "d", "as": "date"},
    "b": {"from": "b", "as": "bytes"},
}
"""What a topic without schemas does not say; `t` has no meaning of its own there, and is left out."""


WAYS: dict[str, tuple[dict[str, str], str, dict[str, Any]]] = {
    "precise": (kafka_connect.plain(schemas=True), "debezium", {}),
    "coarse": (kafka_connect.plain(schemas=True) | {"time.precision.mode": "connect"}, "debezium", {}),
    "bare": (kafka_connect.plain(schemas=False) | {"decimal.handling.mode": "string"}, "debezium", MEANT),
    "flat": (kafka_connect.plain(schemas=True) | kafka_connect.FLAT, "json", {}),
    "avro": ({}, "debezium-avro", {}),
    "avroflat": (kafka_connect.FLAT, "avro", {}),
}
"""Prefix -> how Debezium is set up, the adopter's format, and what its mapping has to say."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from apicurio.opened(tmp_path_factory.mktemp("apicurio"))


@pytest.fixture(scope="module")
def kinds(estate: Estate, postgres: EmbeddedPostgres, registry: str) -> dict[str, list[ChangeEvent]]:
    """What adopters make of one table, told in six ways."""
    own_api = registry.removesuffix(apicurio.API) + apicurio.OWN_API
    urls = {prefix: postgres.create_role_and_database(f"{prefix}db", replication=True) for prefix in WAYS}
    for url in urls.values():
        run(url, TYPES, f"INSERT INTO kinds VALUES ({VALUES})")
    connectors = [
        kafka_connect.debezium(
            url,
            prefix,
            f"{prefix}slot",
            **WAYS[prefix][0],
            **(kafka_connect.in_avro(own_api, "key", "value") if "avro" in WAYS[prefix][1] else {}),
        )
        for prefix, url in urls.items()
    ]
    with kafka_connect.running(estate.kafka, estate.home / "kinds", connectors):
        for prefix, url in urls.items():
            adopted(estate, registry, prefix, expected=1)  # the table is read
            run(
                url,
                "UPDATE kinds SET f = 0.2",
                "INSERT INTO kinds (id) VALUES (2)",
                "DELETE FROM kinds WHERE id = 1",
            )
        return {prefix: adopted(estate, registry, prefix, expected=4) for prefix in WAYS}


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("prefix", sorted(WAYS))
def test_every_type_means_the_same(kinds: dict[str, list[ChangeEvent]], prefix: str) -> None:
    wanted = {name: value for name, value in EXPECTED.items() if name in mapped(prefix)}
    read, updated, created, deleted = kinds[prefix]
    assert read.values == wanted and updated.values == wanted | {"f": 0.2}
    assert created.values == dict.fromkeys(wanted) | {"id": 2} and created.key == "2"
    assert (deleted.deletes, deleted.key) == (True, "1")


def mapped(prefix: str) -> dict[str, Any]:
    _, _, meant = WAYS[prefix]
    return {name: meant.get(name, name) for name in EXPECTED if not (meant and name == "t")}


def adopted(estate: Estate, registry: str, prefix: str, *, expected: int) -> list[ChangeEvent]:
    """What becomes of the records of a topic, once there are so many changes in it; 2 before the end of 1."""
    topic = f"{prefix}.public.kinds"
    document = {"topic": topic, "format": WAYS[prefix][1], "mapping": 1, "fields": mapped(prefix)}
    if document["format"] in ("json", "avro"):
        document["deleted"] = 'row.__deleted == "true"'
    contracts = {"kinds": make_contract(KINDS, 1)}
    given = {"bootstrap": estate.bootstrap, "registry": {"url": registry}}
    context = Context("crm", given, {"kinds": document}, contracts, Path(), Store(":memory:").shelf("test"))
    avro = AvroReader()
    deadline = time_module.monotonic() + 60
    while True:
        found = adopted_of(context, mappings_of(context), avro)["kinds"]
        standing = Standing(topic, 1, "")
        records = [
            Foreign(topic, m.partition(), m.offset(), 0, m.key(), m.value()) for m in estate.read(topic)
        ]
        asyncio.run(learned(given, avro, records))
        events = [event for record in records if (event := found.change(record, standing))]
        if len(events) >= expected or time_module.monotonic() > deadline:
            assert [event.original for event in events] == [None] * expected
            first = [event for event in events if event.key == "1"]
            return [*first[:2], *(event for event in events if event.key == "2"), *first[2:]]
        time_module.sleep(0.5)


async def learned(given: dict[str, Any], avro: AvroReader, records: list[Foreign]) -> None:
    schemas = schemas_of(AdoptSettings.model_validate(given), Path(), avro)
    assert schemas is not None
    await schemas.learn(records)
    await schemas.close()
