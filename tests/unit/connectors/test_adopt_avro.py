"""Values in Avro by a registry's schemas: what they mean, what is held, and what the registry is asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connectors.adopt.avro_values import KNOWN_MAX, AvroReader, schema_named
from connectors.adopt.errors import Unmapped
from connectors.adopt.formats import Foreign
from connectors.adopt.registry import schemas_of
from connectors.adopt.settings import AdoptSettings
from connectors.sdk.errors import ConfigInvalid, ConnectionLost
from schemas.codec import frame
from tests.foreign import FIELDS, Desk, as_stored
from tests.registry_desk import RegistryDesk

MOMENT = datetime(2026, 11, 26, 10, 0, 0, 123000, tzinfo=UTC)
REGISTRY = {"registry": {"url": "http://127.0.0.1:1"}}
CONNECT = "org.apache.kafka.connect.data"


def optional(kind: Any) -> dict[str, Any]:
    return {"type": ["null", kind], "default": None}


def row(**fields: Any) -> dict[str, Any]:
    found = [{"name": name, **optional(kind)} for name, kind in fields.items()]
    return {"type": "record", "name": "Value", "namespace": "shop.public.customers", "fields": found}


def named(kind: str, meant: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "connect.version": 1, "connect.name": meant, **more}


def written(number: int, schema: Any, record: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, _force=True), record)
    return frame(number) + out.getvalue()


CUSTOMER = row(id="int", name="string", phone="string")
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "namespace": "shop.public.customers",
    "fields": [
        {"name": "before", **optional(CUSTOMER)},
        {"name": "after", **optional("Value")},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": [
            {"name": "connector", "type": "string"}, {"name": "lsn", **optional("long")},
            {"name": "ts_ms", "type": "long"}]}},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", **optional("long")},
    ],
}  # fmt: skip
ADA = {"id": 1, "name": "Ada", "phone": "1815"}


def desk(form: str = "debezium-avro", **schemas: Any) -> Desk:
    found = Desk(form, settings=REGISTRY)
    for number, schema in schemas.items():
        found.avro.learn(int(number.removeprefix("s")), schema)
    return found


def test_an_envelope_of_debezium() -> None:
    source = {"connector": "postgresql", "lsn": 7, "ts_ms": 1_795_000_000_000}
    record = {"before": None, "after": ADA, "source": source, "op": "c", "ts_ms": None}
    key_schema = row(id="int") | {"name": "Key"}
    read = desk(s7=ENVELOPE, s8=key_schema)
    key = written(8, key_schema, {"id": 1})
    event = read.told(written(7, ENVELOPE, record), key=key)
    assert (event.key, event.values) == ("1", {"customer_id": "1", "name": "Ada"})
    gone = read.told(
        written(7, ENVELOPE, record | {"before": ADA, "after": None, "op": "d"}), key=key, offset=1
    )
    assert (gone.key, gone.deletes) == ("1", True)
    assert read.see(None, key=key, offset=2) is None, "Kafka's own word for it"


def test_a_row_with_a_key_that_is_a_text() -> None:
    event = desk("avro", s7=CUSTOMER).told(written(7, CUSTOMER, ADA), key=b"C-1")
    assert (event.key, event.values["name"]) == ("C-1", "Ada")


@pytest.mark.parametrize(
    ("kind", "stored", "meant"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 64, "scale": 2}, b"\xfe\xc4\xd5", Decimal("-806.83")),
        (
            named("bytes", f"{CONNECT}.Decimal", scale=2, precision=64, logicalType="decimal",
                  **{"connect.parameters": {"scale": "2"}}),
            b"\xfe\xc4\xd5", Decimal("-806.83"),
        ),
        ({"type": "int", "logicalType": "date"}, -1, date(1969, 12, 31)),
        (named("int", "io.debezium.time.Date"), -1, date(1969, 12, 31)),
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_795_687_200_123, MOMENT),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1_795_687_200_123_000, MOMENT),
        (named("long", "io.debezium.time.NanoTimestamp"), 1_795_687_200_123_000_000, MOMENT),
        (named("string", "io.debezium.time.ZonedTimestamp"), "2026-11-26T11:00:00.123+01:00", MOMENT),
        (named("long", "io.debezium.time.MicroTime"), 86_399_001_000, time(23, 59, 59, 1000)),
        ({"type": "int", "logicalType": "time-millis"}, 86_399_001, time(23, 59, 59, 1000)),
        ({"type": "string", "logicalType": "uuid"}, "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
         "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("bytes", b"\x00\xff", b"\x00\xff"),
        ({"type": "fixed", "name": "two", "size": 2}, b"\x00\xff", b"\x00\xff"),
        ({"type": "array", "items": ["null", {"type": "int", "logicalType": "date"}]},
         [-1, None], [date(1969, 12, 31), None]),
        (
            named("record", "io.debezium.data.VariableScaleDecimal", name="VariableScaleDecimal",
                  fields=[{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]),
            {"scale": 5, "value": b"\x30\x39"}, Decimal("0.12345"),
        ),
        ("double", 0.1, 0.1),
        ("long", 2**63 - 1, 2**63 - 1),
    ],
)  # fmt: skip
def test_what_a_type_means(kind: Any, stored: Any, meant: Any) -> None:
    schema = row(a=kind)
    plain = as_stored(schema)
    reader = AvroReader()
    reader.learn(7, schema)
    values, told = reader.read(written(7, plain, {"a": stored}))
    reading = told.readings.get("a")
    assert (values["a"] if reading is None else reading(values["a"])) == meant
    nothing, _ = reader.read(written(7, plain, {"a": None}))
    assert nothing == {"a": None} and (reading is None or reading(None) is None)


def test_columns_that_could_not_be_read_along_stay_as_they_are() -> None:
    schema = row(id="int", name="string", phone="bytes")
    record = ADA | {"phone": b"__debezium_unavailable_value"}
    read = Desk("avro", settings=REGISTRY, fields={**FIELDS, "phone": "phone"})
    read.avro.learn(7, schema)
    event = read.told(written(7, schema, record), key=b"C-1")
    assert event.unavailable == {"phone"}


RECURSIVE = {"type": "record", "name": "Value", "fields": [{"name": "next", **optional("Value")}]}
NULLS = row(a={"type": "array", "items": "null"})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'{"id": 1}', "do not begin with a schema's id"),
        (b"", "do not begin with a schema's id"),
        (frame(9) + b"\x00", "the registry has no schema 9"),
        (frame(7), "schema 7: 5 bytes end within the datum"),
        (frame(7) + b"\xff" * 40, "schema 7: .* not a datum"),
        (written(7, CUSTOMER, ADA) + b"\x00", "schema 7: 1 bytes are left over"),
        (frame(7) + bytes(1024 * 1024), "schema 7: 1048581 bytes, at most"),
        (frame(1) + b"\x00", "schema 1: .*contains itself"),
        (frame(2) + b"\x00", "schema 2: .*items that take no bytes"),
        (frame(3) + b"\x00", "schema 3: not an Avro schema"),
        (frame(4) + b"\x00", "schema 4: an object contract is an Avro record"),
        (frame(5) + b"\x00", "schema 5: schema 5 is PROTOBUF, not Avro"),
    ],
)
def test_what_cannot_be_read_is_held_with_its_bytes(value: bytes, why: str) -> None:
    schemas: dict[str, Any] = {
        "s1": RECURSIVE,
        "s2": NULLS,
        "s3": {"type": "record"},
        "s4": {"type": "string"},
    }
    read = desk("avro", s7=CUSTOMER, s5="schema 5 is PROTOBUF, not Avro", **schemas)
    event = read.see(value, key=b"C-1")
    assert event is not None and event.original is not None
    with pytest.raises(Unmapped, match=why):
        read.avro.read(value)


def test_a_key_that_cannot_be_read_is_held() -> None:
    assert "no schema 9" in desk("avro", s7=CUSTOMER).held(written(7, CUSTOMER, ADA), key=frame(9) + b"\x02")


def test_it_remembers_so_many_schemas() -> None:
    reader = AvroReader()
    for number in range(KNOWN_MAX + 5):
        reader.learn(number, "no")
    assert not reader.knows(4) and reader.knows(5)


def test_which_schema_is_named() -> None:
    assert [schema_named(value) for value in (None, b"", b"\x00\x00", b"{}....", frame(300) + b"x")] == [
        None
    ] * 4 + [300]


# -- the registry


def learned(url: str, *values: bytes, reader: AvroReader | None = None) -> AvroReader:
    avro = reader or AvroReader()
    settings = AdoptSettings.model_validate({"bootstrap": "127.0.0.1:1", "registry": {"url": url}})

    async def ask() -> None:
        schemas = schemas_of(settings, Path(), avro)
        assert schemas is not None
        for _ in range(2):
            await schemas.learn(
                [Foreign("t", 0, number, 0, None, value) for number, value in enumerate(values)]
            )
        await schemas.close()

    asyncio.run(ask())
    return avro


def test_it_is_asked_once_for_each_schema() -> None:
    with RegistryDesk({7: CUSTOMER}).open() as registry:
        registry.said["/schemas/ids/8"] = {"schema": "syntax", "schemaType": "PROTOBUF"}
        avro = learned(registry.url, *[frame(number) + b"\x00" for number in (7, 7, 8, 9)], b"{}")
        assert sorted(path for path, _ in registry.calls) == [
            f"/schemas/ids/{number}" for number in (7, 8, 9)
        ]
    assert [avro.knows(number) for number in (7, 8, 9)] == [True, True, False]
    assert avro.read(written(7, CUSTOMER, ADA))[0] == ADA
    with pytest.raises(Unmapped, match="PROTOBUF"):
        avro.read(frame(8) + b"\x00")


def test_a_registry_that_is_away_is_waited_for() -> None:
    with pytest.raises(ConnectionLost, match="does not answer"):
        learned("http://127.0.0.1:1", frame(7) + b"\x00")


@pytest.mark.parametrize("url", ["127.0.0.1:8081", "ftp://x", "http://user:pw@x"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"settings\.registry"):
        learned(url)


def test_what_a_configuration_has_to_say() -> None:
    with pytest.raises(ConfigInvalid, match="needs the registry"):
        Desk("avro")
    with pytest.raises(ConfigInvalid, match="json_schema is for JSON"):
        Desk("avro", settings=REGISTRY, json_schema="row.json")
