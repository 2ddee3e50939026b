"""Data contracts as files of the map: ours come back as they were, others leave open what they do not say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyodcs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from broker.cli.root import app
from broker.rules import Rules, rules_of
from ownership.document import ObjectDocument
from ownership.errors import Finding
from ownership.lines import read_yaml
from ownership.map import ObjectMap
from ownership.odcs import KEPT, odcs_of
from ownership.odcs_import import Imported, OdcsRefused, imported
from schemas.contract import make_contract
from schemas.register import with_version
from tests.estate import MAP_DIR, map_documents
from tests.gate_parts import CUSTOMER, map_texts
from tests.histories import changing_laws, document_of_law, laws
from tests.unit.ownership.test_load import SLA, codes, documents

BILLING = {"read": ["name", "phone"], "masked": ["phone"], "mask_key": 7, "on_violation": "reject"}
MORE: dict[str, list[Any]] = {
    "generation": [1, 3],
    "partitions": [7],
    "conflicts": ["", "Sales decides.\n", "yes: 'no' #?"],
    "conflict_process": [{"decides": "sales", "within": "1d", "unanswered": "escalate", "escalate_to": "x"}],
    "review": [{"every": "year", "last": "2026-10-01", "by": "ana"}],
    "slas": [[SLA], [SLA | {"failover": {"after": "1h", "to": "x"}, "freshness": {"expect_every": "1d"}}]],
    "delete": [{"authority": "erp", "consumers": "hard"}],
    "description": ["A customer.", "It is: #1"],
    "steward": [{"team": "Ops & more", "contact": "https://example.com/ops"}],
}


@st.composite
def written_maps(draw: st.DrawFn) -> dict[str, Any]:
    """The values of an object's file: a law of the oracle, with any of what a file may say besides."""
    values = document_of_law(draw(st.one_of(laws(), changing_laws())))
    for key, choices in MORE.items():
        if draw(st.booleans()):
            values[key] = draw(st.sampled_from(choices))
    if values.get("generation", 1) > 1:
        values["partitions"] = 7
    if draw(st.booleans()):
        values["systems"] = values["systems"] | {"billing": BILLING}
    if draw(st.booleans()):
        values["fields"] = values["fields"] | {
            "email": {"class": draw(st.sampled_from(["pii", "secret", "public", "internal"]))},
            "name": {"system_of_record": "billing", "until": "2020-01-01T00:00:00+00:00"},
        }
    return values


def exported(rules: Rules, written: dict[str, Any]) -> str:
    fields = {str(one["name"]): one for one in rules.readers["customer"].contract.schema["fields"]}
    document = odcs_of(rules.ownership_map, "customer", "authoritative.customer", fields, written)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def again(texts: dict[str, str], one: Imported) -> ObjectMap:
    """The object as the gate compiles what was imported."""
    beside = {"systems.yaml": texts["systems.yaml"], f"{one.object}.yaml": one.text}
    return rules_of({**beside, **with_version({}, one.object, one.contract)}, 1).ownership_map.objects[
        one.object
    ]


FOREIGN = """
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.1.0
status: active
description: {purpose: Payments of sellers.}
team: {name: payments, members: [{username: ceastwood, role: Data Scientist}, {username: m@example.com, role: Steward}]}
schema:
  - name: payment
    logicalType: object
    properties:
      - {name: payment_id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: paid_on, logicalType: date, required: true, description: Day of the booking.}
      - {name: amount, logicalType: number, physicalType: "DECIMAL(18, 2)"}
      - {name: share, logicalType: number, classification: internal}
      - {name: seen_at, logicalType: timestamp}
      - {name: time_of_day, logicalType: time}
      - {name: pieces, logicalType: integer}
      - {name: open, logicalType: boolean}
      - {name: iban, logicalType: string, classification: confidential}
      - {name: tags, logicalType: array, items: {name: one, logicalType: string}}
      - name: address
        logicalType: object
        properties:
          - {name: city, logicalType: string}
          - {name: lines, logicalType: array, items: {name: one, logicalType: string}}
"""


def faults(text: str) -> tuple[Finding, ...]:
    with pytest.raises(OdcsRefused) as refused:
        imported(text, "contract.yaml")
    assert refused.value.code == "odcs.refused" and "is not imported" in str(refused.value)
    return refused.value.findings


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["map", *map(str, words)])


# --- our own


