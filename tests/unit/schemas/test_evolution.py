"""Versions of a contract: who reads whom, as the Java library says; and that nothing changes its value on the way."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many

from schemas.errors import ContractRefused, ContractsClash, RegistryBroken
from schemas.evolution import Compatibility, between, clashes, parsed, readable
from schemas.registry import FileRegistry
from tests.avro.java import recorded
from tests.avro.shapes import GROUPS, decimal, enum, field, logical, pairs, record
from tests.gate_parts import CUSTOMER, registry_document

KEY = field("id", "string")


def of(*kinds: Any) -> list[tuple[int, dict[str, Any]]]:
    """Versions of a record whose one other field has these types."""
    return [(number, record(KEY, field("x", kind))) for number, kind in enumerate(kinds, 1)]


def test_each_pair_is_judged_as_the_java_library_judges_it() -> None:
    said = recorded()
    assert len(said) == sum(len(group) ** 2 for group in GROUPS.values()) > 2000
    assert said.count("+") > 300
    for (reader, writer), verdict in zip(pairs(), said, strict=True):
        one, other = (parsed(document) for document in (reader, writer))
        assert readable(one, other) == (verdict == "+"), (reader, writer)
        if verdict == "-":
            assert list(between((2, one), (1, other))), (reader, writer)


def _same(told: Any, read: Any) -> bool:
    if isinstance(told, dict) and isinstance(read, dict):
        return all(_same(told[name], read[name]) for name in told.keys() & read.keys())
    if isinstance(told, list):
        return len(told) == len(read) and all(map(_same, told, read))
    return bool(told == read)


def test_what_may_follow_is_read_as_the_same_values() -> None:
    """The reading is fastavro's, which the gate uses; the values are made up."""
    looked_at = 0
    for reader, writer in pairs():
        if clashes([(1, writer), (2, reader)], Compatibility.BACKWARD):
            continue
        ours, theirs = (
            fastavro.parse_schema(json.loads(json.dumps(one)), _force=True) for one in (reader, writer)
        )
        for value in generate_many(theirs, 5):
            written = BytesIO()
            fastavro.schemaless_writer(written, theirs, value)
            try:
                told = fastavro.schemaless_reader(BytesIO(written.getvalue()), theirs, None)
            except ValueError:
                continue  # bytes at random are seldom a decimal of so few digits
            read = fastavro.schemaless_reader(BytesIO(written.getvalue()), theirs, ours)
            assert _same(told, read), (reader, writer, told, read)
            looked_at += 1
    assert looked_at > 1000


@pytest.mark.parametrize(
    ("older", "newer", "said"),
    [
        ("long", "double", "x: long becomes double"),
        ("int", "float", "x: int becomes float"),
        ("bytes", "string", "x: bytes becomes string"),
        (decimal(10, 2), decimal(10, 3), "x: decimal(10,2) becomes decimal(10,3)"),
        (decimal(12, 2), decimal(10, 2), "x: decimal(12,2) becomes decimal(10,2)"),
        (
            logical("long", "timestamp-millis"),
            logical("long", "timestamp-micros"),
            "timestamp-millis becomes",
        ),
        (logical("long", "timestamp-millis"), logical("long", "timestamp-nanos"), "becomes timestamp-nanos"),
        ("string", logical("string", "uuid"), "x: string becomes uuid"),
        (enum("A", "B", "C"), enum("A", default="A"), "x: B, C becomes A"),
        (
            {"type": "array", "items": "long"},
            {"type": "array", "items": "double"},
            "x[]: long becomes double",
        ),
        ({"type": "map", "values": "int"}, {"type": "map", "values": "float"}, "x{}: int becomes float"),
        (
            record(field("a", "long"), name="I"),
            record(field("a", "double"), name="I"),
            "x.a: long becomes double",
        ),
        (["null", "long"], ["null", "double"], "x: long becomes double"),
        ("string", "int", "x: type mismatch (reader type: int not compatible with writer type: string)"),
        (["null", "string"], "string", "x: type mismatch"),
    ],
)
def test_a_value_that_would_change_on_its_way_is_refused(older: Any, newer: Any, said: str) -> None:
    (found,) = clashes(of(older, newer), Compatibility.BACKWARD)
    assert said in str(found) and str(found).endswith("(version 1 read by version 2)")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("int", "long"),
        ("int", "double"),
        ("float", "double"),
        (decimal(10, 2), decimal(12, 2)),
        (enum("A"), enum("A", "B")),
        ("string", ["null", "string"]),
        (["null", "int"], ["null", "long", "int"]),
    ],
)
def test_what_stays_the_same_value_may_follow(older: Any, newer: Any) -> None:
    assert clashes(of(older, newer), Compatibility.BACKWARD) == ()


BASE, WITH_DEFAULT = record(KEY), record(KEY, field("x", "int", default=0))
WITHOUT = record(KEY, field("x", "int"))


