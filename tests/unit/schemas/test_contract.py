"""Contracts: which are used, and each shape that is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.contract import make_contract
from schemas.errors import ContractRefused
from tests.gate_parts import CUSTOMER, FIELDS, MONEY


def record(*types: Any, name: str = "thing") -> dict[str, Any]:
    fields = [{"name": f"f{number}", "type": avro} for number, avro in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields}


def nested(depth: int) -> Any:
    return "int" if depth == 0 else {"type": "array", "items": nested(depth - 1)}


def test_a_contract_knows_its_fields_and_which_cannot_be_null() -> None:
    contract = make_contract(CUSTOMER, 100)
    assert contract.fields == FIELDS
    assert contract.required == {"customer_id"}
    assert (contract.name, contract.schema_id) == ("customer", 100)


@pytest.mark.parametrize(
    "avro",
    [
        "string",
        ["null", "string"],
        ["string", "int", "boolean", "bytes", {"type": "array", "items": "int"}],
        MONEY,
        {"type": "fixed", "name": "f", "size": 4},
        {"type": "enum", "name": "e", "symbols": ["A"]},
        {"type": "map", "values": "null"},
        {"type": "string", "logicalType": "uuid"},
        record("int", name="inner"),
        nested(15),
    ],
)
def test_a_usable_shape(avro: Any) -> None:
    assert make_contract(record(avro), 1).fields == ("f0",)


def test_a_named_type_may_be_used_again() -> None:
    colour = {"type": "enum", "name": "colour", "symbols": ["RED"]}
    assert make_contract(record(colour, "colour", ["null", "colour"]), 1).required == {"f0", "f1"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"type": "record"}, "not an Avro schema"),
        ({"type": "nonsense"}, "not an Avro schema"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, "an object contract is an Avro record"),
        (record(["null", "thing"]), "thing.f0: thing contains itself"),
        (record({"type": "array", "items": "null"}), "thing.f0: items that take no bytes"),
        (record({"type": "array", "items": record(name="empty")}), "thing.f0: items that take no bytes"),
        (record({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}), "take no bytes"),
        (record(MONEY | {"precision": 39}), "thing.f0: a decimal of more than 38 digits"),
        (record(nested(17)), "nested deeper than 16"),
        (record(["int", "double"]), "thing.f0: a union in which a value does not tell its branch"),
        (record(["string", {"type": "enum", "name": "e", "symbols": ["A"]}]), "does not tell its branch"),
        (record([record(name="a"), record(name="b")]), "does not tell its branch"),
        (record({"type": "enum", "name": "e", "symbols": ["A"]}, ["e", "int"]), "does not tell its branch"),
    ],
)
def test_a_harmful_shape_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractRefused, match=said) as refused:
        make_contract(document, 1)
    assert refused.value.code == "contract.refused" and refused.value.remedy
