"""Adding versions of a contract: ids are new, what would lose something is refused, and faults are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.codec import guid_of
from schemas.contract import make_contract
from schemas.describe import difference, in_words, markdown
from schemas.errors import ContractRefused, ContractsClash, RegistryBroken
from schemas.register import Given, faults, first_version, subject_of, with_version
from schemas.registry import FileRegistry, canonical_digest
from tests.avro.shapes import INNER, decimal, enum, field, fixed, logical, record
from tests.gate_parts import CUSTOMER


def order(*more: dict[str, Any], without: str = "") -> dict[str, Any]:
    made = first_version("order", "order_id", ["total:money", "placed:time"], "What somebody bought.")
    kept = [{**told, "doc": f"The {told['name']}."} for told in made["fields"] if told["name"] != without]
    return {**made, "fields": [*kept, *more]}


GUID = "89791762-2336-4186-9674-299b90a802e2"
NOTE = field("note", ["null", "string"], default=None, doc="What was said.")


def test_versions_follow_each_other_with_ids_of_their_own() -> None:
    texts = with_version({}, "order", order())
    texts |= with_version(texts, "customer", CUSTOMER)
    texts |= with_version(texts, "order", order(NOTE))
    registry = FileRegistry(documents=texts)
    assert [(v.version, v.schema_id, v.file) for v in registry.versions("order")] == [
        (1, 100, "order.avsc"),
        (2, 102, "order.2.avsc"),
    ]
    assert registry.ids("customer") == {101}
    assert registry.checked("order").fields == ("order_id", "total", "placed", "note")
    assert [fault for fault in faults(texts) if fault[0] == "order"] == []


def test_a_version_is_called_as_a_companys_registry_calls_it() -> None:
    given = Given(7, guid_of(GUID), subject_of("order"))
    texts = with_version({}, "order", order(), given=given)
    found = FileRegistry(documents=texts, own=False).latest("order")
    assert (
        (found.schema_id, found.guid, found.registered)
        == given
        == (7, guid_of(GUID), "authoritative.order-value")
    )
    texts |= with_version(texts, "customer", CUSTOMER)
    assert FileRegistry(documents=texts, own=False).ids("customer") == {100}, (
        "those given here do not fill gaps"
    )
    with pytest.raises(RegistryBroken, match="one id to two schemas"):
        with_version(texts, "order", order(NOTE), given=given)


def test_a_first_version_has_a_key_that_is_never_null() -> None:
    document = order()
    assert document["fields"][0] == {"name": "order_id", "type": "string", "doc": "The order_id."}
    assert all(told["type"][0] == "null" and told["default"] is None for told in document["fields"][1:])
    for wrong in ("total", "total:euro", "Total:money", "to tal:money", ":money"):
        with pytest.raises(ContractRefused, match=r"no field with its kind.*kinds are text, number"):
            first_version("order", "order_id", [wrong], "")


def test_a_contract_says_what_its_fields_are() -> None:
    document = first_version("buyer", "buyer_id", ["email:text:pii", "since:date"], "Who buys.")
    assert make_contract(document, 100).classes == {"email": "pii"}
    assert "| email | text, or nothing | pii |" in markdown("buyer", 1, 100, document, {})
    with pytest.raises(ContractRefused, match=r"buyer\.email: 'private' is no class.*pii, secret"):
        first_version("buyer", "buyer_id", ["email:text:private"], "")
    open_now = first_version("buyer", "buyer_id", ["email:text:public", "since:date"], "Who buys.")
    (change,) = difference((1, document), (2, open_now)).changes
    assert (change.field, change.detail) == ("email", "class pii becomes public")
    odd = {**document, "fields": [{**told, "class": ["pii"]} for told in document["fields"]]}
    with pytest.raises(ContractRefused, match="is no class"):
        make_contract(odd, 100)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (order(), "this is a version of order already"),
        (order(NOTE, without="total"), "order would lose total, with every value of it.*--let-go"),
        ({"type": "enum", "name": "order", "symbols": ["A"]}, "an object contract is an Avro record"),
        (order(field("x", {"type": "array", "items": "null"})), "items that take no bytes"),
    ],
)
def test_what_would_lose_or_harm_something_is_no_version(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractRefused, match=said):
        with_version(with_version({}, "order", order()), "order", document)


def test_a_field_is_let_go_of_only_by_its_name() -> None:
    texts = with_version({}, "order", order(NOTE))
    assert "order.2.avsc" in with_version(texts, "order", order(NOTE, without="total"), ["total"])
    with pytest.raises(ContractRefused, match="order would lose note, with"):
        with_version(texts, "order", order(without="total"), ["total"])


def test_a_field_under_another_name_is_not_lost() -> None:
    renamed = field("price", ["null", decimal(18, 2)], default=None, aliases=["total"], doc="What it costs.")
    assert "order.2.avsc" in with_version(
        with_version({}, "order", order()), "order", order(renamed, without="total")
    )


def test_what_clashes_with_an_older_version_is_no_version() -> None:
    texts = with_version({}, "order", order())
    retyped = field("total", ["null", "double"], default=None)
    with pytest.raises(ContractsClash, match=r"order: total: missing union branch"):
        with_version(texts, "order", order(retyped, without="total"))
    needed = field("weight", "long")
    with pytest.raises(ContractsClash, match="weight: has no default"):
        with_version(texts, "order", order(needed))


def test_names_and_files_that_would_be_mistaken_are_refused() -> None:
    for name in ("Order", "order-line", "_order", "order__line", ""):
        with pytest.raises(ContractRefused, match="no name of an object"):
            with_version({}, name, order())
    with pytest.raises(ContractRefused, match=r"order\.avsc is there, and is no version"):
        with_version({"order.avsc": "{}"}, "order", order())


def test_every_fault_of_a_folder_is_named() -> None:
    texts = with_version({}, "order", order())
    silent = {**order(field("Odd", ["null", "string"], default=None)), "doc": " "}
    texts |= with_version(texts, "parcel", silent)
    texts |= {"left.avsc": "{}"}
    found = [(name, code) for name, code, _, _ in faults(texts)]
    assert found == [
        ("parcel", "contract.no_doc"),
        ("parcel", "contract.no_doc"),
        ("parcel", "contract.name"),
        ("left.avsc", "contract.unlisted"),
    ]
    assert all(what and remedy for _, _, what, remedy in faults(texts))


def promising(texts: dict[str, str], rule: str) -> dict[str, str]:
    listed = json.loads(texts["registry.json"]) | {"compatibility": {"order": rule}}
    return texts | {"registry.json": json.dumps(listed)}


def test_what_is_promised_to_readers_is_looked_at() -> None:
    grown = with_version({}, "order", order())
    grown |= with_version(grown, "order", order(NOTE))
    assert list(faults(promising(grown, "full"))) == []
    shrunk = with_version({}, "order", order(field("weight", "long", doc="How heavy.")))
    shrunk |= with_version(shrunk, "order", order(), ["weight"])
    assert list(faults(shrunk)) == [], "the gate reads both"
    ((name, code, what, _),) = faults(promising(shrunk, "full"))
    assert (name, code) == ("order", "contract.clash") and "version 2 read by version 1" in what


def test_a_contract_that_would_harm_a_reader_is_a_fault() -> None:
    texts = with_version({}, "order", order())
    endless = order(field("next", ["null", "order"], default=None))
    entry = json.loads(texts["registry.json"])["schemas"][0]
    entry |= {"sha256": canonical_digest(endless)}
    harmful = {"registry.json": json.dumps({"schemas": [entry]}), "order.avsc": json.dumps(endless)}
    ((name, code, what, _),) = faults(harmful)
    assert (name, code) == ("order", "contract.refused") and "contains itself" in what


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (["null", "string"], "text, or nothing"),
        (["string", "long"], "text or whole number"),
        (decimal(18, 2), "amount of up to 16 digits and 2 decimals"),
        (logical("long", "timestamp-millis"), "time"),
        (logical("string", "odd"), "text"),
        (enum("a", "b"), "one of a, b"),
        (fixed(4), "4 bytes"),
        ({"type": "array", "items": "double"}, "list of: number"),
        ({"type": "map", "values": "boolean"}, "named values: yes or no"),
        (INNER, "In (a)"),
        ("shop.Line", "Line"),
    ],
)
def test_types_in_words(schema: Any, said: str) -> None:
    assert in_words(schema) == said


def test_what_a_version_changes_is_told_field_by_field() -> None:
    older = order(NOTE, field("weight", "int"), field("size", "int"))
    renamed = field("remark", ["null", "string"], default=None, aliases=["note"])
    newer = order(renamed, field("weight", "long"), field("colour", "string"), without="placed")
    found = difference((1, older), (2, newer))
    assert [(change.field, change.what, change.detail) for change in found.changes] == [
        ("remark", "renamed", "was note"),
        ("weight", "changed", "whole number, stored otherwise"),
        ("colour", "added", "text; who does not send it cannot write the record"),
        ("placed", "removed", "its values are let go of: time, or nothing"),
        ("size", "removed", "its values are let go of: whole number"),
    ]
    assert [clash.field for clash in found.old_data] == ["colour"]
    assert [clash.field for clash in found.old_readers] == ["weight", "size"]


def test_a_page_has_a_line_for_every_field() -> None:
    piped = field("either", ["null", "string"], default=None, doc="This | that\nor none.")
    page = markdown("order", 2, 102, order(piped), {"total": "financial"})
    assert page.startswith("# order\n\nWhat somebody bought.\n\nVersion 2, schema id 102.\n")
    assert "| total | amount of up to 16 digits and 2 decimals, or nothing | financial | The total. |" in page
    assert page.endswith("| either | text, or nothing |  | This \\| that or none. |\n")


def test_records_are_made_of_their_fields() -> None:
    assert in_words(record(field("a", "int"), field("b", "int"), name="x.Pair")) == "Pair (a, b)"
