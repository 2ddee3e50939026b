"""Schemas of a company's registry, by which an object's changes are written too."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.codec import guid_of
from schemas.contract import make_contract
from schemas.errors import ContractRefused, ContractsClash, RegistryBroken
from schemas.learned import LEARNED, Learned, carried, learned_from, read_learned, written
from schemas.registry import FileRegistry
from tests.gate_parts import CUSTOMER, registry_document

CONTRACT = make_contract(CUSTOMER, 100)
GUID = guid_of("89791762-2336-4186-9674-299b90a802e2")
ADA = {"customer_id": "C-1", "name": "Ada", "email": None, "phone": None, "credit_limit": None}


def theirs(*more: dict[str, Any], without: str = "", **changed: Any) -> dict[str, Any]:
    kept = [
        {**field, **changed.get(field["name"], {})}
        for field in CUSTOMER["fields"]
        if field["name"] != without
    ]
    return {"type": "record", "name": "Buyer", "namespace": "com.shop", "fields": [*kept, *more]}


def texts(*learned: Learned) -> dict[str, str]:
    return registry_document(CUSTOMER) | {LEARNED: written(learned)}


def test_what_is_learned_is_read_and_is_no_version() -> None:
    found = learned_from("customer", CONTRACT, 7, theirs(), GUID)
    assert read_learned({LEARNED: written([found])}, "here") == [found] and read_learned({}, "here") == []
    registry = FileRegistry(documents=texts(found), own=False)
    assert registry.ids("customer") == {7, 100} and registry.learned("customer") == {7}
    assert registry.checked("customer").schema_id == 100 and len(registry.versions("customer")) == 1
    value = registry.codec.encode(7, ADA)
    assert registry.codec.decode(value, {7}, CONTRACT.schema) == ADA
    assert registry.codec.prefixed(b"\x01" + GUID, value[5:]) == value


def test_an_id_of_the_products_own_may_mean_another_schema_elsewhere() -> None:
    own = learned_from("customer", CONTRACT, 1, theirs())
    assert FileRegistry(documents=texts(own), own=False).learned("customer") == {1}
    with pytest.raises(RegistryBroken, match="learned id 1 of subject customer is taken"):
        FileRegistry(documents=texts(own))


@pytest.mark.parametrize(
    ("document", "error", "said"),
    [
        ({"type": "string"}, ContractRefused, "not an Avro record"),
        ("string", ContractRefused, "not an Avro"),
        ({"type": "record"}, ContractRefused, "not an Avro schema"),
        (theirs({"name": "x", "type": {"type": "array", "items": "null"}}), ContractRefused, "no bytes"),
        (theirs(without="customer_id"), ContractsClash, "customer, schema id 7: customer_id: has no default"),
        (theirs(name={"type": ["null", "long"]}), ContractsClash, "customer, schema id 7: name"),
        (theirs(phone={"type": ["null", "bytes"]}), ContractsClash, "phone: bytes becomes string"),
    ],
)
def test_what_the_contract_in_force_cannot_read_is_not_learned(
    document: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        learned_from("customer", CONTRACT, 7, document)


def test_a_contract_that_cannot_read_what_was_learned_is_not_put_in_force() -> None:
    found = learned_from("customer", CONTRACT, 7, theirs(without="phone"))
    stricter = [
        {"name": "phone", "type": "string"} if field["name"] == "phone" else field
        for field in CUSTOMER["fields"]
    ]
    documents = registry_document({**CUSTOMER, "fields": stricter}) | {LEARNED: written([found])}
    with pytest.raises(ContractsClash, match="customer, learned schema id 7: phone"):
        FileRegistry(documents=documents, own=False).checked("customer")


@pytest.mark.parametrize("text", ["", "[]", '{"schemas": [{}]}', '{"schemas": [{"id": "x"}]}'])
def test_a_list_that_cannot_be_read(text: str) -> None:
    with pytest.raises(RegistryBroken, match=r"here/learned.json cannot be read.*learned again"):
        read_learned({LEARNED: text}, "here")


def test_one_id_is_learned_once() -> None:
    found = learned_from("customer", CONTRACT, 7, theirs())
    with pytest.raises(RegistryBroken, match=r"learned id 7 .* is taken"):
        FileRegistry(documents=texts(found, found))


def test_what_was_learned_is_carried_into_the_next_files() -> None:
    found = learned_from("customer", CONTRACT, 7, theirs(), GUID)
    plain = registry_document(CUSTOMER)
    assert read_learned(carried(texts(found), plain), "here") == [found]
    assert carried(plain, plain) == plain
    broken = {**plain, "registry.json": "[]"}  # whoever reads the files says what is wrong with them
    assert read_learned(carried(texts(found), broken), "here") == [found]
    known = {**plain, "registry.json": plain["registry.json"].replace('"id": 100', '"id": 7')}
    assert LEARNED not in carried(texts(found), known), "a version by now"