@given(written_maps())
def test_what_we_export_comes_back_as_it_was(written: dict[str, Any]) -> None:
    texts = map_texts(written, [CUSTOMER])
    rules = rules_of(texts, 1)
    (one,) = imported(exported(rules, written), "customer.odcs.yaml")
    entry = rules.ownership_map.objects["customer"]
    assert one.open == () and one.text.startswith("object: customer\n")
    assert replace(again(texts, one), contract_id=0) == replace(entry, contract_id=0)


@given(written_maps())
def test_whatever_a_map_says_the_standards_validator_takes_its_export(written: dict[str, Any]) -> None:
    text = exported(rules_of(map_texts(written, [CUSTOMER]), 1), written)
    assert pyodcs.is_valid(pyodcs.parse_and_validate(text.encode(), format="yaml"))


def test_no_key_of_a_file_is_forgotten() -> None:
    by_the_standard = {"object", "description", "key", "steward", "contract", "fields"}
    by_name = {"system_of_record", "create", "delete"}
    assert set(ObjectDocument.model_fields) == by_the_standard | by_name | set(KEPT)


def test_classes_that_the_contract_says_are_said_there_again() -> None:
    texts = map_documents()
    (one,) = imported(
        exported(rules_of(texts, 1), read_yaml(texts["customer.yaml"], "customer.yaml")[0]), "x"
    )
    assert make_contract(one.contract, 1).classes == {"email": "pii", "phone": "pii"}
    assert "pii" not in one.text


def test_the_commands_there_and_back(tmp_path: Path) -> None:
    assert run("odcs", tmp_path / "out", "--folder", MAP_DIR).exit_code == 0
    back = tmp_path / "back"
    done = run("import-odcs", tmp_path / "out" / "customer.odcs.yaml", "--out", back)
    assert done.exit_code == 0 and "customer.avsc, customer.yaml, registry.json in" in done.output
    (back / "systems.yaml").write_text(map_documents()["systems.yaml"], "utf-8")
    first, other = (rules_of(map_documents(folder), 1).ownership_map for folder in (MAP_DIR, back))
    assert other.objects["customer"] == first.objects["customer"]
    assert run("lint", back).exit_code == 0


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    run("odcs", tmp_path, "--folder", MAP_DIR)
    file = tmp_path / "customer.odcs.yaml"
    assert run("import-odcs", file, "--out", tmp_path / "back").exit_code == 0
    before = map_documents(tmp_path / "back")
    assert "odcs.exists" in str(run("import-odcs", file, "--out", tmp_path / "back").exception)
    assert "odcs.exists" in str(run("import-odcs", file, file, "--out", tmp_path / "other").exception)
    assert map_documents(tmp_path / "back") == before and map_documents(tmp_path / "other") == {}
    (tmp_path / "back" / "customer.yaml").unlink()
    assert run("import-odcs", file, "--out", tmp_path / "back").exit_code == 0
    assert map_documents(tmp_path / "back") == before, "its contract was registered already"


# --- others


def test_the_example_is_a_contract_of_the_standard() -> None:
    assert pyodcs.is_valid(pyodcs.parse_and_validate(FOREIGN.encode(), format="yaml"))


def test_what_another_contract_does_not_say_is_left_open_and_lint_refuses_it(tmp_path: Path) -> None:
    file = tmp_path / "payment.yaml"
    file.write_text(FOREIGN, "utf-8")
    done = run("import-odcs", file, "--out", tmp_path / "map", "--json")
    left = ["system_of_record", "create", "delete.authority", "fields.iban.class"]
    assert json.loads(done.stdout) == [{"object": "payment", "open": left}]
    (tmp_path / "map" / "systems.yaml").write_text("systems: {}\n", "utf-8")
    said = run("lint", tmp_path / "map")
    assert said.exit_code == 2
    lines = said.output.splitlines()
    assert len(lines) == len(left)
    assert lines[0] == (
        "payment.yaml:9: system_of_record: is left open [map.left_open] Say it; nobody guesses it."
    )


def test_its_avro_record() -> None:
    (one,) = imported(FOREIGN, "payment.yaml")
    fields = {field["name"]: field["type"] for field in one.contract["fields"]}
    assert fields["payment_id"] == "string" and fields["paid_on"] == {"type": "int", "logicalType": "date"}
    assert fields["amount"][1] == {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}
    assert fields["address"][1]["name"] == "payment_address"
    contract = make_contract(one.contract, 1)
    assert contract.required == {"payment_id", "paid_on"} and len(contract.fields) == 11
    assert yaml.safe_load(one.text)["steward"] == {"team": "payments", "contact": "m@example.com"}
    assert yaml.safe_load(one.text)["fields"] == {"share": {"class": "internal"}, "iban": {"class": "?"}}