@pytest.mark.parametrize(
    ("rule", "versions", "count"),
    [
        (Compatibility.NONE, [BASE, WITHOUT], 0),
        (Compatibility.BACKWARD, [BASE, WITH_DEFAULT], 0),
        (Compatibility.BACKWARD, [BASE, WITHOUT], 1),
        (Compatibility.BACKWARD, [WITHOUT, BASE], 0),
        (Compatibility.FORWARD, [BASE, WITHOUT], 0),
        (Compatibility.FORWARD, [WITHOUT, BASE], 1),
        (Compatibility.FULL, [BASE, WITHOUT], 1),
        (Compatibility.FULL, [BASE, WITH_DEFAULT], 0),
        # Neighbours can read each other; the first and the last cannot.
        (Compatibility.BACKWARD, [BASE, WITH_DEFAULT, WITHOUT], 0),
        (Compatibility.BACKWARD_TRANSITIVE, [BASE, WITH_DEFAULT, WITHOUT], 1),
        (Compatibility.FORWARD, [WITHOUT, WITH_DEFAULT, BASE], 0),
        (Compatibility.FORWARD_TRANSITIVE, [WITHOUT, WITH_DEFAULT, BASE], 1),
        (Compatibility.FULL, [BASE, WITH_DEFAULT, WITHOUT], 0),
        (Compatibility.FULL_TRANSITIVE, [BASE, WITH_DEFAULT, WITHOUT], 1),
    ],
)
def test_who_must_read_whom(rule: Compatibility, versions: list[dict[str, Any]], count: int) -> None:
    found = clashes(list(enumerate(versions, 1)), rule)
    assert len(found) == count, found
    assert all(clash.field == "x" and "no default" in clash.detail for clash in found)


def test_another_name_is_said_of_the_record_itself() -> None:
    (found,) = clashes([(1, record(KEY)), (2, record(KEY, name="S"))], Compatibility.BACKWARD)
    assert found.field == "" and str(found).startswith("name mismatch")


def test_what_is_no_avro_schema_is_refused() -> None:
    deep: Any = "string"
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    for document in ({"type": "record", "name": "R"}, {"type": "nothing"}, record(field("x", deep))):
        with pytest.raises(ContractRefused, match="not an Avro schema"):
            clashes([(1, document)], Compatibility.BACKWARD)


def test_a_registry_whose_versions_clash_is_not_used() -> None:
    retyped = {
        **CUSTOMER,
        "fields": [
            {"name": "name", "type": ["null", "long"], "default": None} if f["name"] == "name" else f
            for f in CUSTOMER["fields"]
        ],
    }
    registry = FileRegistry(documents=registry_document(CUSTOMER, retyped))
    with pytest.raises(ContractsClash, match="customer: name: missing union branch") as refused:
        registry.checked("customer")
    assert refused.value.code == "contract.clash" and len(refused.value.found) == 1


def test_an_older_version_that_could_harm_a_reader_is_not_used_either() -> None:
    nested = {
        **CUSTOMER,
        "fields": [*CUSTOMER["fields"], field("next", ["null", CUSTOMER["name"]], default=None)],
    }
    registry = FileRegistry(documents=registry_document(nested, CUSTOMER))
    with pytest.raises(ContractRefused, match="contains itself"):
        registry.checked("customer")


def test_what_is_promised_to_readers_is_held_beside_what_the_gate_needs() -> None:
    told = {**CUSTOMER, "fields": [*CUSTOMER["fields"], field("vat_id", "string")]}
    documents = registry_document(told, CUSTOMER)
    assert FileRegistry(documents=documents).clashes("customer") == (), "the gate reads both"
    listed = json.loads(documents["registry.json"]) | {"compatibility": {"customer": "full"}}
    promised = FileRegistry(documents=documents | {"registry.json": json.dumps(listed)})
    (clash,) = promised.clashes("customer")
    assert (clash.field, clash.reader, clash.writer) == ("vat_id", 1, 2), (
        "who still has the first version does not"
    )


def test_a_promise_in_other_words_is_not_guessed_at() -> None:
    documents = registry_document(CUSTOMER)
    listed = json.loads(documents["registry.json"]) | {"compatibility": {"customer": "FULLY"}}
    with pytest.raises(RegistryBroken, match=r"no known compatibility: 'FULLY'.*Use one of none, backward"):
        FileRegistry(documents=documents | {"registry.json": json.dumps(listed)})


def test_a_schema_that_is_none_is_refused_with_its_file() -> None:
    wrong = {**CUSTOMER, "fields": [field("customer_id", "text")]}
    with pytest.raises(RegistryBroken, match=r"customer.*is no Avro schema"):
        FileRegistry(documents=registry_document(wrong))


def test_another_kind_of_type_is_said_once() -> None:
    (clash,) = between((2, parsed("int")), (1, parsed("string")))
    assert (clash.reader, clash.writer, clash.field) == (2, 1, "") and "string" in clash.detail
