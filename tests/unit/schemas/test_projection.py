"""A projected contract stands alone: what it names is defined in it, and once."""

from __future__ import annotations

from typing import Any

import fastavro

from schemas.projection import projected

MONEY: dict[str, Any] = {
    "type": "record",
    "name": "money",
    "fields": [
        {"name": "amount", "type": "long"},
        {"name": "currency", "type": {"type": "enum", "name": "currency", "symbols": ["EUR"]}},
    ],
}
WHOLE: dict[str, Any] = {
    "type": "record",
    "name": "customer",
    "doc": "Speaks of the hidden limit.",
    "fields": [
        {"name": "limit", "type": MONEY},
        {"name": "spent", "type": "money"},
        {"name": "earlier", "type": {"type": "array", "items": ["null", "money"]}},
        {"name": "by_year", "type": {"type": "map", "values": "currency"}},
        {"name": "wrapped", "type": {"type": {"type": "array", "items": "money"}}},
    ],
}


def test_a_type_whose_first_use_is_hidden_is_defined_at_its_next() -> None:
    made: Any = projected(WHOLE, {"spent", "earlier", "by_year", "wrapped"}, frozenset())
    spent, earlier, by_year, wrapped = [field["type"] for field in made["fields"]]
    assert spent == MONEY and earlier["items"] == ["null", "money"]
    assert by_year["values"] == "currency" and wrapped["type"]["items"] == "money"
    assert "doc" not in made
    assert fastavro.parse_schema(projected(WHOLE, {"spent", "earlier", "by_year"}, frozenset()))


def test_a_repeated_definition_becomes_its_name() -> None:
    twice = {**WHOLE, "fields": [{"name": "a", "type": MONEY}, {"name": "b", "type": ["null", MONEY]}]}
    made: Any = projected(twice, {"a", "b"}, frozenset())
    assert [field["type"] for field in made["fields"]] == [MONEY, ["null", "money"]]
