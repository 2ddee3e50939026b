"""Bytes and records: what is read, what is not, and that nothing is coerced on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.codec import (
    SCHEMA_HEADER,
    VALUE_LENGTH_MAX,
    Codec,
    frame,
    guid_of,
    guid_text,
    named_schema,
    schema_id_of,
)
from schemas.contract import make_contract
from schemas.errors import UnknownSchemaId, UnreadableValue
from tests.gate_parts import CUSTOMER, MONEY

OLD = {**CUSTOMER, "fields": [f for f in CUSTOMER["fields"] if f["name"] != "phone"]}
GUID = guid_of("89791762-2336-4186-9674-299b90a802e2")
"""That of the examples in the tests of Confluent's own clients, whose header begins 01 89 79 17 62."""
CODEC = Codec({100: make_contract(OLD, 100).schema, 101: make_contract(CUSTOMER, 101).schema}, {GUID: 101})
ADA = {"customer_id": "C-1", "name": "Ada", "email": None, "phone": None, "credit_limit": Decimal("1.50")}


def test_what_is_written_is_read() -> None:
    value = CODEC.encode(101, ADA)
    assert value.startswith(frame(101)) and schema_id_of(value) == 101
    assert CODEC.decode(value) == ADA
    assert CODEC.decode(value, {101}) == ADA


def test_a_header_may_name_the_schema() -> None:
    value = CODEC.encode(101, ADA)
    assert CODEC.prefixed(b"\x01" + GUID, value[5:]) == value
    assert CODEC.prefixed(value[:5], value[5:]) == value
    for named in (b"", b"\x01", b"\x00" * 6, b"\x02" + GUID, b"\x01" + GUID + b"\x00"):
        with pytest.raises(UnreadableValue, match=f"of {len(named)} bytes is neither"):
            CODEC.prefixed(named, value[5:])
    with pytest.raises(UnknownSchemaId, match=r"GUID 0{8}-.* is not in the registry.*`guid`"):
        CODEC.prefixed(b"\x01" + bytes(16), value[5:])


def test_a_guid_is_written_one_way() -> None:
    text = "89791762-2336-4186-9674-299b90a802e2"
    assert GUID.hex().startswith("89791762") and guid_text(GUID) == text == guid_text(guid_of(text.upper()))
    for wrong in ("", "8979", text[:-1], text.replace("-", ""), text[:-1] + "x", f"-{text[1:]}"):
        with pytest.raises(ValueError, match=r"GUID|hexadecimal"):
            guid_of(wrong)


def test_an_older_value_is_read_as_the_contract_in_force_has_it() -> None:
    old = CODEC.encode(100, {name: value for name, value in ADA.items() if name != "phone"})
    assert "phone" not in CODEC.decode(old)
    assert CODEC.decode(old, into=make_contract(CUSTOMER, 101).schema) == ADA


def test_a_value_that_no_reader_of_the_contract_can_see_is_unreadable() -> None:
    stricter = {**CUSTOMER, "fields": [*CUSTOMER["fields"], {"name": "since", "type": "int"}]}
    with pytest.raises(UnreadableValue, match="datum of schema 101"):
        CODEC.decode(CODEC.encode(101, ADA), into=make_contract(stricter, 102).schema)


@pytest.mark.parametrize("missing", ["customer_id", "phone"])
def test_a_record_that_does_not_fit_is_not_written(missing: str) -> None:
    with pytest.raises(UnreadableValue, match="does not fit schema 101"):
        CODEC.encode(101, {name: value for name, value in ADA.items() if name != missing})


@pytest.mark.parametrize(
    "value", [b"", b"\0\0\0\0", b"\1\0\0\0\x65", CODEC.encode(101, ADA) + b"x", CODEC.encode(101, ADA)[:-1]]
)
def test_bytes_that_are_not_exactly_one_datum_are_unreadable(value: bytes) -> None:
    with pytest.raises(UnreadableValue):
        CODEC.decode(value)


def test_a_value_that_is_too_long_is_not_decoded() -> None:
    with pytest.raises(UnreadableValue, match="at most 1048576"):
        CODEC.decode(frame(101) + b"x" * VALUE_LENGTH_MAX)


def test_another_contracts_id_is_not_this_objects() -> None:
    with pytest.raises(UnknownSchemaId, match="schema id 101"):
        CODEC.decode(CODEC.encode(101, ADA), {100})
    with pytest.raises(UnknownSchemaId, match="schema id 999"):
        CODEC.decode(frame(999))


@pytest.mark.parametrize("avro", [MONEY, {**MONEY, "type": "fixed", "name": "f", "size": 9}])
def test_a_decimal_with_too_many_digits_is_unreadable_not_rounded(avro: object) -> None:
    # I6: fastavro rounds it to 16 digits
    contract = make_contract({"type": "record", "name": "r", "fields": [{"name": "d", "type": avro}]}, 1)
    codec = Codec({1: contract.schema})
    largest = 10**16 - 1
    for unscaled in (largest, -largest, 0, 1):
        exact = Decimal(unscaled).scaleb(-2)
        assert codec.decode(codec.encode(1, {"d": exact})) == {"d": exact}
    prefix = b"" if contract.schema["fields"][0]["type"]["type"] == "fixed" else bytes([18])
    for unscaled in (largest + 1, -largest - 1):
        with pytest.raises(UnreadableValue):
            codec.decode(frame(1) + prefix + unscaled.to_bytes(9, "big", signed=True))


def test_how_a_record_names_its_schema() -> None:
    guid = guid_of("89791762-2336-4186-9674-299b90a802e2")
    assert named_schema([], frame(7) + b"datum") == 7
    assert named_schema([(SCHEMA_HEADER, b"\x01" + guid)], frame(7)) == guid, "the header comes first"
    assert named_schema([("ce_id", b"x")], b"\x01" + guid[:4]) is None and named_schema([], None) is None
    codec = Codec({7: CUSTOMER}, guids={guid: 7})
    assert (codec.id_of(7), codec.id_of(guid), codec.id_of(bytes(16))) == (7, 7, None)
