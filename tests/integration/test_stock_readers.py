"""Stock serializers, deserializers and sinks on the gate's topics, with schemas from a real registry: nothing of ours
on their side.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.serialization import MessageField, SerializationContext
from typer.testing import CliRunner

from broker.cli.root import app
from broker.kafka.estate import prepare, publish_map
from tests import apicurio, kafka_connect
from tests.estate import MAP_DIR, PARTITIONS, SLOTS, Estate, estate_of, map_documents

pytestmark = [pytest.mark.integration, pytest.mark.counterpart, pytest.mark.timeout(600)]
CHANGES, AUTHORITATIVE = "changes.crm.customer", "authoritative.customer"
ADA = {"customer_id": "C-1", "name": "Ada", "email": "ada@example.com", "phone": None, "credit_limit": None}
BOB = {**ADA, "customer_id": "C-2", "name": "Bob", "phone": "+44 20"}
SINK_S = 60.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from apicurio.opened(tmp_path_factory.mktemp("apicurio"))


@pytest.fixture(scope="module")
def documents(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The demo's map, whose contract was registered, and bears the id that it was given."""
    folder = tmp_path_factory.mktemp("map")
    for name, text in map_documents().items():
        if name.endswith(".yaml"):
            (folder / name).write_text(text)
    words = ["contract", "new", "customer", "--register", "--from", str(MAP_DIR / "customer.avsc")]
    said = CliRunner(env={**os.environ, "SOLESOURCE_REGISTRY_URL": url}).invoke(
        app, [*words, "--folder", str(folder), "--json"]
    )
    assert said.exit_code == 0, said.output
    return map_documents(folder)


@pytest.fixture(scope="module")
def estate(documents: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    for estate in estate_of(tmp_path_factory.mktemp("stock")):
        prepare(estate.kafka.admin(), documents, estate.passwords, partitions=PARTITIONS, slots=SLOTS)
        publish_map(estate.access("control"), documents, "test")
        estate.start_gate()
        yield estate


def written(client: Any, schema: str, number: int, values: dict[str, Any]) -> bytes:
    """As Confluent's serializer writes them, told by which schema of which subject."""
    from confluent_kafka.schema_registry.avro import AvroSerializer

    conf = {
        "auto.register.schemas": False,
        "use.schema.id": number,
        "subject.name.strategy": lambda *_: "authoritative.customer-value",
    }
    serializer = AvroSerializer(client, schema, conf=conf)
    value: bytes = serializer(values, SerializationContext(CHANGES, MessageField.VALUE))
    return value


def read(client: Any, value: bytes | None) -> Any:
    """As Confluent's deserializer reads them."""
    from confluent_kafka.schema_registry.avro import AvroDeserializer

    return AvroDeserializer(client)(value, SerializationContext(AUTHORITATIVE, MessageField.VALUE))


def test_what_stock_clients_write_and_read(url: str, documents: dict[str, str], estate: Estate) -> None:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    number, schema = json.loads(documents["registry.json"])["schemas"][0]["id"], documents["customer.avsc"]
    limit = {**ADA, "credit_limit": Decimal("12.50")}
    with SchemaRegistryClient({"url": url}) as client:
        for values in (ADA, BOB):
            estate.send(
                "crm", values["customer_id"] or "", None, value=written(client, schema, number, values)
            )
        estate.settle(2)
        estate.send("erp", "C-1", None, value=written(client, schema, number, limit), fields=["credit_limit"])
        assert estate.settle(3)["accepted"] == 3
        found: dict[bytes, list[Any]] = {}
        for message in estate.read(AUTHORITATIVE):
            found.setdefault(message.key(), []).append(read(client, message.value()))
    assert found == {b"C-1": [ADA, limit], b"C-2": [BOB]}


def test_a_sink_of_kafka_connect_reads_them(url: str, estate: Estate, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    own_api = url.removesuffix(apicurio.API) + apicurio.OWN_API
    kafka: Any = estate.kafka
    with kafka_connect.running(
        kafka, tmp_path / "connect", [kafka_connect.to_file(AUTHORITATIVE, file, own_api)]
    ) as log:
        deadline = time.monotonic() + SINK_S
        lines: list[str] = []
        while len(lines) < 3:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
            lines = file.read_text().splitlines() if file.exists() else []
    assert sorted(line.split(",credit_limit")[0].rstrip("}") for line in lines) == [
        "Struct{customer_id=C-1,name=Ada,email=ada@example.com",
        "Struct{customer_id=C-1,name=Ada,email=ada@example.com",
        "Struct{customer_id=C-2,name=Bob,email=ada@example.com,phone=+44 20",
    ]
    assert sum("credit_limit=12.50" in line for line in lines) == 1
