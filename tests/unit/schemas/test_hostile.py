"""Bytes and schemas that have brought readers of Avro down, one by one: each is refused before it costs anything."""

from __future__ import annotations

import bz2
import json
import zlib
from typing import Any

import pytest

from schemas.codec import VALUE_LENGTH_MAX, Codec, frame
from schemas.contract import DEPTH_MAX, make_contract
from schemas.errors import ContractRefused, RegistryBroken, UnreadableValue
from schemas.learned import LEARNED, learned_from, read_learned
from schemas.registry import SCHEMA_LENGTH_MAX, FileRegistry, canonical_digest, read_rules
from schemas.walk import walker_of
from tests.gate_parts import CUSTOMER, registry_document

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
EMPTY = {"type": "record", "name": "empty", "fields": []}


def record(*types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{number}", "type": avro} for number, avro in enumerate(types)]
    return {"type": "record", "name": "order", "fields": fields}


def nested(depth: int) -> Any:
    avro: Any = "string"
    for _ in range(depth):
        avro = {"type": "array", "items": avro}
    return avro


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (record(["null", "order"]), "order contains itself"),
        (record({"type": "array", "items": "order"}), "order contains itself"),
        (record({"type": "map", "values": "order"}), "order contains itself"),
        (record({"type": "array", "items": "null"}), "items that take no bytes"),
        (record({"type": "array", "items": EMPTY}), "items that take no bytes"),
        (record({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}), "no bytes"),
        (record({**MONEY, "precision": 1000}), "a decimal of more than 38 digits"),
        (record(nested(DEPTH_MAX + 2)), f"nested deeper than {DEPTH_MAX}"),
        (record(nested(3_000)), f"nested deeper than {DEPTH_MAX}"),
    ],
)
def test_a_schema_that_would_harm_its_readers_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractRefused, match=said):
        make_contract(document, 100)
    contract = make_contract(CUSTOMER, 100)
    with pytest.raises(ContractRefused):
        learned_from("customer", contract, 7, document)


def test_a_schema_file_is_not_larger_and_not_deeper_than_is_read() -> None:
    texts = registry_document(CUSTOMER)
    (file,) = [name for name in texts if name.endswith(".avsc")]
    large = {**CUSTOMER, "doc": "x" * SCHEMA_LENGTH_MAX}
    listed = json.loads(texts["registry.json"])
    listed["schemas"][0]["sha256"] = canonical_digest(large)
    with pytest.raises(RegistryBroken, match="at most 262144 are read"):
        FileRegistry(documents={"registry.json": json.dumps(listed), file: json.dumps(large)})
    deep = "[" * 100_000
    for documents in (texts | {file: deep}, texts | {"registry.json": deep}, texts | {LEARNED: deep}):
        with pytest.raises(RegistryBroken, match=r"cannot be read|no known"):
            FileRegistry(documents=documents, own=False)
    with pytest.raises(RegistryBroken):
        read_rules({"registry.json": deep}, "here")
    with pytest.raises(RegistryBroken):
        read_learned({LEARNED: deep}, "here")


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


DECIMAL_200K = varint(400_000) + b"\x7f" * 200_000
BOMBS = [b"Obj\x01" + bz2.compress(bytes(10_000_000)), b"Obj\x01" + zlib.compress(bytes(10_000_000))]


@pytest.mark.parametrize(
    ("avro", "datum"),
    [
        (MONEY, DECIMAL_200K),
        (MONEY, b"\x20" + b"\x7f" * 16),  # fits its bytes, not its digits
        ("long", b"\xff" * 20 + b"\x00"),
        ("string", varint(2**62)),
        ("bytes", varint(2**62)),
        ({"type": "map", "values": "long"}, varint(2**61)),
        ({"type": "array", "items": "long"}, varint(40_000_000)),
        (
            {"type": "array", "items": "long"},
            varint(39_999_999) + varint(2),
        ),  # negative: a block with its length
        (["null", "string"], b"\x08"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, b"\x08"),
        ({"type": "string", "logicalType": "uuid"}, b"\x04no"),
        ("string", b"\x04\xff\xfe"),
        ({"type": "int", "logicalType": "date"}, varint(2**32 - 2)),
        ({"type": "long", "logicalType": "timestamp-millis"}, varint(2**63)),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_a_datum_that_would_harm_its_readers_is_unreadable(avro: Any, datum: bytes) -> None:
    codec = Codec({7: make_contract(record(avro), 7).schema})
    value = frame(7) + datum

    def read() -> None:
        walker_of(codec.schema(7))(value)
        codec.decode(value)

    with pytest.raises(UnreadableValue):
        read()


@pytest.mark.parametrize(
    "value", [*BOMBS, b"Obj\x01" + b"\x00" * VALUE_LENGTH_MAX, b"", b"\x00", b"\x01" * 5]
)
def test_what_is_not_the_wire_format_is_not_opened(value: bytes) -> None:
    """A container file may hold 200 MB in 278 bytes."""
    with pytest.raises(UnreadableValue):
        Codec({7: make_contract(record("string"), 7).schema}).decode(value)