def test_the_least_that_a_contract_says() -> None:
    least = """{apiVersion: v3.1.0, kind: DataContract, team: [{username: ana, role: owner}], schema: [
      {name: a, properties: [{name: b, logicalType: string}]},
      {name: c, properties: [{name: d, logicalType: date}]}]}"""
    one, other = imported(least, "least.yaml")
    assert (one.object, other.object) == ("a", "c")
    assert set(one.open) == {
        *("description", "key", "steward.team", "steward.contact", "system_of_record", "create"),
        "delete.authority",
    }


def test_nobody_is_no_owner() -> None:
    text = """{apiVersion: v3.1.0, kind: DataContract, schema: [{name: a, properties: [{name: b, logicalType: string,
      customProperties: [{property: solesource.systemOfRecord, value: nobody}, {property: other, value: 1},
      {property: solesource.avro, value: 7}]}], customProperties: [{property: solesource.systemOfRecord, value: crm},
      {property: solesource.create, value: [crm]}]}]}"""
    (one,) = imported(text, "a.yaml")
    assert {"fields.b.system_of_record", "create"} <= set(one.open) and "system_of_record" not in one.open


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("v3.1.0", "v2.2.2", "contract.yaml:2: apiVersion: Input should be 'v3.1.0' [odcs.literal_error]"),
        ("kind: DataContract", "kind: Pod", "contract.yaml:3: kind: "),
        ("name: payment\n", "name: Payments of sellers\n", "contract.yaml:10: schema[0].name: "),
        ("logicalType: date,", "", "contract.yaml:14: schema[0].properties[1].logicalType: Field required "),
        ("name: paid_on", "name: paid-on", "[odcs.string_pattern_mismatch]"),
        ("pieces, logicalType: integer", "pieces, logicalType: int", "[odcs.literal_error]"),
        ("items: {name: one, logicalType: string}}\n      - name", "x: 1}\n      - name", "[odcs.no_shape]"),
        ("lines, logicalType: array, items", "lines, logicalType: array, x", "[odcs.no_shape]"),
        (
            "name: amount,",
            "name: amount, primaryKey: true,",
            "contract.yaml:15: schema[0].properties[2]: a record has one key field [odcs.composite_key]",
        ),
        (
            "tags, logicalType: array, items: {name: one, logicalType: string}",
            "tags, logicalType: array, customProperties: [{property: solesource.avro, value: 7}]",
            "[odcs.no_shape]",
        ),
        ("schema:", "schema: [", "[map.yaml]"),
        ("id: 53581432-6c55-4ba2-a65f-72344a91553a", "id: &a x\nx: *a", "[map.alias]"),
        ("status: active", "status: active\nstatus: active", "[map.repeated_key]"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, said: str) -> None:
    assert FOREIGN.count(old) == 1
    assert any(said in str(fault) for fault in faults(FOREIGN.replace(old, new)))


@pytest.mark.parametrize("text", ["", "[]", "7", "#" * 1_000_001, "[" * 50 + "]" * 50, "a: \x00"])
def test_whatever_a_file_holds_it_is_a_contract_or_refused(text: str) -> None:
    assert faults(text)


def test_too_much_is_refused() -> None:
    fields = [{"name": f"f{number}", "logicalType": "string"} for number in range(1001)]
    text = yaml.safe_dump(
        {"apiVersion": "v3.1.0", "kind": "DataContract", "schema": [{"name": "a", "properties": fields}]}
    )
    assert [fault.code for fault in faults(text)] == ["odcs.too_long"]


@pytest.mark.parametrize(("content", "code"), [(b"\xff", "odcs.file"), (b"#" * 4_000_001, "odcs.too_long")])
def test_files_that_are_no_text(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "contract.yaml"
    file.write_bytes(content)
    assert code in str(run("import-odcs", file, "--out", tmp_path / "map").exception)
    assert not (tmp_path / "map").exists()


def test_open_places_anywhere_refuse_a_map() -> None:
    assert codes(documents(systems={"billing": {"read": ["name", "?"]}})) == ["map.left_open"]
    texts = documents()
    texts["systems.yaml"] = texts["systems.yaml"].replace("kind: service", "kind: '?'")
    assert codes(texts) == ["map.left_open"] * texts["systems.yaml"].count("?")
