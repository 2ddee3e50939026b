"""Python types of a contract: what is decoded fits them, and comes back from them as it was."""

from __future__ import annotations

import datetime as dt
import decimal
import types
import typing
import uuid
from io import BytesIO
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many
from pydantic import BaseModel, ValidationError

from schemas.codegen import pydantic_models, typed_dicts
from schemas.contract import Contract, make_contract
from schemas.errors import ContractRefused
from tests.avro.shapes import INNER, TYPES, enum, field, logical, record
from tests.avro.shapes import decimal as decimal_of
from tests.gate_parts import CUSTOMER

ORDER = record(
    field("id", "string", doc='The number on the paper, "as printed".'),
    field("placed", logical("long", "timestamp-millis")),
    field("day", logical("int", "date")),
    field("token", logical("string", "uuid")),
    field("total", ["null", decimal_of(10, 2)], default=None),
    field("state", enum("open", "paid", name="State")),
    field(
        "lines",
        {"type": "array", "items": record(field("sku", "string"), field("count", "int"), name="order_line")},
    ),
    field("first", ["null", "order_line"], default=None),
    field("class", ["null", "string"], default=None),
    field("_hidden", "int", default=3),
    field("copy", "boolean", default=False),
    field("model_x", "double"),
    field("notes", {"type": "map", "values": ["null", "string", "long"]}),
    name="shop.order",
    doc="What somebody bought.",
)


def contract_of(document: dict[str, Any]) -> Contract:
    return make_contract(document, 100)


def module_of(text: str) -> types.ModuleType:
    module = types.ModuleType("generated")
    exec(compile(text, "generated", "exec"), module.__dict__)  # noqa: S102 - our own text
    return module


def model_of(document: dict[str, Any]) -> type[BaseModel]:
    module = module_of(pydantic_models(contract_of(document)))
    found = getattr(module, module.__all__[0])
    found.model_rebuild(_types_namespace=module.__dict__)
    return typing.cast("type[BaseModel]", found)


def decoded(document: dict[str, Any], count: int) -> list[Any]:
    schema = contract_of(document).schema
    found = []
    for value in generate_many(schema, count):
        out = BytesIO()
        fastavro.schemaless_writer(out, schema, value)
        out.seek(0)
        try:
            found.append(fastavro.schemaless_reader(out, schema, None))
        except ValueError:
            continue  # bytes at random are seldom a decimal of so few digits
    return found


@pytest.mark.parametrize("document", [ORDER, CUSTOMER, record(field("a", INNER), field("b", ["null", "In"]))])
def test_a_record_comes_back_from_its_model_as_it_was(document: dict[str, Any]) -> None:
    model, values = model_of(document), decoded(document, 30)
    assert values or document is ORDER
    for value in values:
        assert model.model_validate(value).model_dump(by_alias=True) == value


def test_every_shape_comes_back_as_it_was() -> None:
    looked_at = 0
    for kind in TYPES:
        document = record(field("v", kind))
        try:
            model = model_of(document)
        except ContractRefused:
            continue
        for value in decoded(document, 5):
            assert model.model_validate(value).model_dump(by_alias=True) == value, document
            looked_at += 1
    assert looked_at > 150


def test_an_order_as_its_model_has_it() -> None:
    token, now = uuid.UUID(int=7), dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
    told = {
        "id": "O-1",
        "placed": now,
        "day": now.date(),
        "token": token,
        "total": decimal.Decimal("9.90"),
        "state": "open",
        "lines": [{"sku": "A", "count": 2}],
        "first": {"sku": "A", "count": 2},
        "class": "retail",
        "_hidden": 4,
        "copy": True,
        "model_x": 0.5,
        "notes": {"a": None, "b": "c", "d": 5},
    }
    order: Any = model_of(ORDER).model_validate(told)
    assert (order.class_, order.hidden_, order.copy_, order.lines[0].count) == ("retail", 4, True, 2)
    assert order.model_dump(by_alias=True) == told
    assert ORDER["doc"] in (type(order).__doc__ or "")
    assert type(order).model_fields["id"].description == 'The number on the paper, "as printed".'
    short = {
        name: value
        for name, value in told.items()
        if name not in ("total", "first", "class", "_hidden", "copy")
    }
    filled: Any = model_of(ORDER).model_validate(short)
    assert (filled.total, filled.hidden_, filled.copy_) == (None, 3, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "lost"},
        {"total": "9.90"},
        {"lines": [{"sku": "A", "count": "2"}]},
        {"more": 1},
        {"id": None},
    ],
)
def test_nothing_is_coerced(wrong: dict[str, Any]) -> None:
    now = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
    right = {
        "id": "O-1",
        "placed": now,
        "day": now.date(),
        "token": uuid.UUID(int=7),
        "state": "open",
        "lines": [],
    }
    right |= {"model_x": 0.5, "notes": {}}
    model = model_of(ORDER)
    model.model_validate(right)
    with pytest.raises(ValidationError):
        model.model_validate(right | wrong)


def test_typed_dicts_name_every_field_and_its_type() -> None:
    module = module_of(
        typed_dicts(contract_of({**ORDER, "fields": [f for f in ORDER["fields"] if f["name"] != "class"]}))
    )
    hints = typing.get_type_hints(module.Order, module.__dict__)
    assert list(hints) == [f["name"] for f in ORDER["fields"] if f["name"] != "class"]
    assert hints["placed"] is dt.datetime and hints["total"] == (None | decimal.Decimal)
    assert hints["lines"] == list[module.OrderLine] and hints["first"] == (None | module.OrderLine)
    assert typing.get_args(hints["state"]) == ("open", "paid")
    assert typing.get_type_hints(module.OrderLine, module.__dict__) == {"sku": str, "count": int}


def test_a_typed_dict_of_a_field_that_is_a_word_of_python() -> None:
    module = module_of(
        typed_dicts(contract_of(record(field("class", "string"), field("n", ["null", "long"]))))
    )
    assert typing.get_type_hints(module.R, module.__dict__) == {"class": str, "n": None | int}


def test_two_records_of_one_name_are_refused() -> None:
    twice = record(field("a", {**INNER, "name": "x.In"}), field("b", {**INNER, "name": "y.In"}))
    with pytest.raises(ContractRefused, match="two records would both be called In"):
        pydantic_models(contract_of(twice))
